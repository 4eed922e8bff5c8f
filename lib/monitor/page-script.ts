// What the page does: it asks for the state at intervals, hears of events as they happen, and draws both.

/** The script, which finds its settings in `SETTINGS`. */
export const PAGE_SCRIPT = `
// The token leaves the address, so that it is neither copied with it nor kept in the history.
const address = new URL(location.href);
const given = address.searchParams.get('token');
if (given !== null) {
  sessionStorage.setItem('token', given);
  address.searchParams.delete('token');
  history.replaceState(null, '', address);
}
const token = given ?? sessionStorage.getItem('token');
const headers = token === null ? {} : { authorization: 'Bearer ' + token };
const byId = (id) => document.getElementById(id);

function element(name, settings, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(settings ?? {})) {
    if (key === 'onclick') made.addEventListener('click', value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== ''));
  return made;
}

function drawing(name, settings, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(settings)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function ask(path) {
  const answer = await fetch(path, { headers });
  if (!answer.ok) throw new Error(answer.status === 401 ? 'this dashboard needs a token: open it with ?token=' : 'HTTP ' + answer.status);
  return await answer.json();
}

function lagText(lag) {
  if (lag === undefined || lag === null) return 'lag unknown';
  return lag < 1000 ? 'lag ' + lag + ' ms' : 'lag ' + (lag / 1000).toFixed(1) + ' s';
}

function line(past, name) {
  const most = Math.max(...past, 1);
  const points = past.map((value, at) => ((at * 300) / Math.max(past.length - 1, 1)).toFixed(1) + ',' + (38 - (value / most) * 36).toFixed(1)).join(' ');
  const drawn = drawing('polyline', { points, fill: 'none', stroke: 'currentColor', 'stroke-width': '2', 'vector-effect': 'non-scaling-stroke' });
  const last = past.length === 0 ? 0 : past[past.length - 1];
  return drawing('svg', { class: 'lag', viewBox: '0 0 300 40', preserveAspectRatio: 'none', role: 'img', 'aria-label': name + ' over time; at most ' + Math.round(most) + ', now ' + Math.round(last) }, drawn);
}

function card(project, replica, history) {
  const feed = replica.feed === undefined ? '' : { managed: 'fed by this library', native: 'fed by its database', none: 'not fed' }[replica.feed];
  const details = [replica.role, replica.dialect, feed, replica.poolMax === undefined ? '' : 'pool of ' + replica.poolMax].filter(Boolean).join(' · ');
  const shown = element('div', { class: 'card' },
    element('p', {}, element('span', { class: 'name' }, replica.name), ' ', element('span', { class: 'state ' + replica.state }, replica.state)),
    element('p', { class: 'quiet' }, details));
  if (replica.role === 'slave') {
    const bytes = replica.lagBytes === undefined ? '' : ', ' + replica.lagBytes.toLocaleString('en') + ' bytes behind';
    shown.append(element('p', {}, lagText(replica.lag) + bytes), line((history.replicas[project + '/' + replica.name] ?? []).map(({ lag }) => lag ?? 0), 'Lag of ' + replica.name + ' in ms'));
    if (SETTINGS.canAct) {
      const promote = () => act('Make ' + replica.name + ' the master of ' + project + '? The present master takes no writes any more.', '/api/actions/promote', { project, name: replica.name });
      shown.append(element('button', { type: 'button', 'aria-label': 'Promote ' + replica.name + ' of ' + project, onclick: promote }, 'Promote'));
    }
  }
  if (replica.error) shown.append(element('p', { class: 'error' }, replica.error));
  return shown;
}

function drawProjects(replicas, routing, history) {
  const projects = Object.entries(replicas).map(([project, all]) => {
    const masters = all.filter(({ role }) => role === 'master');
    const slaves = all.filter(({ role }) => role === 'slave');
    const list = (some, name) => element('ul', { 'aria-label': name }, ...some.map((replica) => element('li', {}, card(project, replica, history))));
    const arrow = drawing('svg', { class: 'arrow', viewBox: '0 0 48 24', 'aria-hidden': 'true' },
      drawing('path', { d: 'M4 12H42M34 5l8 7-8 7', fill: 'none', stroke: 'currentColor', 'stroke-width': '2' }));
    const graph = element('div', { class: 'graph' }, masters.length > 0 ? list(masters, 'Master') : element('p', { class: 'error' }, 'no master'));
    if (slaves.length > 0) graph.append(arrow, list(slaves, 'Slaves'));
    return element('div', { class: 'project' }, element('h3', {}, project + ' ', element('span', { class: 'quiet' }, 'reads: ' + (routing[project] ?? 'round-robin'))), graph);
  });
  replace(byId('projects'), projects.length > 0 ? projects : [element('p', { class: 'quiet' }, 'There are no replicas.')]);
}

// What is drawn anew goes into what is there, so that nothing moves under a pointer and nobody loses the focus.
function replace(place, children) {
  const kept = [...place.childNodes];
  children.forEach((child, at) => {
    const old = kept[at];
    if (old === undefined) place.append(child);
    else if (isAlike(old, child)) update(old, child);
    else old.replaceWith(child);
  });
  kept.slice(children.length).forEach((old) => { old.remove(); });
}

// What a button does is bound to it, so that one of another name is another one.
function isAlike(old, child) {
  if (old.nodeType !== child.nodeType || old.nodeName !== child.nodeName) return false;
  return old.nodeName !== 'BUTTON' || old.getAttribute('aria-label') === child.getAttribute('aria-label');
}

function update(old, child) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== child.data) old.data = child.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!child.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...child.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  replace(old, [...child.childNodes]);
}

function drawEvent(event) {
  const { type, ts, ...told } = event;
  const text = Object.entries(told).map(([name, value]) => name + '=' + (typeof value === 'object' ? JSON.stringify(value) : value)).join(' ');
  const moment = new Date(ts);
  const shown = element('li', {}, element('time', { datetime: moment.toISOString() }, moment.toLocaleTimeString()), element('strong', {}, type), ' ' + text);
  byId('events').prepend(shown);
  while (byId('events').children.length > 200) byId('events').lastChild.remove();
  if (['replica.promoted', 'failover', 'failover.refused', 'rows.lost', 'quorum', 'error'].includes(type)) byId('announcement').textContent = type + ' ' + text;
}

function act(question, path, request) {
  const dialog = byId('confirmation');
  byId('question').textContent = question;
  dialog.returnValue = 'no';
  dialog.addEventListener('close', async () => {
    if (dialog.returnValue !== 'yes') return;
    const answer = await fetch(path, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(request) });
    const { error } = await answer.json();
    byId('announcement').textContent = error ?? 'done';
    if (error !== undefined) drawEvent({ type: 'error', ts: Date.now(), message: error });
    await refresh();
  }, { once: true });
  dialog.showModal();
}

async function refresh() {
  try {
    const [replicas, rules, routing, history, concerns] = await Promise.all(['replicas', 'rules', 'routing', 'history', 'concerns'].map((name) => ask('api/' + name)));
    drawProjects(replicas, routing, history);
    drawFlows(rules);
    drawRules(rules, history);
    drawConcerns(concerns);
    byId('connection').textContent = 'live';
  } catch (error) {
    byId('connection').textContent = error.message;
  }
}

async function hear() {
  for (const event of await ask('api/events')) drawEvent(event);
  // A stream cannot be asked for with a header.
  const stream = new EventSource('api/stream' + (token === null ? '' : '?token=' + encodeURIComponent(token)));
  stream.addEventListener('message', ({ data }) => {
    const event = JSON.parse(data);
    drawEvent(event);
    if (event.type !== 'replica.state' && event.type !== 'rule.state') void refresh();
  });
}

void refresh();
hear().catch((error) => { byId('connection').textContent = error.message; });
setInterval(refresh, SETTINGS.pollMs);
`;

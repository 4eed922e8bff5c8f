// What the page shows of rules: where they lead, how they stand, and what can be done with them.

/** The part of the script that draws rules; it uses what the rest defines. */
export const RULES_SCRIPT = `
function bytesText(bytes) {
  if (bytes === undefined || bytes === null) return '–';
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return (unit === 0 ? value : value.toFixed(1)) + ' ' + units[unit];
}

function drawFlows(rules) {
  const flows = rules.map((rule) => {
    const both = rule.mode === 'bidirectional';
    const path = both ? 'M4 8H28M10 2L4 8l6 6M22 2l6 6-6 6' : 'M2 8H28M22 2l6 6-6 6';
    const arrow = drawing('svg', { viewBox: '0 0 32 16', role: 'img', 'aria-label': both ? 'to and from' : 'to' }, drawing('path', { d: path, fill: 'none', stroke: 'currentColor', 'stroke-width': '2' }));
    return element('li', {}, element('strong', {}, rule.source), arrow, element('strong', {}, rule.target), element('span', { class: 'quiet' }, ' ' + rule.name));
  });
  replace(byId('flows'), flows.length > 0 ? [element('ul', { class: 'flows', 'aria-label': 'Directions of the rules' }, ...flows)] : []);
}

function ruleActions(rule) {
  const named = (label, question, action) => element('button', { type: 'button', 'aria-label': label + ' ' + rule.name, onclick: () => act(question, '/api/actions/' + action, { rule: rule.name }) }, label);
  const streams = rule.stream !== undefined && !['stopped', 'lost'].includes(rule.stream.state);
  const isCaptured = rule.mode === 'cdc' && rule.capture !== 'poll';
  return element('div', { class: 'actions' },
    named('Run', 'Run the rule ' + rule.name + ' now?', 'sync'),
    isCaptured ? (streams ? named('Stop', 'End the stream of the rule ' + rule.name + '?', 'stop') : named('Start', 'Stream the rule ' + rule.name + '?', 'start')) : '',
    named('Verify', 'Compare both ends of the rule ' + rule.name + ' row by row? Nothing is changed.', 'verify'),
    isCaptured && !streams ? named('Resync', 'Copy everything of the rule ' + rule.name + ' anew, without emptying the target?', 'resync') : '');
}

function drawRules(rules, history) {
  if (rules.length === 0) return replace(byId('rule-list'), [element('p', { class: 'quiet' }, 'There are no rules.')]);
  const titles = ['Rule', 'From → to', 'Mode', 'Collections', 'Stream', 'Log kept', 'Rows per second', 'Last run', 'Inserted', 'Updated', 'Deleted', 'Failed', ...(SETTINGS.canAct ? ['Actions'] : [])];
  const head = element('thead', {}, element('tr', {}, ...titles.map((title) => element('th', { scope: 'col' }, title))));
  const rows = rules.map((rule) => {
    const run = rule.lastStats ?? {};
    const when = run.lastRun ? new Date(run.lastRun).toLocaleTimeString() + ', ' + run.durationMs + ' ms' : 'never';
    const stream = rule.stream === undefined ? '–' : rule.stream.state + (rule.stream.lag === undefined ? '' : ', ' + lagText(rule.stream.lag));
    const past = (history.rules[rule.name] ?? []).map(({ rowsPerSecond }) => rowsPerSecond);
    const rate = element('td', {}, past.length === 0 ? '–' : past[past.length - 1].toFixed(1), line(past, 'Rows per second of ' + rule.name));
    const before = [rule.source + ' → ' + rule.target, rule.mode + (rule.enabled ? '' : ' (disabled)'), rule.collections.join(', '), stream, bytesText(rule.stream?.retainedBytes)];
    const after = [when, run.inserted ?? '–', run.updated ?? '–', run.deleted ?? '–', run.failed ?? '–'];
    const cells = (texts) => texts.map((text) => element('td', {}, String(text)));
    const row = element('tr', {}, element('th', { scope: 'row' }, rule.name), ...cells(before), rate, ...cells(after));
    if (SETTINGS.canAct) row.append(element('td', {}, ruleActions(rule)));
    return row;
  });
  replace(byId('rule-list'), [element('table', {}, head, element('tbody', {}, ...rows))]);
}
`;

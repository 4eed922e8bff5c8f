// What the page shows of rows that need somebody: set aside, in conflict, or found to differ.

/** The part of the script that draws concerns; it uses what the rest defines. */
export const CONCERNS_SCRIPT = `
function rowsTable(label, titles, rows) {
  const head = element('thead', {}, element('tr', {}, ...titles.map((title) => element('th', { scope: 'col' }, title))));
  const body = element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, String(cell))))));
  return element('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0' }, element('table', {}, head, body));
}

function verificationText(verification) {
  if (verification === undefined) return element('p', { class: 'quiet' }, 'Not compared since this dashboard was started.');
  const when = new Date(verification.ts).toLocaleTimeString();
  if (verification.equal) return element('p', { class: 'good' }, 'Equal at ' + when + ': ' + verification.rows.toLocaleString('en') + ' rows.');
  const { different, missing, extra } = verification;
  return element('p', { class: 'error' }, 'Not equal at ' + when + ': ' + different + ' rows differ, ' + missing + ' are missing, ' + extra + ' only the target has.');
}

function drawConcerns(concerns) {
  const drawn = concerns.map((concern) => {
    const letters = concern.deadLetters;
    const shown = element('div', { class: 'concern' }, element('h3', {}, concern.rule), verificationText(concern.verification));
    if (concern.deadLettersError !== undefined) shown.append(element('p', { class: 'error' }, 'Dead letters are not known: ' + concern.deadLettersError));
    if (letters !== undefined) shown.append(element('p', letters.count > 0 ? { class: 'error' } : {}, letters.count + ' dead letters'));
    if (letters !== undefined && letters.rows.length > 0) {
      const rows = letters.rows.map(({ collection, key, operation, error, attempts, lastAt }) => [collection, key, operation, error, attempts, new Date(lastAt).toLocaleString()]);
      shown.append(rowsTable('Dead letters of ' + concern.rule, ['Collection', 'Key', 'Operation', 'Reason', 'Attempts', 'Last tried'], rows));
    }
    shown.append(element('p', {}, concern.conflictCount + ' conflicts in the last run'));
    if (concern.conflicts.length > 0) {
      const rows = concern.conflicts.map(({ collection, key, winner, fields }) => [collection, key, winner, fields.join(', ')]);
      shown.append(rowsTable('Conflicts of ' + concern.rule, ['Collection', 'Key', 'Winner', 'Fields'], rows));
    }
    return shown;
  });
  replace(byId('concern-list'), drawn.length > 0 ? drawn : [element('p', { class: 'quiet' }, 'There are no rules.')]);
}
`;

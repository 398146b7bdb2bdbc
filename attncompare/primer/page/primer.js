'use strict';
// Self-attention as a table: whoever changes a cell of Q sees R = QQᵀ, W = softmax(R) and T = WQ change.
for (const place of document.querySelectorAll('.pp-attention')) {
  const { rows, columns, q: first } = JSON.parse(place.dataset.attention);
  let q = first.map(row => [...row]);

  const make = (name, text = '', parent = null) => {
    const element = document.createElement(name);
    element.textContent = text;
    parent?.append(element);
    return element;
  };
  const table = (caption, heads) => {
    const made = make('table', '', make('div', '', tables));
    make('caption', caption, made);
    const head = make('tr', '', made);
    for (const name of ['', ...heads]) make('th', name, head);
    return rows.map(name => {
      const row = make('tr', '', made);
      make('th', name, row);
      return heads.map(() => make('td', '', row));
    });
  };

  place.replaceChildren();
  make('p', 'Change a number of Q, from 0 to 10: everything else is computed again.', place);
  const tables = make('div', '', place);
  tables.className = 'pp-tables';
  const inputs = table('Q: the characteristics', columns).map((row, i) => row.map((cell, j) => {
    const input = make('input', '', cell);
    Object.assign(input, { type: 'number', min: 0, max: 10, step: 1 });
    input.setAttribute('aria-label', `${rows[i]}, ${columns[j]}`);
    input.addEventListener('input', () => {
      const value = Number(input.value);
      if (input.value === '' || !(value >= 0 && value <= 10)) return;
      q[i][j] = value;
      show();
    });
    return input;
  }));
  const r = table('R = QQᵀ: what two have in common', rows);
  const w = table('softmax(R): shares that add up to 1', rows);
  const t = table('T = softmax(R) Q: the revised characteristics', columns);
  const again = make('button', 'as it was', place);
  again.type = 'button';
  again.addEventListener('click', () => { q = first.map(row => [...row]); write(); show(); });

  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const fill = (cells, values, digits) => {
    const largest = Math.max(...values.flat(), 1e-9);
    values.forEach((row, i) => row.forEach((value, j) => {
      cells[i][j].textContent = Number.isInteger(value) ? String(value) : value.toFixed(digits);
      cells[i][j].style.setProperty('--share', `${Math.round(60 * value / largest)}%`);
    }));
  };
  const write = () => inputs.forEach((row, i) => row.forEach((input, j) => { input.value = q[i][j]; }));
  const show = () => {
    const scores = q.map(a => q.map(b => dot(a, b)));
    const weights = scores.map(row => {
      const exps = row.map(score => Math.exp(score - Math.max(...row)));
      const sum = exps.reduce((a, b) => a + b);
      return exps.map(one => one / sum);
    });
    fill(r, scores, 1);
    fill(w, weights, 2);
    fill(t, weights.map(row => columns.map((_, j) => dot(row, q.map(one => one[j])))), 2);
  };
  write();
  show();
}

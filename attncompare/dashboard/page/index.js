// The list of sweeps and runs.
'use strict';
(() => {
  const FEW = 12; // runs of a sweep that are shown at once
  const holder = document.getElementById('groups');
  const opened = new Set();

  const actions = (group) => {
    const finished = group.counts.finished || 0;
    return el('div', { class: 'acts' },
      el('a', { class: 'act', href: `/group/${group.id}` }, 'Curves'),
      finished ? el('a', { class: 'act main', href: `/report/${group.id}` }, finished === 1 ? 'Report' : `Report of ${finished} runs`) : '');
  };

  const many = (group) => {
    if (group.runs.length <= FEW) return table(group.runs);
    const details = el('details', { open: opened.has(group.id) }, el('summary', {}, `all ${group.runs.length} runs`), table(group.runs));
    details.addEventListener('toggle', () => (details.open ? opened.add(group.id) : opened.delete(group.id)));
    return details;
  };

  const card = (group) => el('section', { class: 'card' },
    el('div', { class: 'head' }, el('div', {}, el('h2', {}, group.title), el('p', { class: 'path' }, group.name)), actions(group)),
    ...standing(group), group.runs.length ? many(group) : '');

  const totals = (groups) => {
    const total = {};
    for (const group of groups) for (const [state, number] of Object.entries(group.counts)) total[state] = (total[state] || 0) + number;
    return total;
  };

  const count = (groups) => {
    const total = totals(groups);
    const sweeps = groups.filter((group) => group.sweep).length;
    const words = [[sweeps, sweeps === 1 ? 'sweep' : 'sweeps'], ...STATES.map((state) => [total[state] || 0, state])];
    return words.filter(([number]) => number).map(([number, word]) => el('span', { class: word }, el('b', {}, String(number)), STATES.includes(word) ? el('span', { class: 'state' }, word) : word));
  };

  follow('/state.json', ({ groups }) => {
    document.getElementById('counts').replaceChildren(...count(groups));
    const sweeps = groups.filter((group) => group.sweep), single = groups.filter((group) => !group.sweep);
    const cards = sweeps.map(card);
    if (single.length) {
      const head = el('div', { class: 'head' }, el('div', {}, el('h2', {}, sweeps.length ? 'Single runs' : 'Runs')),
        actions({ id: document.body.dataset.singles, counts: totals(single) }));
      cards.push(el('section', { class: 'card' }, head, table(single.flatMap((group) => group.runs), { named: true })));
    }
    if (!groups.length) {
      cards.push(el('p', { class: 'empty' }, 'No runs yet. Start one with ', el('code', {}, 'attncompare train'), '; it appears here.'));
    }
    holder.replaceChildren(...cards);
  });
})();

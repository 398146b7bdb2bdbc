// What all pages of the dashboard share. Text reaches the page through textContent alone.
'use strict';
const STATES = ['finished', 'running', 'interrupted', 'killed', 'failed', 'damaged', 'waiting'];
const EVERY = 2000; // milliseconds between two looks

const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== ''));
  return node;
};

const since = (seconds) => {
  const age = Math.max(0, Math.round(Date.now() / 1000 - seconds - (window.clockOffset || 0)));
  if (age < 60) return 'just now';
  return `${lasting(age)} ago`;
};

const lasting = (seconds) => {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
};

const swatch = (color) => { const node = el('span', { class: 'swatch' }); node.style.background = color; return node; };

const progress = (run) => {
  const fill = el('i', { class: 'fill' });
  fill.style.width = `${run.state === 'finished' ? 100 : run.steps ? Math.min(100, (100 * run.step) / run.steps) : 0}%`;
  const left = run.left === null ? '' : ` · ${lasting(run.left)} left`;
  const text = run.steps ? `${run.step}/${run.steps}${left}` : '';
  return el('span', { class: 'done' }, el('span', { class: 'track' }, fill), text);
};

const spark = (run) => {
  if (run.spark.length < 2) return '';
  const low = Math.min(...run.spark), span = Math.max(...run.spark) - low || 1;
  const points = run.spark.map((value, index) => `${(100 * index) / (run.spark.length - 1)},${22 - (20 * (value - low)) / span}`);
  const name = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(name, 'svg');
  svg.setAttribute('class', 'spark'); svg.setAttribute('viewBox', '0 0 100 24'); svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img'); svg.setAttribute('aria-label', `loss on val, from ${run.spark[0]} to ${run.spark.at(-1)}`);
  const path = document.createElementNS(name, 'path');
  path.setAttribute('d', `M${points.join('L')}`); path.setAttribute('stroke', run.color);
  svg.append(path);
  return svg;
};

const COLUMNS = ['run', 'state', 'progress', 'train loss', 'val loss', 'best', 'test', 'val loss over time'];
const table = (runs, { linked = true, named = false } = {}) => {
  const head = el('tr', {}, ...COLUMNS.map((name) => el('th', { scope: 'col' }, name)));
  const rows = runs.map((run) => el('tr', { class: run.state },
    el('td', {}, swatch(run.color), linked ? el('a', { href: `/run/${run.id}` }, run.label) : run.label,
      named ? el('span', { class: 'path' }, run.name) : '',
      run.message && run.state !== 'finished' ? el('span', { class: 'why' }, run.message) : ''),
    el('td', {}, el('span', { class: 'state' }, run.state)),
    el('td', {}, run.state === 'damaged' ? '' : progress(run)),
    el('td', { 'data-name': 'train' }, run.train), el('td', { 'data-name': 'val' }, run.val),
    el('td', { 'data-name': 'best' }, run.best), el('td', {}, run.test), el('td', {}, spark(run))));
  return el('table', { class: 'runs' }, el('thead', {}, head), el('tbody', {}, ...rows));
};

const standing = (group) => {
  const bar = el('div', { class: 'bar-of', 'aria-hidden': 'true' });
  for (const state of STATES.filter((one) => group.counts[one])) {
    const part = el('i', { class: state });
    part.style.flexGrow = group.counts[state];
    bar.append(part);
  }
  const told = STATES.filter((state) => group.counts[state]).map((state) => el('span', { class: state }, el('span', { class: 'state' }, `${group.counts[state]} ${state}`)));
  return [bar, el('p', { class: 'told' }, ...told, el('span', {}, `changed ${since(group.changed)}`))];
};

// Asks `address` again and again and gives what it says to `show`, where that is new; says so where nobody answers.
const follow = (address, show) => {
  const live = document.getElementById('live');
  let known = null;
  const look = async () => {
    try {
      const answer = await fetch(address, { cache: 'no-cache' });
      const sent = Date.parse(answer.headers.get('Date'));
      if (sent) window.clockOffset = (Date.now() - sent) / 1000;
      if (answer.status === 404) throw new Error('it is not there any more');
      if (!answer.ok) throw new Error(`the dashboard answered ${answer.status}`);
      const text = await answer.text();
      if (text !== known) { show(JSON.parse(text)); known = text; }
      live.parentElement.classList.remove('lost');
      if (!live.dataset.own) live.textContent = 'live';
    } catch (error) {
      live.parentElement.classList.add('lost');
      live.textContent = error instanceof TypeError ? 'the dashboard has ended' : error.message;
    }
    window.setTimeout(look, document.hidden ? 5 * EVERY : EVERY);
  };
  look();
};

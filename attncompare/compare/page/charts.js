// What all of plotly's pictures share: colors of the page, light, dark or on paper, and one after the other when idle.

const PAPER = { ink: '#000000', soft: '#444444', line: '#dddddd', card: '#ffffff' };
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const charts = [];

/** Text of data as plotly shows it: it reads a little HTML in labels. */
function plain(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

function dataOf(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function themeOf(printing) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => (printing ? PAPER[name] : style.getPropertyValue(`--am-${name}`).trim());
  return { ink: color('ink'), soft: color('soft'), line: color('line'), card: color('card') };
}

/** Register a picture: figure(theme, size) gives {data, layout}; paper is its size there. Returns a function that draws it. */
function chart(node, paper, figure) {
  const entry = { node, paper, figure };
  charts.push(entry);
  return () => draw(entry, false);
}

function draw({ node, paper, figure }, printing) {
  const theme = themeOf(printing);
  const size = printing ? paper : { width: node.clientWidth, height: node.clientHeight };
  const { data, layout } = figure(theme, size);
  const axis = { gridcolor: theme.line, zeroline: false, automargin: true, fixedrange: true };
  Plotly.react(node, data, {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: theme.ink, size: 12, family: 'system-ui, sans-serif' },
    showlegend: false, hovermode: 'x unified', hoverlabel: { bgcolor: theme.card }, ...size,
    margin: { l: 55, r: 12, t: 12, b: 42 }, ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  }, { displayModeBar: false });
}

/** A labelled choice; options are [value, text]; only one option needs no choice. */
function choice(holder, label, options, changed) {
  const field = document.createElement('label'), select = document.createElement('select');
  field.append(label, select);
  select.setAttribute('aria-label', label);
  for (const [value, text] of options) {
    const option = document.createElement('option');
    option.value = value;
    option.textContent = text;
    select.append(option);
  }
  field.hidden = options.length < 2;
  select.addEventListener('input', () => changed());
  holder.append(field);
  return select;
}

/** Draw everything: what is on the screen first, the rest one by one, so that the page can be read meanwhile. */
function drawAll() {
  const waiting = [...charts];
  const later = window.requestIdleCallback || ((next) => setTimeout(next, 1));
  const next = () => {
    const entry = waiting.shift();
    if (entry) {
      draw(entry, false);
      later(next, { timeout: 200 });
    } else document.documentElement.dataset.drawn = 'all';
  };
  later(next, { timeout: 200 });
  dark.addEventListener('change', () => charts.forEach((entry) => draw(entry, false)));
  window.addEventListener('beforeprint', () => charts.forEach((entry) => draw(entry, true)));
  window.addEventListener('afterprint', () => charts.forEach((entry) => draw(entry, false)));
  const sizes = new Map();
  const observer = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      const before = sizes.get(target);
      sizes.set(target, target.clientWidth);
      if (before !== undefined && before !== target.clientWidth) draw(charts.find(({ node }) => node === target), false);
    }
  });
  charts.forEach(({ node }) => observer.observe(node));
}

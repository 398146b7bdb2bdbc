// The page of a comparison: charts as SVG from the JSON beside them. Colors come from the style sheet.
(() => {
'use strict';

const DASHES = { solid: '', dash: '7 4', dot: '2 3', dashdot: '7 3 2 3' };
const SYMBOLS = {
  circle: 'M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z', diamond: 'M0 -6L6 0L0 6L-6 0z',
  square: 'M-5 -5H5V5H-5z', triangle: 'M0 -6L6 5H-6z',
};

function dataOf(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function make(tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
}

function draw(parent, tag, attributes, text) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** A labelled choice; options are [value, text]; a single option needs no choice. */
function choice(holder, label, options, changed) {
  const field = make('label', label), select = make('select');
  field.append(select);
  select.setAttribute('aria-label', label);
  select.append(...options.map(([value, text]) => Object.assign(make('option', text), { value })));
  field.hidden = options.length < 2;
  select.addEventListener('input', changed);
  holder.append(field);
  return select;
}

/** Return about `count` round numbers between the ends. */
function ticks([low, high], count) {
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let place = Math.ceil(low / step); place * step <= high && found.length < 50; place += 1) found.push(place * step);
  return found;
}

function written(value) {
  const large = Math.abs(value) >= 1e4;
  return (value || 0).toLocaleString('en', { maximumSignificantDigits: large ? 3 : 5, notation: large ? 'compact' : 'standard' });
}

/**
 * Draw a chart into `node`, and again whenever its size changes; returns a function that draws it.
 * `describe()` gives {x, y, bands, lines, bars, marks, labels, shared}: an axis is {title, range}, x also with `ticks` as [value, text],
 * points are [x, y] with null for a gap; a mark is {x, y, color, symbol, size, name, text}. With `shared`, the tip shows all marks at
 * one x, else the nearest mark alone.
 */
function chart(node, describe) {
  const tip = make('div', '', 'tip');
  let svg;
  function render() {
    const width = node.clientWidth || 330, height = node.clientHeight || 250;
    const margin = { left: 62, right: 20, top: 10, bottom: 42 };
    const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
    const { x, y, bands = [], lines = [], bars = [], marks = [], labels = [], shared } = describe();
    const fx = (value) => margin.left + ((value - x.range[0]) / (x.range[1] - x.range[0])) * inner.width;
    const fy = (value) => margin.top + (1 - (value - y.range[0]) / (y.range[1] - y.range[0])) * inner.height;
    const path = (points) => points.map(([a, b], place) => (b === null ? '' : `${place && points[place - 1][1] !== null ? 'L' : 'M'}${fx(a).toFixed(1)} ${fy(b).toFixed(1)}`)).join('');
    node.replaceChildren();
    svg = draw(node, 'svg', { viewBox: `0 0 ${width} ${height}` });
    node.append(tip);
    tip.hidden = true;
    const bottom = height - margin.bottom, right = width - margin.right;
    for (const value of ticks(y.range, inner.height / 50)) {
      draw(svg, 'line', { class: 'grid', x1: margin.left, x2: right, y1: fy(value), y2: fy(value) });
      draw(svg, 'text', { class: 'tick', x: margin.left - 6, y: fy(value) + 4, 'text-anchor': 'end' }, written(value));
    }
    for (const [value, text] of x.ticks || ticks(x.range, inner.width / 90).map((value) => [value, written(value)])) {
      draw(svg, 'line', { class: 'grid', x1: fx(value), x2: fx(value), y1: margin.top, y2: bottom });
      draw(svg, 'text', { class: 'tick', x: fx(value), y: bottom + 15, 'text-anchor': 'middle' }, text);
    }
    draw(svg, 'text', { class: 'axis', x: margin.left + inner.width / 2, y: height - 5, 'text-anchor': 'middle' }, x.title);
    draw(svg, 'text', { class: 'axis', transform: `translate(13 ${margin.top + inner.height / 2}) rotate(-90)`, 'text-anchor': 'middle' }, y.title);
    for (const { points, color } of bands) draw(svg, 'path', { class: 'band', d: `${path(points)}z`, fill: color });
    for (const { points, color, dash, width: thick = 2, opacity = 1 } of lines) {
      draw(svg, 'path', { class: 'line', d: path(points), style: `stroke:${color}`, 'stroke-width': thick, 'stroke-dasharray': DASHES[dash] || '', opacity });
    }
    for (const { from, to, color } of bars) draw(svg, 'path', { class: 'line', d: path([from, to]), style: `stroke:${color}`, 'stroke-width': 1.3 });
    for (const { x: a, y: b, color, symbol, size } of marks) {
      if (size) draw(svg, 'path', { class: 'mark', d: SYMBOLS[symbol], transform: `translate(${fx(a)} ${fy(b)}) scale(${size})`, style: `fill:${color}` });
    }
    for (const { x: a, y: b, dx, dy, anchor, text } of labels) draw(svg, 'text', { class: 'name', x: fx(a) + dx, y: fy(b) + dy, 'text-anchor': anchor }, text);
    svg.addEventListener('pointerleave', () => { tip.hidden = true; });
    svg.addEventListener('pointermove', (event) => {
      const box = svg.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
      const distance = (one) => Math.hypot(fx(one.x) - px, shared ? 0 : fy(one.y) - py);
      const nearest = marks.reduce((best, one) => (best && distance(best) <= distance(one) ? best : one), null);
      tip.hidden = !nearest || (!shared && distance(nearest) > 60);
      if (tip.hidden) return;
      const named = marks.filter((one) => (shared ? one.x === nearest.x : one === nearest));
      const place = (x.ticks || []).find(([value]) => value === nearest.x);
      tip.replaceChildren(...(shared ? [make('b', `${x.title} ${place ? place[1] : written(nearest.x)}`)] : []), ...named.map((one) => {
        const line = make('p', shared ? `${one.name}: ${one.text}` : one.text);
        line.style.setProperty('--color', one.color);
        return line;
      }));
      tip.style.left = `${Math.max(0, Math.min(fx(nearest.x) + 12, width - tip.offsetWidth))}px`;
      tip.style.top = `${Math.max(0, Math.min(py - 20, height - tip.offsetHeight))}px`;
    });
  }
  let before = node.clientWidth;
  new ResizeObserver(() => { if (node.clientWidth !== before) { before = node.clientWidth; render(); } }).observe(node);
  render();
  return render;
}

/** Lines over one axis, as training curves: the mean over seeds, its band, and the single seeds behind it. */
function curve(node, figure, hidden) {
  const steps = figure.lines.flatMap(({ x }) => x);
  const x = { title: figure.x, range: [Math.min(...steps), Math.max(...steps, Math.min(...steps) + figure.least)] };
  return chart(node, () => {
    const shown = figure.lines.filter(({ label }) => !hidden.has(label));
    const zip = (xs, ys) => xs.map((step, place) => [step, ys[place]]);
    const range = figure.range || [0, 1], inside = (value) => Math.min(Math.max(value, range[0]), range[1]);
    const ends = (line, sign) => line.x.map((step, place) => [step, inside(line.y[place] + sign * line.half[place])]);
    return {
      x, y: { title: figure.unit, range }, shared: true,
      bands: shown.filter(({ half }) => half && half.length > 1).map((line) => ({ color: line.color, points: [...ends(line, 1), ...ends(line, -1).reverse()] })),
      lines: [
        ...shown.flatMap((line) => line.seeds.map((seed) => ({ points: zip(seed.x, seed.y), color: line.color, width: 0.8, opacity: 0.4 }))),
        ...shown.map((line) => ({ points: zip(line.x, line.y), color: line.color, dash: line.dash, width: 2.2 })),
      ],
      marks: shown.flatMap((line) => zip(line.x, line.y).filter(([, value]) => value !== null).map(([step, value]) => (
        { x: step, y: value, color: line.color, symbol: line.symbol, size: line.x.length > 12 ? 0 : 0.6, name: line.title, text: written(value) }))),
    };
  });
}

/** Means along an axis of numbers, with their intervals. */
function along(node, figure) {
  const steps = figure.ticks.map(([value]) => value), margin = (steps[steps.length - 1] - steps[0]) * 0.08;
  const x = { title: figure.x, range: [steps[0] - margin, steps[steps.length - 1] + margin], ticks: figure.ticks };
  return chart(node, () => ({
    x, y: { title: figure.unit, range: figure.range || [0, 1] }, shared: true,
    lines: figure.lines.map((line) => ({ points: line.x.map((at, place) => [at, line.y[place]]), color: line.color, dash: line.dash })),
    bars: figure.lines.flatMap((line) => line.x.flatMap((at, place) => (line.around[place] ? [{ from: [at, line.around[place][0]], to: [at, line.around[place][1]], color: line.color }] : []))),
    marks: figure.lines.flatMap((line) => line.x.map((at, place) => ({ x: at, y: line.y[place], color: line.color, symbol: line.symbol, size: 0.8, name: line.title,
      text: written(line.y[place]) + (line.around[place] ? ` [${line.around[place].map(written).join(', ')}]` : '') }))),
  }));
}

/** Quality against cost: points with intervals, the front as a line, and every label where it covers nothing. */
function pareto(holder) {
  const { qualities, costs, fronts, points } = dataOf(holder.dataset.pareto);
  const choices = holder.querySelector('.choices'), note = holder.querySelector('p');
  let redraw = () => {};
  const option = ({ key, title }) => [key, title];
  const quality = choice(choices, 'Quality', qualities.map(option), () => redraw());
  const cost = choice(choices, 'Cost', costs.map(option), () => redraw());
  redraw = chart(holder.querySelector('.chart'), () => {
    const y = qualities[quality.selectedIndex], x = costs[cost.selectedIndex];
    const front = fronts[`${y.key}|${x.key}`].map((place) => points[place]);
    const best = front.length ? `On the front, where no other variant is better in one beyond the noise and not worse in the other: ${front.map(({ label }) => label).join(', ')}.` : 'No variant is behind another one beyond the noise.';
    note.textContent = `Arrows point to the better end. ${best}`;
    const at = ({ at: axes }) => [axes[x.key].value, axes[y.key].value];
    const bars = points.flatMap((point) => {
      const [a, b] = at(point), across = point.at[x.key].around, along = point.at[y.key].around;
      return [along && { from: [a, along[0]], to: [a, along[1]], color: point.color }, across && { from: [across[0], b], to: [across[1], b], color: point.color }].filter(Boolean);
    });
    // Labels stand inside, and those of neighbors in turn above and below their points.
    const ordered = [...points].sort((one, other) => at(one)[0] - at(other)[0]);
    const beside = (point) => (at(point)[0] > (x.range[0] + x.range[1]) / 2 ? { dx: -9, anchor: 'end' } : { dx: 9, anchor: 'start' });
    const title = (axis) => (axis.better === 'more' ? `${axis.text} →` : `← ${axis.text}`);
    return {
      x: { title: title(x), range: x.range }, y: { title: title(y), range: y.range }, bars,
      lines: [{ points: front.map(at), color: 'var(--am-soft)', dash: 'dot', width: 1.2 }],
      marks: points.map((point) => ({ x: at(point)[0], y: at(point)[1], color: point.color, symbol: point.symbol, size: 1.1, text: `${point.label}: ${y.title} ${point.at[y.key].text}, ${x.title} ${point.at[x.key].text}` })),
      labels: points.map((point) => ({ x: at(point)[0], y: at(point)[1], text: point.label, dy: ordered.indexOf(point) % 2 ? 14 : -6, ...beside(point) })),
    };
  });
}

// The buttons above the curves show and hide a variant in them.
for (const block of document.querySelectorAll('[data-charts]')) {
  const off = block.querySelectorAll('.keys [aria-pressed="false"]');
  const hidden = new Set([...off].map((button) => button.dataset.label));
  const redraw = [...block.querySelectorAll('[data-curves]')].flatMap((holder) => {
    const figures = dataOf(holder.dataset.curves);
    return [...holder.querySelectorAll('.chart')].map((node, place) => curve(node, figures[place], hidden));
  });
  for (const holder of block.querySelectorAll('[data-along]')) {
    const figures = dataOf(holder.dataset.along);
    holder.querySelectorAll('.chart').forEach((node, place) => along(node, figures[place]));
  }
  block.querySelectorAll('[data-pareto]').forEach(pareto);
  for (const button of block.querySelectorAll('.keys button')) {
    button.addEventListener('click', () => {
      const { label } = button.dataset, shown = hidden.delete(label) || !hidden.add(label);
      button.setAttribute('aria-pressed', String(shown));
      redraw.forEach((again) => again());
    });
  }
}
document.documentElement.dataset.drawn = 'all';
})();

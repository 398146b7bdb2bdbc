// The attention viewer: heat maps of several models on one sentence, with controls for sentence, site, layer, head and step.
// Whatever came from data is set through textContent or drawn by fillText.

const LARGEST_CELL = 26, SMALLEST_CELL = 11; // CSS pixels; below that not every label can be read, so the map scrolls instead
const LONG = 100; // tokens; a longer map shows some of its labels alone, in cells down to this size:
const SMALLEST_CELL_OF_LONG = 2;
const LINE = 10; // CSS pixels from one label to the next
const MOST_MAPS = 40; // that are shown before somebody asks for them; with more, one head of each series
const LONGEST = 16; // characters of a label
const IMAGE = 160; // CSS pixels of the longer side of an image, or somewhat less
const WAVE = 44; // CSS pixels of a drawing of sound, above the keys that stand for it
const PAUSE = 700; // milliseconds that a step stays when the steps are played
const FONT = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';

function element(tag, className = '', text = '') {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function shorten(label) {
  const characters = [...label.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')];
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : characters.join('');
}

const WEIGHTS = Float32Array.from({ length: 256 }, (_, code) => (code / 255) ** 2); // weights travel as round(255 sqrt(w))

/** What the views of a site show; the first is always there. */
const VIEWS = {
  weights: { title: 'attention weights', legend: 'weight 0 to 1, within 0.004' },
  rollout: {
    title: 'rollout',
    legend: 'rollout (Abnar and Zuidema 2020), 0 to 1: what the layers up to this one make of each position, by the mean over heads and residual connections',
  },
  norms: {
    title: 'value-weighted norms',
    legend: 'norm of weight times transformed value (Kobayashi et al. 2020); the fullest color is the largest of a model at this site',
  },
};

/** Unpack the views of all sites, in their order: site.views are bytes, laid out layer, head (of rollout none), query, key. */
async function unpack(data, sites) {
  const packed = Uint8Array.from(atob(data.weights), (byte) => byte.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const codes = new Uint8Array(await new Response(stream).arrayBuffer());
  let start = 0;
  for (const site of sites) {
    const size = site.queries.length * site.keys.length, take = (maps) => codes.subarray(start, (start += maps * size));
    site.views = { weights: take(site.layers * site.heads) };
    if (site.rollout) site.views.rollout = take(site.layers);
    if (site.largest_norm) site.views.norms = take(site.layers * site.heads);
  }
}

/** The codes of one map, query by query. */
function codesOf({ site, view, layer, head }) {
  const size = site.queries.length * site.keys.length, one = (map) => site.views[view].subarray(map * size, (map + 1) * size);
  if (view === 'rollout') return one(layer);
  if (head !== 'mean') return one(layer * site.heads + head);
  const sum = new Float32Array(size);
  for (let h = 0; h < site.heads; h++) one(layer * site.heads + h).forEach((code, at) => { sum[at] += WEIGHTS[code]; });
  return Uint8Array.from(sum, (total) => Math.round(255 * Math.sqrt(total / site.heads)));
}

function rowOf(entry, t) {
  const S = entry.site.keys.length;
  return Float32Array.from(entry.codes.subarray(t * S, (t + 1) * S), (code) => WEIGHTS[code]);
}

/** A function from weight to [r, g, b]. */
function rampOf(stops) {
  const colors = stops.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return (weight) => {
    const place = Math.min(Math.max(weight, 0), 1) * (colors.length - 1), low = Math.min(Math.floor(place), colors.length - 2);
    return colors[low].map((value, i) => Math.round(value + (colors[low + 1][i] - value) * (place - low)));
  };
}

/**
 * What one series shows for a choice: {probe, site, pairs, notes}; pairs are [layer, head] from 0, and notes say in words where
 * the series has something else than was chosen. site is null where it has nothing to show.
 */
function selectMaps(series, choice) {
  const nothing = (note) => ({ probe: null, site: null, pairs: [], notes: [note] });
  const step = series.steps.filter((one) => one.step <= choice.step).at(-1) ?? series.steps[0];
  if (!step) return nothing('This run has no maps.');
  const probe = step.probes.find((one) => one.probe === choice.probe);
  const site = probe?.sites.find((one) => one.site === choice.site);
  if (!site) return nothing(probe ? 'This model has no such attention site.' : 'This run has no maps of this sentence.');
  const notes = [];
  if (step.step !== choice.step && choice.step < Infinity) notes.push(`No maps of step ${choice.step}; shown is step ${step.step}.`);
  if (probe.text !== choice.text) notes.push(`Here the sentence is: ${probe.text}`);
  if (!site.views[choice.view]) {
    const why = choice.view === 'norms' ? site.no_norms || 'these maps were kept without values' : 'for self-attention without negative weights alone';
    return { probe, site: null, pairs: [], notes: [...notes, `No ${VIEWS[choice.view].title}: ${why}.`] };
  }
  const pick = (chosen, count, what) => {
    if (chosen < count) return [chosen];
    if (chosen === 'mean') return count > 1 ? ['mean'] : [0];
    if (chosen !== 'all') notes.push(`Has no ${what} ${chosen + 1}; shown ${count === 1 ? `is its only ${what}` : `are its ${count} ${what}s`}.`);
    return [...Array(count).keys()];
  };
  const heads = choice.view === 'rollout' ? [0] : pick(choice.head, site.heads, 'head');
  return { probe, site, pairs: pick(choice.layer, site.layers, 'layer').flatMap((layer) => heads.map((head) => [layer, head])), notes };
}

/** One head with a pixel for each cell; keys that a causal mask blocks stay clear. */
function pixelsOf(entry, ramp) {
  const { site } = entry, T = site.queries.length, S = site.keys.length, { codes } = entry;
  const canvas = Object.assign(document.createElement('canvas'), { width: S, height: T });
  const context = canvas.getContext('2d'), image = context.createImageData(S, T);
  const colors = Uint32Array.from(WEIGHTS, (weight) => ramp(weight).reduceRight((sum, one) => sum * 256 + one, 255));
  const pixels = new Uint32Array(image.data.buffer); // red in the lowest byte, opacity in the highest
  for (let t = 0; t < T; t++) {
    for (let s = 0, end = site.causal ? Math.min(t + 1, S) : S; s < end; s++) pixels[t * S + s] = colors[codes[t * S + s]];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Draw a sound, [lowest, highest] of equal parts of it, above the cells, as high as its loudest sample. */
function drawWave(context, parts, width, color) {
  const loudest = Math.max(...parts.flat().map(Math.abs), 1e-9), half = (WAVE - 8) / 2;
  context.beginPath();
  parts.forEach(([low, high], n) => {
    const x = (n + 0.5) * width / parts.length, y = -4 - half;
    context.moveTo(x, y - high / loudest * half - 0.5);
    context.lineTo(x, y - low / loudest * half + 0.5);
  });
  context.lineWidth = width / parts.length;
  context.strokeStyle = color;
  context.stroke();
}

/** Draw one head on its canvas; `row` is the query to mark, or -1. Sets entry.left and entry.top, where the cells begin. */
function drawMap(entry, { theme, cell, gold }, row) {
  const { canvas, site, small } = entry, T = site.queries.length, S = site.keys.length;
  const context = canvas.getContext('2d'), ratio = Math.max(window.devicePixelRatio || 1, 1);
  const font = `${Math.min(12, Math.max(8, cell * 0.86))}px ${FONT}`, every = Math.ceil(cell < SMALLEST_CELL ? LINE / cell : 1);
  context.font = font;
  const widest = (labels) => Math.ceil(Math.max(...labels.map((label) => context.measureText(shorten(label)).width))) + 8;
  entry.left ??= small ? 2 : widest(site.rows);
  const wave = site.wave && !small ? WAVE : 0;
  entry.top ??= small ? 2 : widest(site.keys) + wave;
  const { left, top } = entry;
  const width = left + S * cell + 2, height = top + T * cell + 2;
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  context.setTransform(ratio, 0, 0, ratio, left * ratio, top * ratio);
  const color = (weight) => `rgb(${theme.ramp(weight)})`;
  context.strokeStyle = theme.line;
  if (site.causal) { // a hatching of the keys that a causal mask blocks: these are no small weights, there are none
    context.beginPath();
    for (let sum = 1; sum < T + S - 2; sum += Math.ceil(SMALLEST_CELL / 2 / cell)) { // cells of one line: query + key
      const first = Math.floor(sum / 2) + 1, last = Math.min(sum, S - 1);
      context.moveTo(first * cell, (sum - first + 1) * cell);
      context.lineTo((last + 1) * cell, (sum - last) * cell);
    }
    context.stroke();
  }
  if (entry.ramp !== theme.ramp) Object.assign(entry, { pixels: pixelsOf(entry, theme.ramp), ramp: theme.ramp });
  context.imageSmoothingEnabled = false;
  context.drawImage(entry.pixels, 0, 0, S * cell, T * cell);
  context.lineWidth = 1;
  context.strokeRect(-0.5, -0.5, S * cell + 1, T * cell + 1);
  if (gold && site.sure) {
    context.strokeStyle = theme.gold;
    const sure = new Set(site.sure.map(String));
    for (const [t, s] of [...site.possible, ...site.sure]) { // a sure link is drawn over its dashes
      const isSure = sure.has(`${t},${s}`);
      context.lineWidth = isSure ? 2 : 1;
      context.setLineDash(isSure ? [] : [3, 2]);
      context.strokeRect(s * cell + 1.5, t * cell + 1.5, cell - 3, cell - 3);
    }
    context.setLineDash([]);
  }
  if (small) return;
  context.font = font;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  site.rows.forEach((label, t) => {
    if (every > 1 && t !== row && (t % every || (row >= 0 && Math.abs(t - row) * cell < LINE))) return;
    context.fillStyle = t === row ? theme.focus : theme.ink;
    context.fillText(shorten(label), -5, (t + 0.5) * cell + 0.5);
  });
  context.textAlign = 'left';
  site.keys.forEach((label, s) => {
    context.save();
    context.translate((s + 0.5) * cell, -5 - wave);
    context.rotate(-Math.PI / 2);
    context.fillStyle = theme.ink;
    if (row >= 0 && !(site.causal && s > row)) { // a key takes the color of its weight in the marked row
      const [r, g, b] = theme.ramp(rowOf(entry, row)[s]);
      context.fillStyle = color(rowOf(entry, row)[s]);
      context.fillRect(-3, -cell / 2, top - wave - 2, cell);
      context.fillStyle = 0.3 * r + 0.59 * g + 0.11 * b > 120 ? '#000' : '#fff';
    }
    if (s % every === 0) context.fillText(shorten(label), 0, 0.5);
    context.restore();
  });
  if (wave) drawWave(context, site.wave, S * cell, theme.ink);
  if (row < 0) return;
  context.strokeStyle = theme.focus;
  context.lineWidth = 2;
  context.strokeRect(-1, row * cell - 1, S * cell + 2, cell + 2); // around the row: inside, it would cover small cells
}

/** Draw the image whose squares the first keys are, with the weights of query `row` over it; -1: see pooledOf. */
function drawImage(entry, over, row) {
  const { picture, site, probe: { image, patch } } = entry, scale = Math.max(1, Math.floor(IMAGE / Math.max(image.length, image[0].length)));
  Object.assign(picture, { width: image[0].length * scale, height: image.length * scale });
  const context = picture.getContext('2d'), weights = (row < 0 ? pooledOf(entry) : rowOf(entry, row)).subarray(0, site.squares);
  image.forEach((line, y) => line.forEach((level, x) => {
    context.fillStyle = `rgb(${level},${level},${level})`;
    context.fillRect(x * scale, y * scale, scale, scale);
  }));
  const columns = image[0].length / patch, side = patch * scale, most = Math.max(...weights, 1e-9);
  context.fillStyle = over;
  weights.forEach((weight, s) => {
    context.globalAlpha = 0.75 * weight / most;
    context.fillRect((s % columns) * side, Math.floor(s / columns) * side, side, side);
  });
}

/** The weights of the last query where it is no square of the image, else their mean over all queries. */
function pooledOf(entry) {
  const { queries, keys, squares } = entry.site, sum = new Float32Array(keys.length);
  if (queries.length > squares) return rowOf(entry, queries.length - 1);
  queries.forEach((_, t) => rowOf(entry, t).forEach((weight, s) => { sum[s] += weight / queries.length; }));
  return sum;
}

class AttentionMaps {
  constructor(root, data) {
    const steps = data.series.flatMap((series) => series.steps), probes = steps.flatMap((step) => step.probes);
    const sites = probes.flatMap((probe) => probe.sites);
    Object.assign(this, { root, data, active: null, maps: [], timer: null, ramps: {} }); // active: the marked query, {index, label}
    if (!sites.length) {
      root.append(element('p', 'am-note', 'There are no attention maps.'));
      return;
    }
    this.steps = [...new Set(steps.map((one) => one.step))].sort((a, b) => a - b);
    this.moves = data.series.some((series) => series.steps.length > 1); // else each has its own step
    unpack(data, sites).then(() => this.build(probes, sites));
  }

  build(probes, sites) {
    const { root } = this;
    this.buildControls(probes, sites);
    this.legend = element('div', 'am-legend');
    this.blocks = element('div');
    this.tip = element('div', 'am-tip');
    root.append(this.controls, this.legend, this.blocks, this.tip);
    this.dark = window.matchMedia('(prefers-color-scheme: dark)');
    this.dark.addEventListener('change', () => this.redraw());
    let width = 0;
    new ResizeObserver(() => {
      if (Math.abs(root.clientWidth - width) < 2) return; // a scroll bar that comes and goes must not redraw forever
      width = root.clientWidth;
      this.show();
    }).observe(root);
  }

  buildControls(probes, sites) {
    const most = (what) => Math.max(...sites.map((site) => site[what]));
    const all = (what, count) => [...(count > 1 ? [['all', `all ${what}s`]] : []), ...Array.from({ length: count }, (_, n) => [n, `${what} ${n + 1}`])];
    const titles = new Map(sites.map((site) => [site.site, site.title]));
    const alignment = sites.find((site) => String(site.queries) !== String(site.keys)) ?? sites[0]; // cross-attention first
    const layers = most('layers'), heads = most('heads'), many = this.data.series.length * heads > MOST_MAPS;
    this.controls = element('div', 'am-controls');
    this.sentences = [...new Map(probes.map((one) => [one.probe, one.text]).reverse())].sort((a, b) => a[0] - b[0]);
    const several = this.sentences.length > 1;
    this.sentence = this.addSelect('Sentence', [...(several ? [['all', 'all sentences']] : []), ...this.sentences], several && !this.data.together ? 1 : 0);
    this.site = this.addSelect('Site', [...titles], [...titles.keys()].indexOf(alignment.site));
    const views = Object.keys(VIEWS).filter((view) => sites.some((site) => site.views[view] || (view === 'norms' && site.no_norms)));
    this.view = this.addSelect('View', views.map((view) => [view, VIEWS[view].title]), 0);
    this.layer = this.addSelect('Layer', all('layer', layers), layers > 1 ? layers : 0);
    this.head = this.addSelect('Head', all('head', heads), many && heads > 1 ? 1 : 0);
    if (heads > 1) this.head.append(Object.assign(element('option', '', 'mean over heads'), { value: 'mean' }));
    this.step = Object.assign(element('input'), { type: 'range', min: 0, max: this.steps.length - 1 });
    this.step.value = this.steps.length - 1;
    this.play = element('button', 'am-play', '▶');
    this.play.setAttribute('aria-label', 'Play the training steps');
    this.play.addEventListener('click', () => this.playOn(!this.timer));
    const field = this.addField('Training step', this.step);
    this.step.addEventListener('input', (event) => event.played || this.playOn(false));
    this.stepLabel = field.firstChild;
    this.controls.insertBefore(this.play, field);
    this.play.hidden = field.hidden = this.steps.length < 2 || !this.moves;
    this.gold = Object.assign(element('input'), { type: 'checkbox', checked: true });
    this.addField('gold alignment', this.gold).hidden = !sites.some((site) => site.sure);
  }

  addField(label, control) {
    const field = element('label', 'am-field');
    field.append(element('span', '', label), control);
    control.setAttribute('aria-label', label);
    control.addEventListener('input', () => this.show());
    this.controls.append(field);
    return field;
  }

  addSelect(label, options, chosen) {
    const select = element('select');
    for (const [value, text] of options) select.append(Object.assign(element('option', '', text), { value }));
    select.selectedIndex = chosen;
    this.addField(label, select).hidden = options.length < 2;
    return select;
  }

  /** Go through the steps from the one after the chosen, again from the first after the last; or stop. */
  playOn(on) {
    clearInterval(this.timer);
    this.timer = on && setInterval(() => this.nextStep(), PAUSE);
    if (on) this.nextStep();
    this.play.textContent = on ? '❚❚' : '▶';
    this.play.setAttribute('aria-label', on ? 'Stop' : 'Play the training steps');
  }

  nextStep() {
    this.step.value = (Number(this.step.value) + 1) % this.steps.length;
    this.step.dispatchEvent(Object.assign(new Event('input'), { played: true }));
  }

  /** Build all cards anew for the chosen sentences, site, view, layer, head and step. */
  show() {
    const number = ({ value }) => (/^\d+$/.test(value) ? Number(value) : value);
    const step = this.moves ? this.steps[Number(this.step.value)] : Infinity, view = this.view.value;
    const choice = { site: this.site.value, view, layer: number(this.layer), head: number(this.head), step };
    this.head.disabled = view === 'rollout';
    const chosen = this.sentences.filter(([probe]) => this.sentence.value === 'all' || this.sentence.value === String(probe));
    const shown = chosen.map(([probe, text]) => this.data.series.map((series) => selectMaps(series, { ...choice, probe, text })));
    this.small = choice.layer === 'all' && shown.flat().some(({ pairs }) => pairs.at(-1)?.[0] > 0 && pairs.at(-1)[1] > 0);
    this.stepLabel.textContent = `Training step ${step}`;
    this.step.setAttribute('aria-valuetext', `step ${step}`);
    this.active = null;
    this.tip.hidden = true;
    this.cell = this.fitCell(shown.flat(), shown.length);
    Object.assign(this, { maps: [], tables: [] });
    const moved = [...this.blocks.querySelectorAll('.am-grid')].map((grid) => grid.scrollLeft); // on a phone the cards stand in a strip
    this.blocks.replaceChildren(...chosen.flatMap(([, text], place) => {
      const grid = element('div', 'am-grid');
      grid.append(...shown[place].map((one, index) => this.card(this.data.series[index], one, view)));
      return [element('p', 'am-text', text), grid];
    }));
    this.fillLegend(shown.flat().map((one) => one.site).filter(Boolean), view);
    this.redraw();
    this.blocks.querySelectorAll('.am-grid').forEach((grid, place) => { grid.scrollLeft = moved[place] ?? 0; });
  }

  /** One cell size for all maps, so that they compare: as large as lets the cards stand side by side. */
  fitCell(shown, sentences) {
    const sites = shown.map((one) => one.site).filter(Boolean);
    if (!sites.length) return LARGEST_CELL;
    const total = shown.reduce((sum, one) => sum + one.pairs.length, 0) / sentences, width = this.root.clientWidth * (window.innerWidth > 520 ? 1 : 0.86);
    const longest = Math.max(...sites.map((site) => site.keys.length));
    if (this.small) {
      const heads = Math.max(...sites.map((site) => site.heads));
      return Math.max(SMALLEST_CELL_OF_LONG, Math.min(SMALLEST_CELL - 1, Math.floor(((width - 90) / heads - 12) / longest)));
    }
    const columns = Math.max(1, Math.min(Math.ceil(total), Math.floor(width / 300)));
    const labels = Math.max(...sites.flatMap((site) => site.rows.map((label) => shorten(label).length)));
    const room = (width / columns - 42 - 7.3 * labels) / longest;
    return Math.max(longest > LONG ? SMALLEST_CELL_OF_LONG : SMALLEST_CELL, Math.min(LARGEST_CELL, Math.floor(room)));
  }

  card(series, { probe, site, pairs, notes }, view) {
    const card = element('figure', 'am-card'), maps = element('div', this.small ? 'am-matrix' : 'am-maps');
    card.style.setProperty('--am-series', series.color);
    maps.style.setProperty('--am-heads', view === 'rollout' ? 1 : site?.heads ?? 1);
    maps.append(...pairs.map(([layer, head]) => this.map(series, probe, site, view, layer, head)));
    card.append(element('figcaption', '', series.label), ...notes.map((note) => element('p', 'am-note', note)), maps);
    if (probe?.next) card.append(this.nextTokens(probe, site));
    return card;
  }

  /** What the model takes for likely after each token that it has read. */
  nextTokens({ next }, site) {
    const details = element('details', 'am-next'), scroll = element('div', 'am-scroll'), table = element('table');
    const rows = next.map(([read, likely]) => {
      const row = element('tr');
      row.append(element('th', '', shorten(read)), ...likely.map(([token, probability]) => {
        const cell = element('td', '', `${shorten(token)} `);
        cell.append(element('b', '', probability.toFixed(2)));
        cell.style.setProperty('--am-share', `${100 * probability}%`);
        return cell;
      }));
      return row;
    });
    table.append(...rows);
    scroll.append(table);
    details.append(element('summary', '', 'likely next tokens, after each token read'), scroll);
    if (site && String(site.queries) === String(next.map(([read]) => read))) this.tables.push({ site, rows });
    return details;
  }

  map(series, probe, site, view, layer, head) {
    const node = element('div', 'am-map'), scroll = element('div', 'am-scroll'), canvas = element('canvas'), row = element('p', 'am-row');
    const what = head === 'mean' ? `mean of ${site.heads} heads` : `head ${head + 1}`, { small } = this;
    const name = view === 'rollout' ? `rollout to layer ${layer + 1}` : `layer ${layer + 1} · ${what}`;
    const entry = { probe, site, view, layer, head, canvas, row, small, scale: view === 'norms' ? site.largest_norm : 1 };
    entry.codes = codesOf(entry);
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${series.label}, ${name}: ${VIEWS[view].title}; ${small ? 'Enter opens it, ' : ''}arrow keys choose a query`);
    for (const kind of ['pointermove', 'pointerdown']) canvas.addEventListener(kind, (event) => this.point(entry, event));
    canvas.addEventListener('pointerleave', (event) => event.pointerType === 'mouse' && this.activate(null));
    canvas.addEventListener('keydown', (event) => this.key(entry, event));
    canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && !this.active && this.activate(entry, 0));
    if (small) canvas.addEventListener('click', () => this.open(entry));
    scroll.append(canvas);
    if (site.squares && !small) {
      entry.picture = element('canvas', 'am-image');
      entry.picture.setAttribute('role', 'img');
      entry.picture.setAttribute('aria-label', `${series.label}, ${name}: the weights over the image`);
    }
    node.append(element('div', 'am-name', name), scroll, ...(entry.picture ? [entry.picture] : []));
    if (view === 'weights' && head !== 'mean' && !small) node.append(this.numbers(site.numbers[layer * site.heads + head]));
    if (view === 'norms' && !small) node.append(element('div', 'am-numbers', `fullest color: norm ${entry.scale.toFixed(2)}`));
    if (!small) node.append(row);
    this.maps.push(entry);
    return node;
  }

  /** Show one map of a grid of layers and heads alone, and large. */
  open({ layer, head }) {
    this.layer.value = layer;
    this.head.value = head;
    this.show();
  }

  numbers([entropy, distance, largest, aer]) {
    const list = element('div', 'am-numbers'), rows = [
      ['entropy', entropy, ' nats', 'entropy of the weights, mean over queries'],
      ['distance', distance, ' tokens', 'mean distance between query and key, along the diagonal in cross-attention'],
      ['largest', largest, '', 'largest weight, mean over queries'],
      ['AER', aer, '', 'alignment error rate against the gold alignment; 0 is perfect'],
    ];
    for (const [name, value, unit, title] of rows.filter((row) => row[1] !== null)) {
      const item = Object.assign(element('span', '', `${name} `), { title });
      item.append(element('b', '', value.toFixed(2)), unit);
      list.append(item);
    }
    return list;
  }

  fillLegend(sites, view) {
    const add = (className, text) => {
      const item = element('span'), mark = element('i', className);
      item.append(mark, text);
      this.legend.append(item);
      return mark;
    };
    this.legend.replaceChildren();
    this.ramp = add('am-ramp', this.head.value === 'mean' && view === 'weights' ? 'mean of the weights over heads, 0 to 1' : VIEWS[view].legend);
    if (sites.some((site) => site.causal)) add('am-blocked', 'masked');
    if (this.gold.checked && sites.some((site) => site.sure)) {
      add('am-sure', 'gold, sure').style.borderColor = this.data.gold;
      add('am-possible', 'gold, possible').style.borderColor = this.data.gold;
    }
    const [pictured] = sites.filter((site) => site.squares);
    if (pictured) {
      const whose = pictured.queries.length > pictured.squares ? pictured.queries.at(-1) : 'all rows, mean';
      add('am-over', `over the image: the marked row, else ${whose}; the fullest color is the largest weight`).style.background = this.data.over;
    }
    const axes = [...new Set(sites.map((site) => `rows: ${site.axes[0]}, columns: ${site.axes[1]}`))].join('; ');
    const how = this.small ? 'click a map to see it large' : 'point at a row or use the arrow keys to read it';
    this.legend.append(element('span', '', axes ? `${axes}; ${how}` : ''));
  }

  /** Draw every canvas with the current colors and the marked row. */
  redraw() {
    const style = getComputedStyle(this.root);
    // On a dark page the ramp runs the other way, so that 0 is close to the page.
    const stops = this.dark.matches ? [...this.data.ramp].reverse() : this.data.ramp;
    this.ramp.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    const theme = { ramp: (this.ramps[this.dark.matches] ??= rampOf(stops)), gold: this.data.gold };
    for (const name of ['ink', 'line', 'focus']) theme[name] = style.getPropertyValue(`--am-${name}`).trim();
    const marked = ({ rows }) => { // the same place in each map where the label agrees, else the first equal label
      if (!this.active) return -1;
      return rows[this.active.index] === this.active.label ? this.active.index : rows.indexOf(this.active.label);
    };
    for (const { site, rows } of this.tables) rows.forEach((row, t) => row.classList.toggle('am-marked', t === marked(site)));
    for (const entry of this.maps) {
      const { rows, keys } = entry.site, row = marked(entry.site);
      drawMap(entry, { theme, cell: this.cell, gold: this.gold.checked }, row);
      if (entry.picture) drawImage(entry, this.data.over, row);
      const weights = row < 0 ? [] : rowOf(entry, row), best = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, 3);
      const words = best.map((s) => `${shorten(keys[s])} ${(weights[s] * entry.scale).toFixed(3)}`).join(', ');
      entry.row.textContent = row < 0 ? '' : `${shorten(rows[row])} → ${words}`;
    }
  }

  activate(entry, t) {
    if (!entry) this.tip.hidden = true;
    if (!entry && !this.active) return;
    this.active = entry && { index: t, label: entry.site.rows[t] };
    this.redraw();
  }

  /** The pointer is over a map: mark its row in all maps and show the weight under it. */
  point(entry, event) {
    const box = entry.canvas.getBoundingClientRect(), { site } = entry, root = this.root.getBoundingClientRect();
    const s = Math.floor((event.clientX - box.left - entry.left) / this.cell), t = Math.floor((event.clientY - box.top - entry.top) / this.cell);
    if (t < 0 || t >= site.queries.length || s >= site.keys.length) return this.activate(null);
    if (this.active?.index !== t) this.activate(entry, t);
    this.tip.hidden = s < 0;
    if (s < 0) return;
    const value = site.causal && s > t ? 'masked' : (rowOf(entry, t)[s] * entry.scale).toFixed(3);
    const read = site.rows[t] === site.queries[t] ? '' : `\nwritten after reading ${shorten(site.queries[t])}`;
    this.tip.textContent = `${shorten(site.rows[t])} → ${shorten(site.keys[s])}\n${value}${read}`;
    this.tip.style.left = `${Math.max(0, Math.min(event.clientX - root.left + 14, root.width - this.tip.offsetWidth - 2))}px`;
    this.tip.style.top = `${event.clientY - root.top + 18}px`;
  }

  key(entry, event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], last = entry.site.queries.length - 1;
    if (event.key === 'Escape') this.activate(null);
    if (event.key === 'Enter' && entry.small) this.open(entry);
    if (!step) return;
    event.preventDefault();
    const now = this.active ? this.active.index : step > 0 ? -1 : last + 1;
    this.activate(entry, Math.min(Math.max(now + step, 0), last));
  }
}

for (const root of document.querySelectorAll('.attention-maps')) {
  new AttentionMaps(root, JSON.parse(document.getElementById(root.dataset.maps).textContent));
}

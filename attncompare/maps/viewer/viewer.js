// The viewer's controls and cards. Everything shown that came from data is set through textContent or drawn on a canvas.

const LARGEST_CELL = 26, SMALLEST_CELL = 11; // CSS pixels; below that token labels cannot be read, so the map scrolls instead
const MOST_MAPS = 40; // that are shown before somebody asks for them: with more, one head of each series

class AttentionMaps {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.choices = choicesOf(data);
    this.active = null; // {index, label} of the query under the pointer or chosen by the arrow keys
    this.maps = [];
    this.dark = window.matchMedia('(prefers-color-scheme: dark)');
    this.printing = false;
    if (!this.choices.sentences.length || !this.choices.sites.length) {
      root.append(element('p', 'am-note', 'No attention maps were kept.'));
      return;
    }
    this.buildControls();
    this.text = element('p', 'am-text');
    this.legend = element('div', 'am-legend');
    this.grid = element('div', 'am-grid');
    this.tip = element('div', 'am-tip');
    this.tip.hidden = true;
    root.append(this.controls, this.text, this.legend, this.grid, this.tip);
    this.dark.addEventListener('change', () => this.redraw());
    window.addEventListener('beforeprint', () => this.print(true));
    window.addEventListener('afterprint', () => this.print(false));
    let width = 0;
    new ResizeObserver(() => {
      if (Math.abs(root.clientWidth - width) < 2) return; // a scroll bar that comes and goes must not redraw forever
      width = root.clientWidth;
      this.show();
    }).observe(root);
  }

  buildControls() {
    const { sentences, sites, layers, heads, steps, gold } = this.choices;
    const titles = this.data.siteTitles;
    const all = (what, count) => [
      ...(count > 1 ? [['all', `all ${what}s`]] : []),
      ...Array.from({ length: count }, (_, index) => [String(index), `${what} ${index + 1}`]),
    ];
    this.controls = element('div', 'am-controls');
    this.sentence = this.addSelect('Sentence', sentences.map((one) => [String(one.probe), one.text]), 0);
    this.sentence.parentElement.classList.add('am-wide');
    const preferred = sites.includes('cross') ? 'cross' : sites[0]; // where alignment shows
    this.site = this.addSelect('Site', sites.map((site) => [site, titles[site]]), sites.indexOf(preferred));
    this.layer = this.addSelect('Layer', all('layer', layers), layers > 1 ? layers : 0);
    const many = this.data.series.length * heads > MOST_MAPS;
    this.head = this.addSelect('Head', all('head', heads), many && heads > 1 ? 1 : 0);
    this.addStep(steps);
    this.addGold(gold);
  }

  addField(label, control, className = 'am-field') {
    const field = element('label', className);
    field.append(element('span', '', label), control);
    control.setAttribute('aria-label', label);
    this.controls.append(field);
    control.addEventListener('input', () => this.show());
    return field;
  }

  addSelect(label, options, chosen) {
    const select = element('select');
    for (const [value, text] of options) {
      const option = element('option', '', text);
      option.value = value;
      select.append(option);
    }
    select.selectedIndex = chosen;
    this.addField(label, select).hidden = options.length < 2;
    return select;
  }

  addStep(steps) {
    this.step = element('input');
    this.step.type = 'range';
    this.step.min = 0;
    this.step.max = steps.length - 1;
    this.step.value = steps.length - 1;
    const field = this.addField('Training step', this.step);
    this.stepLabel = field.firstChild;
    const steering = element('div', 'am-steps'); // beside the field, as a label gives clicks to its first control
    steering.append(playButton(this.step), field);
    steering.hidden = steps.length < 2;
    this.controls.append(steering);
  }

  addGold(known) {
    this.gold = element('input');
    this.gold.type = 'checkbox';
    this.gold.checked = true;
    const field = this.addField('gold alignment', this.gold, 'am-field am-check');
    field.prepend(this.gold);
    field.hidden = !known;
  }

  choice() {
    const number = (select) => (select.value === 'all' ? 'all' : Number(select.value));
    const sentence = this.choices.sentences[this.sentence.selectedIndex];
    return {
      probe: sentence.probe, text: sentence.text, site: this.site.value, layer: number(this.layer), head: number(this.head),
      step: this.choices.steps[Number(this.step.value)],
    };
  }

  /** Build all cards anew for the current choice. */
  show() {
    const choice = this.choice();
    const shown = this.data.series.map((series) => selectMaps(series, choice, this.data.siteTitles));
    this.stepLabel.textContent = `Training step ${choice.step}`;
    this.step.setAttribute('aria-valuetext', `step ${choice.step}`);
    this.text.textContent = choice.text;
    this.active = null;
    this.tip.hidden = true;
    this.cell = this.fitCell(shown);
    this.maps = [];
    const { scrollLeft } = this.grid;
    this.grid.replaceChildren(...shown.map((one, index) => this.card(this.data.series[index], one)));
    const sites = shown.filter((one) => one.site).map((one) => one.site);
    this.ramp = fillLegend(this.legend, sites, this.gold.checked, this.data.gold);
    this.redraw();
    this.grid.scrollLeft = scrollLeft; // on a phone the cards stand in a strip
  }

  /** One cell size for all maps, so that they compare: as large as lets the cards stand side by side. */
  fitCell(shown) {
    const sites = shown.filter((one) => one.site).map((one) => one.site);
    if (!sites.length) return LARGEST_CELL;
    const longest = Math.max(...sites.map((site) => site.keys.length));
    const total = shown.reduce((sum, one) => sum + one.pairs.length, 0);
    const narrow = shown.length > 1 && window.matchMedia('(max-width: 520px)').matches; // there a card leaves room for the next
    const width = this.root.clientWidth * (narrow ? 0.86 : 1);
    const columns = Math.max(1, Math.min(total, Math.floor(width / 300)));
    const labels = Math.max(...sites.flatMap((site) => site.queries.map((label) => shorten(label).length)));
    const room = width / columns - 42 - 7.3 * labels;
    return Math.max(SMALLEST_CELL, Math.min(LARGEST_CELL, Math.floor(room / longest)));
  }

  card(series, { site, pairs, notes }) {
    const card = element('figure', 'am-card');
    card.style.setProperty('--am-series', series.color);
    card.append(element('figcaption', '', series.label));
    for (const note of notes) card.append(element('p', 'am-note', note));
    const maps = element('div', 'am-maps');
    for (const [layer, head] of pairs) maps.append(this.map(series, site, layer, head));
    card.append(maps);
    return card;
  }

  map(series, site, layer, head) {
    const node = element('div', 'am-map');
    const name = `layer ${layer + 1} · head ${head + 1}`;
    const scroll = element('div', 'am-scroll');
    const canvas = element('canvas');
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${series.label}, ${name}: attention weights; arrow keys choose a query`);
    scroll.append(canvas);
    const row = element('p', 'am-row');
    const entry = { site, layer, head, canvas, row, margins: null };
    canvas.addEventListener('pointermove', (event) => this.point(entry, event));
    canvas.addEventListener('pointerdown', (event) => this.point(entry, event));
    canvas.addEventListener('pointerleave', (event) => event.pointerType === 'mouse' && this.activate(null));
    canvas.addEventListener('keydown', (event) => this.key(entry, event));
    canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && !this.active && this.activate(entry, 0));
    node.append(element('div', 'am-name', name), scroll, numbersOf(site, layer, head), row);
    this.maps.push(entry);
    return node;
  }

  /** Draw every canvas with the current colors and row. */
  redraw() {
    const style = getComputedStyle(this.root), paper = { ink: '#000', soft: '#444', line: '#bbb', card: '#fff', focus: '#000' };
    // On a dark page the ramp runs the other way, so that 0 is close to the page.
    const stops = this.dark.matches && !this.printing ? [...this.data.ramp].reverse() : this.data.ramp;
    this.ramp.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
    const theme = { ramp: rampOf(stops), gold: this.data.gold };
    for (const name of Object.keys(paper)) {
      theme[name] = this.printing ? paper[name] : style.getPropertyValue(`--am-${name}`).trim();
    }
    for (const entry of this.maps) {
      const active = this.active ? matchLabel(entry.site.queries, this.active.index, this.active.label) : -1;
      const look = { theme, cell: this.cell, active, gold: this.gold.checked };
      entry.margins = drawMap(entry.canvas, entry.site, entry.layer, entry.head, look);
      entry.row.textContent = active < 0 ? '' : rowText(entry, active);
    }
  }

  activate(entry, t) {
    if (!entry && !this.active) return;
    this.active = entry ? { index: t, label: entry.site.queries[t] } : null;
    if (!entry) this.tip.hidden = true;
    this.redraw();
  }

  /** The pointer is over a map: mark its row in all maps and show the weight under it. */
  point(entry, event) {
    const box = entry.canvas.getBoundingClientRect();
    const s = Math.floor((event.clientX - box.left - entry.margins.left) / this.cell);
    const t = Math.floor((event.clientY - box.top - entry.margins.top) / this.cell);
    const { site } = entry;
    if (t < 0 || t >= site.queries.length || s >= site.keys.length) return this.activate(null);
    if (!this.active || this.active.index !== t) this.activate(entry, t);
    this.tip.hidden = s < 0;
    if (s < 0) return undefined;
    const blocked = site.causal && s > t;
    const value = blocked ? 'blocked' : rowWeights(entry, t)[s].toFixed(3);
    this.tip.textContent = `${shorten(site.queries[t])} → ${shorten(site.keys[s])}\n${value}`;
    const root = this.root.getBoundingClientRect();
    const left = Math.min(event.clientX - root.left + 14, root.width - this.tip.offsetWidth - 2);
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${event.clientY - root.top + 18}px`;
    return undefined;
  }

  key(entry, event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') this.activate(null);
    if (!step) return;
    event.preventDefault();
    const last = entry.site.queries.length - 1;
    const now = this.active ? this.active.index : step > 0 ? -1 : last + 1;
    this.activate(entry, Math.min(Math.max(now + step, 0), last));
  }

  print(printing) {
    this.printing = printing;
    this.redraw();
  }
}

for (const root of document.querySelectorAll('.attention-maps')) {
  new AttentionMaps(root, JSON.parse(document.getElementById(root.dataset.maps).textContent));
}

// One heat map on a canvas: cells, token labels, gold outlines, and the row under the pointer. Text only ever goes through fillText.

const LABEL_FONT = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const LONGEST = 16; // characters of a label

function shorten(label) {
  const characters = [...label.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')];
  return characters.length > LONGEST ? characters.slice(0, LONGEST - 1).join('') + '…' : characters.join('');
}

function hexToRgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A function from weight to [r, g, b]. */
function rampOf(stops) {
  const colors = stops.map(hexToRgb);
  return (weight) => {
    const place = Math.min(Math.max(weight, 0), 1) * (colors.length - 1);
    const low = Math.min(Math.floor(place), colors.length - 2);
    return colors[low].map((value, i) => Math.round(value + (colors[low + 1][i] - value) * (place - low)));
  };
}

function rgb([r, g, b]) {
  return `rgb(${r},${g},${b})`;
}

/** Room for labels around the cells, in CSS pixels: {left, top, font}. */
function marginsOf(site, cell, context) {
  const size = Math.min(12, Math.max(8, cell * 0.86));
  context.font = `${size}px ${LABEL_FONT}`;
  const widest = (labels) => Math.max(...labels.map((label) => context.measureText(shorten(label)).width));
  return { left: Math.ceil(widest(site.queries)) + 8, top: Math.ceil(widest(site.keys)) + 8, font: context.font };
}

/**
 * Draw layer, head of site. theme: {ramp, ink, soft, line, card, focus, gold}; cell: size in CSS pixels;
 * active: the query row to mark, or -1. Returns the margins, by which a pointer's place is turned into a cell.
 */
function drawMap(canvas, site, layer, head, { theme, cell, active, gold }) {
  const T = site.queries.length, S = site.keys.length;
  const context = canvas.getContext('2d');
  const margins = marginsOf(site, cell, context);
  const width = margins.left + S * cell + 2, height = margins.top + T * cell + 2;
  const ratio = Math.max(window.devicePixelRatio || 1, 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const weights = weightsOf(site), start = (layer * site.heads + head) * T * S;
  context.translate(margins.left, margins.top);
  for (let t = 0; t < T; t++) {
    for (let s = 0; s < S; s++) {
      if (site.causal && s > t) continue;
      context.fillStyle = rgb(theme.ramp(weights[start + t * S + s]));
      context.fillRect(s * cell, t * cell, cell, cell);
    }
  }
  if (site.causal) hatchBlocked(context, T, cell, theme);
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.strokeRect(-0.5, -0.5, S * cell + 1, T * cell + 1);
  if (gold && site.sure) outlineGold(context, site, cell, theme);
  drawLabels(context, site, cell, margins, theme, active, (s) => (active < 0 ? 0 : weights[start + active * S + s]));
  if (active >= 0) {
    context.strokeStyle = theme.focus;
    context.lineWidth = 2;
    context.strokeRect(0, active * cell, S * cell, cell);
  }
  return margins;
}

/** Keys that a causal mask blocks are hatched: they are no small weights, they are none. */
function hatchBlocked(context, T, cell, theme) {
  context.save();
  context.beginPath();
  for (let t = 0; t < T - 1; t++) context.rect((t + 1) * cell, t * cell, (T - 1 - t) * cell, cell);
  context.clip();
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = -T * cell; x < T * cell; x += 6) {
    context.moveTo(x, T * cell);
    context.lineTo(x + T * cell, 0);
  }
  context.stroke();
  context.restore();
}

/** Sure links are outlined thick, possible links thin and dashed. */
function outlineGold(context, site, cell, theme) {
  const sure = new Set(site.sure.map(([t, s]) => `${t},${s}`));
  context.save();
  context.strokeStyle = theme.gold;
  for (const [t, s] of unique([...site.possible, ...site.sure].map(String)).map((pair) => pair.split(',').map(Number))) {
    const isSure = sure.has(`${t},${s}`);
    context.lineWidth = isSure ? 2 : 1;
    context.setLineDash(isSure ? [] : [3, 2]);
    context.strokeRect(s * cell + 1.5, t * cell + 1.5, cell - 3, cell - 3);
  }
  context.restore();
}

/** Queries to the left, keys upwards on top; with an active row its query is marked and every key takes the color of its weight. */
function drawLabels(context, site, cell, margins, theme, active, weightOfKey) {
  context.font = margins.font;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  site.queries.forEach((label, t) => {
    if (t === active) {
      context.fillStyle = theme.focus;
      context.fillRect(-margins.left, t * cell, margins.left - 2, cell);
    }
    context.fillStyle = t === active ? theme.card : theme.ink;
    context.fillText(shorten(label), -5, (t + 0.5) * cell + 0.5);
  });
  context.textAlign = 'left';
  site.keys.forEach((label, s) => {
    const color = theme.ramp(weightOfKey(s));
    context.save();
    context.translate((s + 0.5) * cell, -5);
    context.rotate(-Math.PI / 2);
    context.fillStyle = theme.ink;
    if (active >= 0 && !(site.causal && s > active)) {
      context.fillStyle = rgb(color);
      context.fillRect(-3, -cell / 2, margins.top - 2, cell);
      context.fillStyle = 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 120 ? '#000' : '#fff';
    }
    context.fillText(shorten(label), 0, 0.5);
    context.restore();
  });
}

// What the viewer shows, decoded: which maps exist, and what a choice of sentence, site, layer, head and step means for a series.

/** Decode base64 of round(255 sqrt(w)) to weights, laid out layer, head, query, key. */
function decodeWeights(text) {
  const bytes = atob(text);
  const weights = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) weights[i] = (bytes.charCodeAt(i) / 255) ** 2;
  return weights;
}

/** The weights of one site, decoded once. */
function weightsOf(site) {
  if (!site.decoded) site.decoded = decodeWeights(site.weights);
  return site.decoded;
}

function unique(values) {
  return [...new Set(values)];
}

/** All choices that any series offers: steps, sentences ({probe, text}), sites, and the largest numbers of layers and heads. */
function choicesOf(data) {
  const steps = data.series.flatMap((series) => series.steps);
  const probes = steps.flatMap((step) => step.probes);
  const sites = probes.flatMap((probe) => probe.sites);
  const numbers = unique(probes.map((probe) => probe.probe)).sort((a, b) => a - b);
  const present = unique(sites.map((site) => site.site));
  return {
    steps: unique(steps.map((step) => step.step)).sort((a, b) => a - b),
    sentences: numbers.map((number) => probes.find((probe) => probe.probe === number)),
    sites: Object.keys(data.siteTitles).filter((site) => present.includes(site)),
    layers: Math.max(0, ...sites.map((site) => site.layers)),
    heads: Math.max(0, ...sites.map((site) => site.heads)),
    gold: sites.some((site) => site.sure !== null),
  };
}

/**
 * What one series shows for a choice: {site, pairs, notes}, where pairs are [layer, head] from 0 and notes say in words
 * where the series has something else than was asked for. site is null where it has nothing to show.
 */
function selectMaps(series, choice, titles) {
  const notes = [];
  if (!series.steps.length) return { site: null, pairs: [], notes: ['This run keeps no maps.'] };
  // The latest step that is not after the chosen one, else the first.
  const step = series.steps.filter((one) => one.step <= choice.step).at(-1) ?? series.steps[0];
  if (step.step !== choice.step) notes.push(`No maps of step ${choice.step}; shown is step ${step.step}.`);
  const probe = step.probes.find((one) => one.probe === choice.probe);
  if (!probe) return { site: null, pairs: [], notes: [...notes, 'This run has no maps of this sentence.'] };
  if (choice.text !== undefined && probe.text !== choice.text) notes.push(`Here the sentence is: ${probe.text}`);
  const site = probe.sites.find((one) => one.site === choice.site);
  if (!site) return { site: null, pairs: [], notes: [...notes, `This model has no ${titles[choice.site]}.`] };
  const layers = pick(choice.layer, site.layers, 'layer', notes);
  const heads = pick(choice.head, site.heads, 'head', notes);
  return { site, pairs: layers.flatMap((layer) => heads.map((head) => [layer, head])), notes };
}

/** The chosen index, or all: where 'all' is chosen, or where there is no such index (then a note says so). */
function pick(chosen, count, what, notes) {
  const all = Array.from({ length: count }, (_, index) => index);
  if (chosen === 'all') return all;
  if (chosen < count) return [chosen];
  notes.push(`Has no ${what} ${chosen + 1}; shown ${count === 1 ? `is its only ${what}` : `are its ${count} ${what}s`}.`);
  return all;
}

/** The place of a query in another series' map: the same place where the label agrees, else the first equal label, else -1. */
function matchLabel(labels, index, label) {
  return labels[index] === label ? index : labels.indexOf(label);
}

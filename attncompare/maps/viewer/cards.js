// The parts of a card: elements, numbers of a head, a row in words, the legend. Text only ever goes through textContent.

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** The numbers of one head, each with its meaning as a tooltip. */
function numbersOf(site, layer, head) {
  const [entropy, distance, largest, aer] = site.numbers[layer * site.heads + head];
  const list = element('div', 'am-numbers');
  const add = (name, value, digits, unit, title) => {
    const item = element('span', '', `${name} `);
    item.title = title;
    item.append(element('b', '', value.toFixed(digits)), unit);
    list.append(item);
  };
  add('entropy', entropy, 2, ' nats', 'entropy of the weights, mean over queries');
  add('distance', distance, 1, ' tokens', 'mean distance between query and key, along the diagonal in cross-attention');
  add('largest', largest, 2, '', 'largest weight, mean over queries');
  if (aer !== null) add('AER', aer, 2, '', 'alignment error rate against the gold alignment; 0 is perfect');
  return list;
}

/** The weights of query t over the keys. */
function rowWeights({ site, layer, head }, t) {
  const S = site.keys.length, start = ((layer * site.heads + head) * site.queries.length + t) * S;
  return weightsOf(site).subarray(start, start + S);
}

/** Query t and its three largest weights in words. */
function rowText(entry, t) {
  const weights = rowWeights(entry, t), { queries, keys } = entry.site;
  const best = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, 3);
  return `${shorten(queries[t])} → ${best.map((s) => `${shorten(keys[s])} ${weights[s].toFixed(3)}`).join(', ')}`;
}

/** Fill the legend for the sites on show; returns the strip that shows the ramp. */
function fillLegend(legend, sites, gold, goldColor) {
  const part = (className, text) => {
    const item = element('span'), mark = element('i', className);
    item.append(mark, text);
    legend.append(item);
    return mark;
  };
  legend.replaceChildren();
  const ramp = part('am-ramp', 'weight 0 to 1, within 0.004');
  if (sites.some((site) => site.causal)) part('am-blocked', 'blocked');
  if (gold && sites.some((site) => site.sure)) {
    part('am-sure', 'gold, sure').style.borderColor = goldColor;
    if (sites.some((site) => site.sure && site.possible.length > site.sure.length)) {
      part('am-possible', 'gold, possible').style.borderColor = goldColor;
    }
  }
  legend.append(element('span', '', 'rows are queries, columns keys; point at a row or use the arrow keys to read it'));
  return ramp;
}

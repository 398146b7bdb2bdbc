// What every head does, as numbers: a table of layers by heads for each variant, shaded by the number.

const NUMBERS = {
  entropy: ['entropy (nats)', 2, 'entropy of the weights, mean over queries'],
  distance: ['mean distance (tokens)', 1, 'mean distance between query and key, along the diagonal in cross-attention'],
  largest: ['largest weight', 2, 'largest weight, mean over queries'],
  aer: ['alignment error rate', 2, 'against the gold alignment; 0 is perfect'],
};

function make(tag, text) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  return node;
}

function heads(holder) {
  const { siteTitles, series } = dataOf(holder.dataset.heads);
  const present = (test) => series.some(({ sites }) => Object.values(sites).some(test));
  const sites = Object.keys(siteTitles).filter((site) => series.some((one) => one.sites[site])).reverse(); // cross-attention first
  const numbers = Object.keys(NUMBERS).filter((name) => present((tables) => tables[name].flat().some((value) => value !== null)));
  const choices = make('div'), grid = make('div'), note = make('p');
  choices.className = 'choices';
  grid.className = 'heads-grid';
  note.className = 'soft';
  const site = choice(choices, 'Site', sites.map((name) => [name, siteTitles[name]]), show);
  const number = choice(choices, 'Number', numbers.map((name) => [name, NUMBERS[name][0]]), show);
  holder.append(choices, grid, note);
  show();

  function show() {
    const [, digits, meaning] = NUMBERS[number.value];
    const shown = series.filter((one) => one.sites[site.value]);
    const largest = Math.max(...shown.flatMap((one) => one.sites[site.value][number.value].flat()), 1e-9);
    grid.replaceChildren(...shown.map((one) => card(one, one.sites[site.value][number.value], largest, digits)));
    note.textContent = `${meaning[0].toUpperCase()}${meaning.slice(1)}; mean over the sentences above. The darker, the larger; one scale for all variants.`;
  }

  function card({ label, color, about }, rows, largest, digits) {
    const figure = make('figure'), caption = make('figcaption', label), scroll = make('div'), table = make('table');
    figure.style.setProperty('--color', color);
    caption.append(make('small', about));
    scroll.className = 'scroll';
    const head = make('tr');
    head.append(make('th', ''), ...rows[0].map((_, index) => make('th', `head ${index + 1}`)));
    table.append(head, ...rows.map((row, index) => {
      const line = make('tr');
      line.append(make('th', `layer ${index + 1}`), ...row.map((value) => {
        const cell = make('td', value === null ? '–' : value.toFixed(digits));
        cell.style.setProperty('--share', value === null ? 0 : Math.max(0, value) / largest);
        return cell;
      }));
      return line;
    }));
    scroll.append(table);
    figure.append(caption, scroll);
    return figure;
  }
}

document.querySelectorAll('[data-heads]').forEach(heads);

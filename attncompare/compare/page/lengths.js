// Quality by length: one line for each variant over buckets of length, with intervals, side by side inside a bucket.

const SPREAD = 0.5; // of a bucket's width, over which the variants' points stand

function lengths(holder, hidden) {
  const { unit, labels, counts, pictures } = dataOf(holder.dataset.lengths);
  let draw = () => {};
  const select = choice(holder.querySelector('.choices'), 'Quality', pictures.map(({ key, title }) => [key, title]), () => draw());
  const figure = () => {
    const { axis, range, lines } = pictures[select.selectedIndex];
    const shown = lines.filter(({ label }) => !hidden.has(label));
    const data = shown.map((line, index) => {
      const shift = shown.length > 1 ? SPREAD * (index / (shown.length - 1) - 0.5) : 0;
      return {
        type: 'scatter', mode: 'lines+markers', name: plain(line.label), x: labels.map((_, place) => place + shift), y: line.mean,
        line: { color: line.color, dash: line.dash, width: 1.4 }, marker: { color: line.color, symbol: line.symbol, size: 7 },
        error_y: {
          type: 'data', symmetric: false, thickness: 1.3, width: 0, color: line.color,
          array: line.mean.map((mean, i) => (line.high[i] === null ? 0 : line.high[i] - mean)),
          arrayminus: line.mean.map((mean, i) => (line.low[i] === null ? 0 : mean - line.low[i])),
        },
      };
    });
    return {
      data,
      layout: {
        hovermode: 'closest', margin: { l: 58, r: 12, t: 12, b: 62 },
        xaxis: { title: { text: `${unit}; items` }, tickvals: labels.map((_, place) => place), ticktext: labels.map((label, place) => `${label}<br>n ${counts[place]}`) },
        yaxis: { title: { text: axis }, range },
      },
    };
  };
  draw = chart(holder.querySelector('.chart'), { width: 330, height: 260 }, figure);
  return draw;
}

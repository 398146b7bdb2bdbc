// Quality against cost: points with intervals, the front as a line, and every label where it covers nothing.

const LABEL = { size: 12, height: 16, gap: 9 }; // CSS pixels

function pareto(holder) {
  const { qualities, costs, fronts, points } = dataOf(holder.dataset.pareto);
  const choices = holder.querySelector('.choices'), note = holder.querySelector('p');
  let draw = () => {};
  const option = ({ key, title }) => [key, title];
  const quality = choice(choices, 'Quality', qualities.map(option), () => draw());
  const cost = choice(choices, 'Cost', costs.map(option), () => draw());
  const margin = { l: 62, r: 16, t: 12, b: 44 };
  const figure = (theme, size) => {
    const y = qualities[quality.selectedIndex], x = costs[cost.selectedIndex];
    const front = fronts[`${y.key}|${x.key}`];
    const names = front.map((place) => points[place].label);
    note.textContent = `Arrows point to the better end. On the front, where no other variant is better in one and at least as good in the other: ${names.join(', ')}.`;
    const at = (point, axis) => point.at[axis.key];
    const pixel = (point) => [
      ((at(point, x).value - x.range[0]) / (x.range[1] - x.range[0])) * (size.width - margin.l - margin.r),
      (1 - (at(point, y).value - y.range[0]) / (y.range[1] - y.range[0])) * (size.height - margin.t - margin.b),
    ];
    const line = {
      type: 'scatter', mode: 'lines', hoverinfo: 'skip', x: front.map((p) => at(points[p], x).value), y: front.map((p) => at(points[p], y).value),
      line: { color: theme.soft, width: 1.2, dash: 'dot' },
    };
    const marks = points.map((point, place) => ({
      type: 'scatter', mode: 'markers', name: plain(point.label), x: [at(point, x).value], y: [at(point, y).value],
      hoverinfo: 'text', hovertext: plain(`${point.label}: ${y.title} ${at(point, y).text}, ${x.title} ${at(point, x).text}`),
      marker: { color: point.color, symbol: point.symbol, size: 11, line: { color: theme.card, width: 1 }, opacity: front.includes(place) ? 1 : 0.75 },
      error_y: bars(point, y), error_x: bars(point, x),
    }));
    const places = placed(points.map(pixel), points.map(({ label }) => label), size.width - margin.l - margin.r);
    const annotations = points.map((point, place) => ({
      x: at(point, x).value, y: at(point, y).value, text: plain(point.label), showarrow: false, font: { size: LABEL.size, color: theme.ink }, ...places[place],
    }));
    return {
      data: [line, ...marks],
      layout: {
        annotations, margin, hovermode: 'closest',
        xaxis: { title: { text: x.better === 'more' ? `${x.text} →` : `← ${x.text}` }, range: x.range, automargin: false, nticks: Math.max(3, Math.floor(size.width / 110)) },
        yaxis: { title: { text: y.better === 'more' ? `${y.text} →` : `← ${y.text}` }, range: y.range, automargin: false },
      },
    };
    function bars(point, axis) {
      const { value, around } = at(point, axis);
      if (!around) return { visible: false };
      return { type: 'data', symmetric: false, array: [around[1] - value], arrayminus: [value - around[0]], thickness: 1, width: 0, color: point.color };
    }
  };
  draw = chart(holder.querySelector('.chart'), { width: 330, height: 260 }, figure);
  return draw;
}

/** For each point in pixels the side on which its label covers no point and no label before it, else the first side. */
function placed(pixels, labels, width) {
  const context = document.createElement('canvas').getContext('2d');
  context.font = `${LABEL.size}px system-ui, sans-serif`;
  const taken = pixels.map(([left, top]) => [left - 6, top - 6, left + 6, top + 6]);
  return pixels.map(([left, top], place) => {
    const wide = context.measureText(labels[place]).width, { height, gap } = LABEL;
    const sides = [
      [gap, -height / 2, { xanchor: 'left', xshift: gap }],
      [-gap - wide, -height / 2, { xanchor: 'right', xshift: -gap }],
      [-wide / 2, -gap - height, { yanchor: 'bottom', yshift: gap - 2 }],
      [-wide / 2, gap, { yanchor: 'top', yshift: 2 - gap }],
      [gap, -gap - height, { xanchor: 'left', yanchor: 'bottom', xshift: gap - 4, yshift: gap - 6 }],
      [gap, gap, { xanchor: 'left', yanchor: 'top', xshift: gap - 4, yshift: 6 - gap }],
      [-gap - wide, -gap - height, { xanchor: 'right', yanchor: 'bottom', xshift: 4 - gap, yshift: gap - 6 }],
      [-gap - wide, gap, { xanchor: 'right', yanchor: 'top', xshift: 4 - gap, yshift: 6 - gap }],
    ].map(([dx, dy, where]) => ({ where, box: [left + dx, top + dy, left + dx + wide, top + dy + height] }));
    const free = ({ box }) => box[0] >= 0 && box[2] <= width && taken.every((other, index) => index === place || apart(box, other));
    const { where, box } = sides.find(free) ?? sides[0];
    taken.push(box);
    return where;
  });
}

function apart(a, b) {
  return a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1];
}

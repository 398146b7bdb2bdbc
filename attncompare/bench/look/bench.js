// One picture of a benchmark: lines over numbers, both axes logarithmic, or bars over names; whiskers are quartiles.

function picture(node) {
  const { x, bars, xTitle, yTitle, lines } = dataOf(node.dataset.picture);
  if (!bars) lines.forEach((line) => { line.median = line.median.map((one) => one || null); }); // a logarithm knows no 0
  const whiskers = ({ median, low, high }) => ({
    type: 'data', symmetric: false, thickness: 1, width: 3,
    array: median.map((m, i) => (m === null ? null : high[i] - m)), arrayminus: median.map((m, i) => (m === null ? null : m - low[i])),
  });
  const figure = (theme) => ({
    data: lines.map((line) => (bars
      ? { type: 'bar', orientation: 'h', name: plain(line.name), y: x.map(plain), x: line.median, error_x: { ...whiskers(line), color: theme.ink }, marker: { color: line.color } }
      : {
        type: 'scatter', mode: 'lines+markers', name: plain(line.name), x, y: line.median, error_y: whiskers(line), connectgaps: false,
        line: { color: line.color, dash: line.dash, width: 2 }, marker: { color: line.color, symbol: line.symbol, size: 7 },
      })),
    layout: bars
      ? { xaxis: { title: { text: yTitle }, rangemode: 'tozero' }, yaxis: { autorange: 'reversed' }, hovermode: 'closest', barmode: 'group' }
      : { xaxis: { title: { text: xTitle }, type: 'log', tickvals: x, ticktext: x.map(String) }, yaxis: { title: { text: yTitle }, type: 'log', dtick: 1, exponentformat: 'power' } },
  });
  chart(node, { width: 640, height: 300 }, figure);
}

document.querySelectorAll('[data-picture]').forEach(picture);
drawAll();

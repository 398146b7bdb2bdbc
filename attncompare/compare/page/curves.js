// Training curves; the buttons above show and hide a variant in them and in the picture by length.

for (const block of document.querySelectorAll('[data-charts]')) {
  const off = block.querySelectorAll('.keys [aria-pressed="false"]');
  const hidden = new Set([...off].map((button) => button.dataset.label)), redraw = [];
  const curves = block.querySelector('[data-curves]');
  const figures = curves ? dataOf(curves.dataset.curves) : [];
  figures.forEach(({ data, layout }, index) => {
    const node = curves.querySelectorAll('.curve')[index];
    redraw.push(chart(node, { width: 330, height: 220 }, () => ({
      data: data.map((trace) => ({ ...trace, name: plain(trace.name), visible: !hidden.has(trace.legendgroup) })), layout: structuredClone(layout),
    })));
  });
  for (const holder of block.querySelectorAll('[data-lengths]')) redraw.push(lengths(holder, hidden));
  for (const holder of block.querySelectorAll('[data-pareto]')) pareto(holder);
  for (const button of block.querySelectorAll('.keys button')) {
    button.addEventListener('click', () => {
      const { label } = button.dataset;
      const shown = hidden.delete(label) || !hidden.add(label);
      button.setAttribute('aria-pressed', String(shown));
      redraw.forEach((draw) => draw());
    });
  }
}
drawAll();

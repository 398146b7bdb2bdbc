// One sweep or one run: how it stands, its curves, and what there is to read.
'use strict';
(() => {
  const { what, id } = document.body.dataset;
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const place = (name) => document.getElementById(name);
  let charts = [];
  let shape = '';

  const layout = (unit) => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--am-${name}`).trim();
    const axis = { gridcolor: color('line'), zeroline: false, automargin: true };
    return {
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: color('ink'), size: 12 }, showlegend: false,
      autosize: true, hovermode: 'closest', hoverlabel: { bgcolor: color('card'), font: { color: color('ink') } }, uirevision: 'kept',
      margin: { l: 55, r: 10, t: 12, b: 42 },
      xaxis: { ...axis, rangemode: 'tozero', title: { text: 'training step' } }, yaxis: { ...axis, rangemode: 'nonnegative', title: { text: unit } },
    };
  };

  const traces = (figure) => figure.lines.map((line) => ({
    type: 'scatter', mode: line.x.length > 12 ? 'lines' : 'lines+markers', x: line.x, y: line.y, name: line.name, marker: { size: 5 },
    line: { color: line.color, width: figure.lines.length > 12 ? 1.2 : 2 }, opacity: figure.lines.length > 12 ? 0.7 : 1,
  }));

  const draw = () => charts.forEach(({ node, figure }) => Plotly.react(node, traces(figure), layout(figure.unit), { responsive: true, displaylogo: false, displayModeBar: false }));

  const keys = (tasks) => {
    const seen = new Map();
    for (const task of tasks) for (const figure of task.figures) for (const line of figure.lines) {
      const variant = line.name.split(',')[0];
      if (!seen.has(variant)) seen.set(variant, line.color);
    }
    return el('ul', { class: 'keys' }, ...[...seen].map(([name, color]) => el('li', {}, swatch(color), name)));
  };

  const showCurves = (tasks) => {
    const now = JSON.stringify(tasks.map((task) => [task.title, task.figures.map((figure) => figure.title)]));
    if (now !== shape) {
      shape = now;
      charts.forEach(({ node }) => Plotly.purge(node));
      charts = [];
      const parts = [];
      for (const task of tasks) {
        const grid = el('div', { class: 'grid' });
        for (const figure of task.figures) {
          const node = el('div', { class: 'curve' });
          charts.push({ node, figure });
          grid.append(el('figure', {}, el('figcaption', {}, figure.title), node));
        }
        parts.push(el('h3', {}, tasks.length > 1 ? `Curves: ${task.title}` : 'Curves'), grid);
      }
      if (!tasks.length) parts.push(el('p', { class: 'empty' }, 'No curves yet: they begin with the first logged step.'));
      place('curves').replaceChildren(...parts.slice(0, 1), what === 'group' && tasks.length ? keys(tasks) : '', ...parts.slice(1));
    } else {
      const figures = tasks.flatMap((task) => task.figures);
      charts.forEach((chart, index) => { chart.figure = figures[index]; });
    }
    draw();
  };

  const showGroup = ({ group, curves }) => {
    place('title').textContent = group.title;
    const finished = group.counts.finished || 0;
    const report = finished ? el('div', { class: 'acts' }, el('a', { class: 'act main', href: `/report/${group.id}` }, finished === 1 ? 'Report' : `Report of ${finished} runs`)) : '';
    place('standing').replaceChildren(el('div', { class: 'card' }, report, ...standing(group), table(group.runs)));
    showCurves(curves);
  };

  const showRun = ({ run, group, curves, files, maps, log, facts }) => {
    place('title').textContent = run.label;
    place('up').replaceChildren(...(group.sweep ? ['‹ ', el('a', { href: `/group/${group.id}` }, group.name)] : []));
    place('standing').replaceChildren(el('div', { class: 'card' }, table([run], { linked: false })));
    showCurves(curves);
    const known = Object.entries(facts).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]);
    place('record').replaceChildren(
      el('h3', {}, 'The record'),
      el('dl', { class: 'facts' }, ...known),
      el('div', { class: 'files' }, maps ? el('a', { class: 'act main', href: `/run/${run.id}/maps` }, 'Attention maps') : '',
        ...files.map((name) => el('a', { class: 'act', href: `/run/${run.id}/file/${name}` }, name))),
      log ? el('pre', { tabindex: '0', 'aria-label': 'the end of run.log' }, log) : '');
  };

  dark.addEventListener('change', draw);
  follow(`/${what}/${id}.json`, what === 'group' ? showGroup : showRun);
})();

// The report in a frame. It is loaded again when more runs have finished: at once, unless somebody is using it.
'use strict';
(() => {
  const { id } = document.body.dataset;
  const frame = document.getElementById('report'), again = document.getElementById('again'), live = document.getElementById('live');
  let shown = null, wanted = null, used = false;
  live.dataset.own = 'yes';

  const load = () => {
    const place = frame.contentWindow.scrollY;
    frame.addEventListener('load', () => frame.contentWindow.scrollTo(0, place), { once: true });
    frame.contentWindow.location.reload();
    shown = wanted;
    again.hidden = true;
  };

  frame.addEventListener('load', () => {
    used = false;
    for (const kind of ['pointerdown', 'keydown']) frame.contentDocument.addEventListener(kind, () => { used = true; });
  });
  again.addEventListener('click', load);

  follow(`/group/${id}.json`, ({ group }) => {
    const finished = group.counts.finished || 0;
    live.textContent = `${finished} of ${group.planned} runs have finished`;
    wanted = group.version;
    shown = shown ?? wanted;
    if (wanted === shown) return;
    if (used) again.hidden = false; else load();
  });
})();

// Asks for this page again and again, and shows what has changed; what a reader opened, closed or hid stays so.
(() => {
'use strict';
const EVERY = 2000; // milliseconds
const live = document.getElementById('live');
let known = null;

function show(text) {
  const now = document.querySelector('main');
  const next = document.adoptNode(new DOMParser().parseFromString(text, 'text/html').querySelector('main'));
  for (const details of next.querySelectorAll('details')) {
    const before = document.getElementById(details.id);
    if (before) details.open = before.open;
  }
  const hidden = new Set([...now.querySelectorAll('.keys [aria-pressed="false"]')].map(({ dataset }) => dataset.label));
  for (const button of next.querySelectorAll('.keys button')) button.setAttribute('aria-pressed', String(!hidden.has(button.dataset.label)));
  now.replaceWith(next);
  if (!next.querySelector('[data-charts]')) return;
  const script = document.createElement('script'); // it draws the charts of the page
  script.src = '/static/page.js';
  script.addEventListener('load', () => script.remove());
  document.body.append(script);
}

async function follow() {
  try {
    const answer = await fetch(window.location.href, { cache: 'no-cache' });
    const text = await answer.text();
    if (known !== null && text !== known) show(text);
    known = text;
    live.textContent = answer.ok ? 'live' : 'it is not there any more';
  } catch {
    live.textContent = 'the dashboard has ended';
  }
  window.setTimeout(follow, document.hidden ? 5 * EVERY : EVERY);
}
follow();
})();

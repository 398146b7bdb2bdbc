// Goes through the training steps by itself: one sees the alignment form.

const PAUSE = 700; // milliseconds a step stays; twice that at the last one

/** A button that moves the slider on, from the first step again after the last; any touch of the slider stops it. */
function playButton(slider) {
  const button = element('button', 'am-play', '▶');
  button.type = 'button';
  let timer = null;
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    label();
  };
  const label = () => {
    button.textContent = timer ? '❚❚' : '▶';
    button.setAttribute('aria-label', timer ? 'Stop' : 'Play the training steps');
  };
  const show = (step) => {
    slider.value = step;
    slider.dispatchEvent(new CustomEvent('input', { detail: 'played' }));
    timer = setTimeout(next, PAUSE * (step === Number(slider.max) ? 2 : 1));
  };
  const next = () => show(Number(slider.value) === Number(slider.max) ? 0 : Number(slider.value) + 1);
  button.addEventListener('click', () => {
    if (timer) return stop();
    next();
    return label();
  });
  slider.addEventListener('input', (event) => event.detail !== 'played' && stop());
  label();
  return button;
}

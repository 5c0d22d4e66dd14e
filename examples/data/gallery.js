const slides = [...document.querySelectorAll('section')];
const large = document.getElementById('large'), count = document.getElementById('count');
let at = Math.max(0, slides.findIndex(s => '#' + s.id === location.hash));
const picture = s => s.querySelector('button.picture img');
function note() {
  count.textContent = at ? at + ' / ' + (slides.length - 1) : 'overview';
  if (location.hash !== '#' + slides[at].id)
    history.replaceState(null, '', '#' + slides[at].id);
}
function go(to) {
  at = Math.max(0, Math.min(slides.length - 1, to));
  slides[at].scrollIntoView();
  if (large.className) enlarge();
  note();
}
function enlarge() {
  const from = picture(slides[at]), to = large.firstElementChild;
  large.className = from ? 'open' : '';
  if (from) to.src = from.src, to.alt = from.alt;
}
function shrink() { large.className = ''; }
slides.forEach((s, i) => { const p = s.querySelector('button.picture');
  if (p) p.onclick = () => { at = i; enlarge(); note(); }; });
large.onclick = shrink;
document.getElementById('back').onclick = () => go(at - 1);
document.getElementById('next').onclick = () => go(at + 1);
addEventListener('hashchange', () => {
  const i = slides.findIndex(s => '#' + s.id === location.hash);
  if (i >= 0) at = i, note();
});
addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[e.key];
  if (step) go(at + step);
  else if (e.key === 'Home') go(0);
  else if (e.key === 'End') go(slides.length - 1);
  else if (e.key === 'Escape') shrink();
  else if (e.key === 'f') large.className ? shrink() : enlarge();
  else return;
  e.preventDefault();
});
let waiting = 0; /* where scrolling by hand has led */
addEventListener('scroll', () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (large.className) return;
    const middle = innerHeight / 2;
    const i = slides.findIndex(s => s.getBoundingClientRect().bottom > middle);
    if (i >= 0) at = i, note();
  }, 120);
});
note();

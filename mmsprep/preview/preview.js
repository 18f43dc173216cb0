// The slider between before and after, the two sizes, and the filters; without scripts everything is shown, half and half.
const main = document.querySelector("main");
const cards = [...document.querySelectorAll("article")];
const kind = document.querySelector("#kind");
const quality = document.querySelector("#quality");
const count = document.querySelector("#count");

function filter() {
  let shown = 0;
  for (const card of cards) {
    const fits = (!kind.value || card.dataset.kind === kind.value)
      && (!quality.value || quality.value.split(" ").includes(card.dataset.band));
    card.hidden = !fits;
    if (fits) shown += 1;
    else for (const one of card.querySelectorAll("audio, video")) one.pause();
  }
  count.textContent = shown === cards.length ? `${shown} shown` : `${shown} of ${cards.length} shown`;
}

for (const slide of document.querySelectorAll(".slide")) {
  const compare = slide.parentElement.querySelector(".compare");
  const view = compare.parentElement;
  // The slider is as wide as what is seen of a picture that is wider than the page.
  const seen = () => Math.min(view.clientWidth, compare.offsetWidth) || 1;
  const move = () => {
    const left = view.scrollLeft + slide.value / 100 * seen();
    compare.style.setProperty("--cut", `${100 * left / (compare.offsetWidth || seen())}%`);
  };
  slide.addEventListener("input", move);
  view.addEventListener("scroll", move, { passive: true });
  new ResizeObserver(move).observe(compare);
  move();
  compare.addEventListener("pointerdown", (event) => {
    const follow = (at) => {
      const left = compare.getBoundingClientRect().left + view.scrollLeft;
      slide.value = Math.round(100 * Math.min(1, Math.max(0, (at.clientX - left) / seen())));
      move();
    };
    follow(event);
    compare.setPointerCapture(event.pointerId);
    compare.addEventListener("pointermove", follow);
    compare.addEventListener("pointerup", () => compare.removeEventListener("pointermove", follow), { once: true });
  });
}

for (const size of document.querySelectorAll("input[name=size]")) {
  size.addEventListener("change", () => { main.className = size.value; });
}
document.addEventListener("play", (event) => {
  for (const other of document.querySelectorAll("audio, video")) if (other !== event.target) other.pause();
}, true);
kind.addEventListener("change", filter);
quality.addEventListener("change", filter);
document.querySelector(".bar").hidden = false;
filter();

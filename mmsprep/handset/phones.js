// Plays a message's slides in their time, as a phone does; a tap shows the next one.
for (const phone of document.querySelectorAll("[data-slides]")) {
  const slides = [...phone.querySelectorAll(".slide")];
  const controls = phone.parentElement.nextElementSibling;
  const button = controls.querySelector("button");
  const place = controls.querySelector("span");
  let at = 0;
  let timer = 0;
  const media = (number) => slides[number].querySelectorAll("audio, video");

  function show(number) {
    for (const one of media(at)) one.pause();
    at = number;
    slides.forEach((slide, other) => { slide.hidden = other !== number; });
    place.textContent = `slide ${number + 1} of ${slides.length}, ${Number(slides[number].dataset.seconds).toFixed(1)} s`;
  }

  function halt() {
    clearTimeout(timer);
    timer = 0;
    button.textContent = "Play";
    for (const one of media(at)) one.pause();
  }

  function step(number) {
    if (number >= slides.length) {
      halt();
      show(0);
      return;
    }
    show(number);
    for (const one of media(number)) {
      one.currentTime = 0;
      one.play().catch(() => {});
    }
    timer = setTimeout(() => step(number + 1), slides[number].dataset.seconds * 1000);
  }

  button.addEventListener("click", () => {
    if (timer) {
      halt();
      return;
    }
    button.textContent = "Stop";
    step(0);
  });
  phone.addEventListener("click", (event) => {
    if (!timer && !event.target.closest("audio, video")) show((at + 1) % slides.length);
  });
  controls.hidden = false;
  show(0);
}

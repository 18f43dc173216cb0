// Keeps the page in step with the sandbox. Without it the page still works, by reloading.
"use strict";

const inbox = document.getElementById("inbox");
const panel = document.getElementById("panel");
const search = document.getElementById("search");
const header = document.querySelector(".top");
const live = document.getElementById("live");
const rememberedUrl = "mmsprep.push.url";
const rememberedNoticeUrl = "mmsprep.notice.url";
let newest = newestListed();

function shown() {
  return Number(panel.dataset.number);
}

function newestListed() {
  const first = inbox.querySelector("a[data-number]");
  return first ? Number(first.dataset.number) : 0;
}

async function fetchText(address) {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  return response.ok ? response.text() : null;
}

async function refreshInbox() {
  const html = await fetchText(`/inbox?selected=${shown()}`);
  if (html === null) return;
  const isOpen = inbox.querySelector(".faults")?.open;
  inbox.innerHTML = html;
  if (isOpen) inbox.querySelector(".faults").open = true;
  find();
}

// What the list shows: all words anywhere in a request's texts, names and numbers, of those of one kind.
function find() {
  const words = search.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = search.elements.only.value;
  const listed = [...inbox.querySelectorAll(".requests > li")];
  let shownCount = 0;
  for (const one of listed) {
    const text = ` ${one.dataset.search}`;
    // A digit or two stand in every number: what is short begins a word.
    const fits = words.every((word) => text.includes(word.length < 3 ? ` ${word}` : word))
      && (!only || one.dataset.tags.split(" ").includes(only));
    one.hidden = !fits;
    if (fits) shownCount += 1;
  }
  search.hidden = listed.length === 0;
  const count = inbox.querySelector(".count");
  if (count) count.textContent = shownCount === listed.length ? String(listed.length) : `${shownCount} of ${listed.length}`;
  const nothing = document.getElementById("nothing-found");
  if (nothing) nothing.hidden = shownCount > 0;
}

async function show(number, remember) {
  const html = await fetchText(`/messages/${number}/panel`);
  if (html === null) return;
  halt();
  panel.dataset.number = String(number);
  panel.innerHTML = html;
  for (const link of inbox.querySelectorAll("a[data-number]")) {
    if (Number(link.dataset.number) === number) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  ready();
  if (!remember) return;
  history.pushState({ number }, "", `/messages/${number}`);
  // What was chosen is seen from its beginning, however far the one before was scrolled.
  const top = panel.getBoundingClientRect().top;
  if (top < 0 || top > innerHeight / 2) scrollTo({ top: scrollY + top - header.offsetHeight });
}

async function refreshReplies() {
  const place = document.getElementById("replies");
  const html = place && (await fetchText(`/messages/${shown()}/replies`));
  if (typeof html !== "string") return;
  const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.parentElement.dataset.delivery));
  place.innerHTML = html;
  for (const reply of place.querySelectorAll("[data-delivery]")) {
    if (open.has(reply.dataset.delivery)) reply.querySelector("details").open = true;
  }
}

async function refreshNotices() {
  const place = document.getElementById("notices");
  const html = place && (await fetchText(`/messages/${shown()}/notices`));
  if (typeof html === "string") place.innerHTML = html;
}

function ready() {
  const button = panel.querySelector("[data-play]");
  if (button) button.hidden = false;
  onPhone();
  for (const [form, key] of [["[data-reply]", rememberedUrl], ["[data-notify]", rememberedNoticeUrl]]) {
    const field = panel.querySelector(`${form} input[name=url]`);
    if (field && !field.value) field.value = localStorage.getItem(key) ?? "";
  }
}

// The message on a phone of some year; the choice stays for the next messages.
let year = "";

function onPhone() {
  const frame = panel.querySelector(".year");
  if (!frame) return;
  for (const link of panel.querySelectorAll("[data-phone]")) {
    if (link.dataset.phone === year) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (year && link.dataset.phone === year) frame.src = link.getAttribute("href");
  }
  frame.hidden = !year;
  panel.querySelector(".handset").hidden = Boolean(year);
}

// The slides in their time, as a phone plays them: each with its sound or clip, for as long as it says.
let playing = null;

function halt() {
  if (!playing) return;
  clearTimeout(playing.timer);
  playing.button.setAttribute("aria-pressed", "false");
  for (const slide of playing.slides) {
    slide.classList.remove("now", "past");
    for (const media of slide.querySelectorAll("audio, video")) media.pause();
  }
  playing = null;
}

function step(number) {
  const { slides } = playing;
  if (number > 0) {
    slides[number - 1].classList.replace("now", "past");
    for (const media of slides[number - 1].querySelectorAll("audio, video")) media.pause();
  }
  if (number === slides.length) return halt();
  const slide = slides[number];
  slide.classList.add("now");
  const thread = slide.parentElement;
  thread.scrollTo({ top: slide.offsetTop - thread.offsetTop - 8, behavior: "smooth" });
  for (const media of slide.querySelectorAll("audio, video")) {
    media.currentTime = 0;
    media.play().catch(() => {});
  }
  playing.timer = setTimeout(() => step(number + 1), Number(slide.dataset.seconds) * 1000);
}

function playOrHalt(button) {
  const wasPlaying = playing !== null;
  halt();
  if (wasPlaying) return;
  playing = { button, slides: [...panel.querySelectorAll(".slide")], timer: 0 };
  button.setAttribute("aria-pressed", "true");
  step(0);
}

// One change at a time, in the order in which they came.
let queue = Promise.resolve();
function inTurn(work) {
  queue = queue.then(work).catch(() => {});
  return queue;
}

// Who looks at the newest message wants to see the next one; who looks at an older one is left alone.
async function followNewest(number) {
  const follows = shown() === newest || shown() === 0;
  await refreshInbox();
  newest = number;
  if (follows && number && number !== shown()) await show(number, false);
}

function listen() {
  const events = new EventSource("/events");
  events.onopen = () => {
    live.dataset.state = "on";
    live.textContent = "live";
    inTurn(async () => {
      await refreshInbox();
      const listed = newestListed();
      if (listed !== newest) await followNewest(listed);
    });
  };
  events.onerror = () => {
    live.dataset.state = "off";
    live.textContent = "offline";
  };
  events.addEventListener("exchange", (event) => inTurn(() => followNewest(Number(event.data))));
  events.addEventListener("delivery", () => inTurn(() => Promise.all([refreshReplies(), refreshNotices()])));
  events.addEventListener("faults", () => inTurn(refreshInbox));
  events.addEventListener("clear", () => location.assign("/"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-play]");
  if (button) return playOrHalt(button);
  const phone = event.target.closest("a[data-phone]");
  if (phone && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    halt();
    year = phone.dataset.phone;
    return onPhone();
  }
  const link = event.target.closest("a[data-number]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  inTurn(() => show(Number(link.dataset.number), true));
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("quiet" in form.dataset)) return;
  event.preventDefault();
  const fields = new FormData(form);
  if (form.dataset.reply !== undefined) {
    localStorage.setItem(rememberedUrl, fields.get("url"));
    fields.delete("back");
  }
  if (form.dataset.notify !== undefined) {
    localStorage.setItem(rememberedNoticeUrl, fields.get("url"));
    fields.delete("back");
  }
  const response = await fetch(form.action, { method: "POST", body: fields });
  const told = form.querySelector(".told");
  if (told) told.textContent = response.ok ? "" : ((await response.json()).error?.message ?? "it was refused");
  if (response.ok && form.dataset.reply !== undefined) {
    form.querySelector("[name=message]").value = "";
    form.querySelector("[type=file]").value = "";
    form.querySelector(".files").textContent = "";
  }
});

document.addEventListener("change", (event) => {
  if (event.target.type !== "file") return;
  const count = event.target.files.length;
  event.target.parentElement.querySelector(".files").textContent = count ? String(count) : "";
});

addEventListener("popstate", () => {
  const found = location.pathname.match(/^\/messages\/(\d+)$/);
  inTurn(() => show(found ? Number(found[1]) : newest, false));
});

const measure = () => document.documentElement.style.setProperty("--top", `${header.offsetHeight}px`);
new ResizeObserver(measure).observe(header);
search.addEventListener("input", find);
search.addEventListener("submit", (event) => event.preventDefault());
find();
ready();
listen();

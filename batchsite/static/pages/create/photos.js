/* Photos and folders, uploaded one by one, some at a time; the form names those that have arrived. */

import { takeDrops } from "./staging.js";
import { upload } from "./uploading.js";

const AT_ONCE = 4;
const SHOWN_FAILURES = 20;
const LOOK_EVERY = 1500;
const IS_PHOTO = /\.(jpe?g|png|webp|gif)$/i;

const place = document.querySelector("[data-photos]");
const state = { queue: [], running: 0, done: 0, total: 0, failures: [], lookedAt: 0 };

export function begin() {
  if (!place) return;
  for (const piece of document.querySelectorAll("[data-scripted]")) piece.hidden = false;
  for (const input of place.querySelectorAll("input[type=file]")) {
    for (const name of ["input", "change"]) input.addEventListener(name, (event) => event.stopPropagation());
    input.addEventListener("change", () => {
      add([...input.files]);
      input.value = "";
    });
  }
  takeDrops(place, async (files, transfer) => add(await withFolders(files, transfer)));
  document.body.addEventListener("htmx:afterSettle", hold);
  form().addEventListener("change", forget);
  form().addEventListener("click", press);
  window.addEventListener("beforeunload", (event) => { if (state.total) event.preventDefault(); });
}

const form = () => document.querySelector("[data-create]");
const uploaded = () => document.querySelector("[data-uploaded]");

/* What was taken out is not sent again by the next look. */
function forget(event) {
  if (event.target.name !== "forget_uploaded" || !event.target.checked) return;
  uploaded().value = "";
  state.queue = [];
}

/* A photo taken out, and more of them shown: without leaving the page, so that uploads go on meanwhile. */
function press(event) {
  const button = event.target.closest("button");
  if (button?.name === "take_out") takeOut(button.value);
  else if (button?.hasAttribute("data-show")) form().elements.show.value = button.value;
  else return;
  event.preventDefault();
  look(true);
}

function takeOut(handle) {
  const found = /^line:(\d+):(.*)$/s.exec(handle);
  const area = found ? document.getElementById("urls") : uploaded();
  const lines = area.value.split("\n");
  const is = found ? (line) => line.trim().startsWith(found[2]) : (line) => line.trim() === handle;
  const place = found && is(lines[found[1] - 1] ?? "") ? found[1] - 1 : lines.findIndex(is);
  if (place >= 0) lines.splice(place, 1);
  area.value = lines.join("\n");
}

function add(files) {
  const photos = files.filter((file) => IS_PHOTO.test(file.name) || file.type.startsWith("image/"));
  if (!photos.length) return;
  if (!state.total) Object.assign(state, { done: 0, failures: [] });
  state.queue.push(...photos);
  state.total += photos.length;
  show();
  while (state.running < AT_ONCE && state.queue.length) work();
}

async function work() {
  state.running += 1;
  while (state.queue.length) {
    const file = state.queue.shift();
    try {
      const stored = await upload(file, place.dataset.photos);
      uploaded().value += `${uploaded().value ? "\n" : ""}${stored.fileId}`;
    } catch (error) {
      state.failures.push(`${file.name}: ${error.message}`);
    }
    state.done += 1;
    show();
    look();
  }
  state.running -= 1;
  if (!state.running) end();
}

function end() {
  state.total = 0;
  show();
  look(true);
}

function look(now) {
  if (!now && Date.now() < state.lookedAt + LOOK_EVERY) return;
  state.lookedAt = Date.now();
  globalThis.htmx.trigger(form(), "look");
}

function show() {
  const uploading = document.getElementById("uploading");
  const pieces = [];
  if (state.total) {
    const bar = document.createElement("progress");
    Object.assign(bar, { max: state.total, value: state.done });
    bar.setAttribute("aria-label", "Uploading photos");
    const words = document.createElement("span");
    words.className = "hint";
    words.textContent = `${state.done} of ${state.total} uploaded`;
    pieces.push(bar, words);
  }
  if (state.failures.length) pieces.push(failures());
  uploading.replaceChildren(...pieces);
  hold();
}

function failures() {
  const list = document.createElement("ul");
  list.className = "fails";
  for (const words of state.failures.slice(0, SHOWN_FAILURES)) {
    list.append(Object.assign(document.createElement("li"), { textContent: words }));
  }
  const more = state.failures.length - SHOWN_FAILURES;
  if (more > 0) list.append(Object.assign(document.createElement("li"), { textContent: `and ${more} more` }));
  return list;
}

/* Nobody starts with half of the photos by mistake. */
function hold() {
  const button = document.querySelector("[data-start]");
  if (button) button.disabled = state.total > 0;
}

async function withFolders(files, transfer) {
  const entries = [...(transfer.items || [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return files;
  const found = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry, found) {
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const one of some) await collect(one, found);
  }
}

/* Keeps a page live: numbers from the socket at once, everything else as the server draws it, every few seconds. */

import { grouped, span, speed } from "./words.js";

const REFRESH_EVERY = 3000;
const REFRESH_HIDDEN = 60000;
const ASK_AFTER = 4000;
const ASK_EVERY = 5000;
const FINAL = new Set(["completed", "failed", "cancelled"]);
const PARTS = ["succeeded", "failed", "unknown", "cancelled"];
const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Connection lost, trying again…",
  polling: "Live connection is down; asking every few seconds",
  refused: "Not live: please load the page again",
  closed: "",
};

const watched = document.querySelector("[data-watch]");
const connection = document.querySelector("[data-connection]");
let refreshedAt = Date.now();
let waiting = 0;
let asking = 0;

export function begin() {
  if (!watched && !document.querySelector("[data-watch-all]")) return;
  const events = globalThis.batchEvents({ batch: watched ? watched.dataset.batch : undefined });
  for (const event of ["batch:created", "batch:progress", "batch:completed"]) events.on(event, show);
  events.on("state", showConnection);
  showConnection(events.state);
  document.body.addEventListener("htmx:beforeSwap", keepWhatIsInUse);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && waiting) refreshSoon(); });
  if (watched) keepTime();
}

function showConnection(state) {
  clearTimeout(asking);
  if (!watched && state === "reconnecting") {
    asking = setTimeout(askAgain, ASK_AFTER);
    if (connection.dataset.state === "polling") return; /* it is the same trouble still */
  }
  connection.textContent = CONNECTION[state];
  connection.dataset.state = state;
}

/* A list has no batch that could be asked for alone: it is fetched anew. */
function askAgain() {
  connection.textContent = CONNECTION.polling;
  connection.dataset.state = "polling";
  refreshSoon(true);
  asking = setTimeout(askAgain, document.hidden ? REFRESH_HIDDEN : ASK_EVERY);
}

function show(data) {
  const place = document.querySelector(`[data-batch="${CSS.escape(data.batchId)}"]`);
  if (!place) {
    if (document.querySelector("[data-first]")) location.reload();
    if (!/[?&](older|newer)=/.test(location.search)) refreshSoon(); /* a new batch in the list */
    return;
  }
  const status = place.querySelector("[data-status]");
  const changed = status.textContent !== data.status;
  if (changed) {
    status.textContent = data.status;
    status.className = `status ${data.status}`;
  }
  put(place, "[data-percent]", `${data.progress} %`);
  put(place, "[data-finished]", grouped(finished(data)));
  for (const name of [...PARTS, "total"]) {
    if (data[name] !== undefined) put(place, `[data-count="${name}"]`, grouped(data[name]));
  }
  showBar(place, data);
  if (place === watched) showBatch(data);
  else showRow(place, data);
  if (place === watched || changed) refreshSoon(changed);
}

function showBar(place, data) {
  place.querySelector("[data-bar]").setAttribute("aria-valuenow", data.progress);
  if (data.total === 0 || data.succeeded === undefined) return;
  let start = 0;
  for (const name of PARTS) {
    const part = place.querySelector(`[data-part="${name}"]`);
    const width = (100 * data[name]) / data.total;
    part.setAttribute("x", `${start.toFixed(3)}%`);
    part.setAttribute("width", `${width.toFixed(3)}%`);
    start += width;
  }
}

function showRow(place, data) {
  if (data.failed !== undefined) {
    const failed = place.querySelector('[data-count="failed-all"]');
    failed.textContent = grouped(data.failed + data.unknown);
    failed.classList.toggle("bad", data.failed + data.unknown > 0);
  }
  if (data.itemsPerSecond !== null) put(place, "[data-rate]", speed(data.itemsPerSecond));
  if (data.eta !== null && !FINAL.has(data.status)) put(place, "[data-eta]", `${span(data.eta)} left`);
}

function showBatch(data) {
  document.title = `${data.progress} % · ${watched.dataset.title} · batchsite`;
  put(watched, '[data-count="waiting"]', grouped(data.total - finished(data)));
  const failed = watched.querySelector('[data-count="failed"]');
  if (data.failed !== undefined) failed.toggleAttribute("data-zero", data.failed === 0);
  if (FINAL.has(data.status)) put(watched, "[data-eta]", "none");
  else put(watched, "[data-eta]", data.eta === null ? "–" : span(data.eta));
  if (data.status === "paused") put(watched, "[data-rate]", "–");
  else if (data.itemsPerSecond !== null) put(watched, "[data-rate]", speed(data.itemsPerSecond));
}

function finished(data) {
  return data.processed !== undefined ? data.processed : data.succeeded + data.failed + data.cancelled + data.unknown;
}

function put(place, selector, text) {
  const element = place.querySelector(selector);
  if (element && element.textContent !== text) element.textContent = text;
}

/* The clock of a running batch, from the seconds that the server counted. */
function keepTime() {
  const clock = watched.querySelector("[data-elapsed]");
  const begun = Date.now() - 1000 * Number(clock.dataset.elapsed);
  if (!clock.dataset.elapsed) return;
  setInterval(() => {
    const running = watched.querySelector("[data-status]").textContent === "running";
    if (running && !document.hidden) clock.textContent = span(Math.floor((Date.now() - begun) / 1000));
  }, 1000);
}

export function refreshSoon(atOnce) {
  clearTimeout(waiting);
  const pause = document.hidden ? REFRESH_HIDDEN : REFRESH_EVERY;
  waiting = setTimeout(refresh, atOnce ? 0 : Math.max(0, refreshedAt + pause - Date.now()));
}

function refresh() {
  waiting = 0;
  refreshedAt = Date.now();
  const list = document.querySelector("[data-watch-all][data-refresh]");
  if (list) exchange(list, list.dataset.refresh);
  if (!watched) return;
  fetchPiece(watched, watched.dataset.refresh, { swap: "none" });
  const items = document.getElementById("items");
  if (items && !isInUse(items)) exchange(items, items.dataset.items);
}

function exchange(place, address) {
  fetchPiece(place, address, { target: place, swap: "outerHTML" });
}

/* What fails is tried again with the next event. One request of each place is under way at a time. */
function fetchPiece(source, address, options) {
  globalThis.htmx.ajax("GET", address, { source, headers: { "X-Refresh": "1" }, ...options }).catch(() => {});
}

/* Also what came into use while the new piece was under way, and what a person has asked for meanwhile or sees already. */
function keepWhatIsInUse(event) {
  const { requestConfig, target } = event.detail;
  if (!requestConfig.headers["X-Refresh"]) return;
  const asked = document.querySelector(".filters.htmx-request, .pager .htmx-request");
  if (!target.isConnected || (asked && target !== watched) || (target.id === "items" && isInUse(target))) {
    event.detail.shouldSwap = false;
  }
}

/* Nobody's ticked boxes or half-typed search is taken away. */
function isInUse(place) {
  const focused = document.activeElement;
  return Boolean(place.querySelector("input[name=position]:checked, details[open]"))
    || (place.contains(focused) && focused.matches("input:not([type=checkbox]), select"));
}

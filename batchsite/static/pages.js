/* Keeps our own pages live: numbers from the socket, everything else by fetching the same page again. */
(function () {
  "use strict";

  const REFRESH_EVERY = 3000;
  const REFRESH_HIDDEN = 60000;
  const FINAL = new Set(["completed", "failed", "cancelled"]);
  const CONNECTION = {
    connecting: "Connecting…",
    live: "Live",
    reconnecting: "Connection lost, trying again…",
    polling: "Live connection is down; asking every few seconds",
    refused: "Not live: please load the page again",
    closed: "",
  };
  const grouped = new Intl.NumberFormat("en-US");

  const watched = document.querySelector("[data-watch]");
  const list = document.querySelector("[data-watch-all]");
  const connection = document.querySelector("[data-connection]");

  for (const form of document.querySelectorAll("form")) guard(form);
  if (watched || list) begin();

  function begin() {
    const events = batchEvents({ batch: watched ? watched.dataset.batch : undefined });
    for (const event of ["batch:created", "batch:progress", "batch:completed"]) events.on(event, show);
    events.on("state", showConnection);
    showConnection(events.state);
    document.addEventListener("visibilitychange", () => { if (!document.hidden && waiting) refreshSoon(); });
  }

  function showConnection(state) {
    connection.textContent = CONNECTION[state];
    connection.dataset.state = state;
  }

  function show(data) {
    const place = document.querySelector('[data-batch="' + CSS.escape(data.batchId) + '"]');
    if (!place) {
      refreshSoon(); /* a new batch in the list */
      return;
    }
    const status = place.querySelector("[data-status]");
    const changed = status.textContent !== data.status;
    if (changed) {
      status.textContent = data.status;
      status.className = "status " + data.status;
    }
    place.querySelector("[data-bar]").value = data.total ? barValue(data) : data.progress;
    put(place, "[data-percent]", data.progress + " %");
    for (const name of ["succeeded", "failed", "unknown", "cancelled", "total"]) {
      if (data[name] !== undefined) put(place, '[data-count="' + name + '"]', grouped.format(data[name]));
    }
    if (place === watched) showPace(data);
    if (place === watched || changed) refreshSoon(changed);
  }

  /* Finer than whole per cent, so that the bar of a big batch moves all the time. */
  function barValue(data) {
    return (100 * finished(data)) / data.total;
  }

  function finished(data) {
    return data.processed !== undefined ? data.processed : data.succeeded + data.failed + data.cancelled + data.unknown;
  }

  function showPace(data) {
    document.title = data.progress + " % · " + watched.dataset.title + " · batchsite";
    put(watched, '[data-count="waiting"]', grouped.format(data.total - finished(data)));
    watched.querySelector("[data-pace]").hidden = FINAL.has(data.status);
    put(watched, "[data-rate]", data.itemsPerSecond === null ? "–" : data.itemsPerSecond.toFixed(1));
    put(watched, "[data-eta]", data.eta === null ? "–" : spoken(data.eta));
  }

  function put(place, selector, text) {
    const element = place.querySelector(selector);
    if (element && element.textContent !== text) element.textContent = text;
  }

  function spoken(seconds) {
    if (seconds < 60) return seconds + " s";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min " + (seconds % 60) + " s";
    return Math.floor(seconds / 3600) + " h " + Math.floor((seconds % 3600) / 60) + " min";
  }

  /* Buttons, facts, errors and items come from the server as HTML, at most every few seconds while somebody looks. */
  let refreshedAt = Date.now();
  let waiting = 0;

  function refreshSoon(atOnce) {
    clearTimeout(waiting);
    const pause = document.hidden ? REFRESH_HIDDEN : REFRESH_EVERY;
    waiting = setTimeout(refresh, atOnce ? 0 : Math.max(0, refreshedAt + pause - Date.now()));
  }

  async function refresh() {
    waiting = 0;
    refreshedAt = Date.now();
    let page;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) return;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch (error) {
      return; /* the next event brings the next attempt */
    }
    for (const section of document.querySelectorAll("[data-refresh]")) replace(section, page.getElementById(section.id));
  }

  function replace(section, fresh) {
    if (!fresh || sameContent(section, fresh)) return;
    const focused = section.contains(document.activeElement) ? document.activeElement.id : "";
    section.replaceChildren(...fresh.childNodes);
    for (const form of section.querySelectorAll("form")) guard(form);
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
  }

  /* Every rendering masks the form token anew; that alone is no change. */
  function sameContent(section, fresh) {
    const bare = (element) => element.innerHTML.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
    return bare(section) === bare(fresh);
  }

  function guard(form) {
    if (!form.dataset.confirm) return;
    form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.confirm)) event.preventDefault();
    });
  }
})();

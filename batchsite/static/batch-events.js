/*
 * Live batch events in the browser, without any library.
 *
 *   const events = batchEvents({ batch: "batch_..." });   // leave batch out for all of the user's batches
 *   events.on("batch:progress", (data) => console.log(data.batchId, data.progress, data.status));
 *   events.on("SHOOT_PROGRESS", (data) => console.log(data.processedCount, data.totalCount, data.eta));
 *   events.on("state", (state) => ...);
 *   events.close();
 *
 * Events: batch:created, batch:progress, batch:completed, SHOOT_PROGRESS, state. `on` returns a function that takes the
 * listener off again.
 * States: connecting, live, reconnecting, polling (the socket stays down, GET /api/batch/{id} is asked instead),
 * refused (not allowed, or no such batch: it does not try again), closed.
 *
 * Options, all optional:
 *   batch      the id of the one batch to watch
 *   token      an API key; without it, and without ticketUrl, the signed-in user's cookie counts
 *   ticketUrl  where to POST for a one-minute ticket before each connection, usually "/api/ws-ticket"
 *   headers    headers for the requests to ticketUrl and to the API, for example { Authorization: "Bearer ..." }
 *   origin     another host's "https://..." to talk to
 */
(function (global) {
  "use strict";

  const FIRST_DELAY = 500;
  const LONGEST_DELAY = 15000;
  const POLL_AFTER = 4000;
  const POLL_EVERY = 3000;
  const POLL_HIDDEN = 30000;
  const PING_EVERY = 20000;
  const SILENCE = 45000;
  const PING = '{"type":"ping"}';
  const REFUSED = new Set([4401, 4404]);
  const FINAL = new Set(["completed", "failed", "cancelled"]);

  function batchEvents(options = {}) {
    const origin = options.origin || global.location.origin;
    const listeners = new Map();
    let state = "connecting";
    let socket = null;
    let delay = FIRST_DELAY;
    let closed = false;
    let heardAt = 0;
    let retryTimer = 0;
    let pollTimer = 0;
    let lastStatus = null;

    function on(event, listener) {
      if (!listeners.has(event)) listeners.set(event, new Set());
      listeners.get(event).add(listener);
      return () => listeners.get(event).delete(listener);
    }

    function emit(event, data) {
      for (const listener of listeners.get(event) || []) listener(data);
    }

    function enter(next) {
      if (state === next) return;
      state = next;
      emit("state", state);
    }

    async function connect() {
      let token = options.token || "";
      if (options.ticketUrl) {
        try {
          token = await fetchTicket();
        } catch (error) {
          if (!closed) lost();
          return;
        }
      }
      if (closed) return;
      const address = new URL("/ws", origin.replace(/^http/, "ws"));
      if (token) address.searchParams.set("token", token);
      if (options.batch) address.searchParams.set("batch", options.batch);
      const opened = new WebSocket(address);
      socket = opened;
      opened.onopen = () => opened.send(PING); /* a user without batches is told nothing else */
      opened.onmessage = (message) => heard(message.data);
      opened.onclose = (close) => { if (socket === opened) ended(close.code); };
      heardAt = Date.now();
    }

    async function fetchTicket() {
      const answer = await request(options.ticketUrl, { method: "POST" });
      if (!answer.ok) throw new Error("no ticket");
      return (await answer.json()).ticket;
    }

    function request(path, init) {
      const csrf = /(?:^|; )csrftoken=([^;]+)/.exec(global.document.cookie);
      const headers = { Accept: "application/json", ...(csrf ? { "X-CSRFToken": csrf[1] } : {}), ...options.headers };
      return fetch(new URL(path, origin), { credentials: "same-origin", ...init, headers });
    }

    /* A refusal is a close as well, so the connection counts as live once the server has said something. */
    function heard(text) {
      heardAt = Date.now();
      delay = FIRST_DELAY;
      stopPolling();
      const message = JSON.parse(text);
      enter("live");
      if (message.type === "pong") return;
      if (message.data.status) lastStatus = message.data.status;
      emit(message.type, message.data);
    }

    function ended(code) {
      socket = null;
      if (closed) return;
      if (REFUSED.has(code) && !(code === 4401 && options.ticketUrl)) {
        stopPolling();
        enter("refused");
        return;
      }
      lost();
    }

    function lost() {
      if (state !== "polling") enter("reconnecting");
      if (options.batch && !pollTimer && state !== "polling") pollTimer = setTimeout(poll, POLL_AFTER);
      retryTimer = setTimeout(connect, delay * (0.5 + Math.random() / 2));
      delay = Math.min(delay * 2, LONGEST_DELAY);
    }

    async function poll() {
      pollTimer = -1; /* under way */
      try {
        const headers = options.token ? { Authorization: "Bearer " + options.token } : {};
        const answer = await request("/api/batch/" + encodeURIComponent(options.batch), { headers });
        if (answer.ok && pollTimer && !closed) {
          polled(await answer.json());
        }
      } catch (error) {
        if (pollTimer && !closed) enter("reconnecting");
      }
      if (pollTimer && !closed) pollTimer = setTimeout(poll, global.document.hidden ? POLL_HIDDEN : POLL_EVERY);
    }

    /* The API's batch as an event's data. What it does not say (the rate, the time left) is null. */
    function polled(body) {
      const batch = body.batch || {};
      enter("polling");
      const data = {
        batchId: options.batch,
        id: options.batch,
        operation: batch.operation,
        status: batch.status,
        progress: batch.progress,
        total: batch.total_items,
        processed: batch.processed_items,
        itemsPerSecond: null,
        eta: null,
      };
      const ended = FINAL.has(data.status) && data.status !== lastStatus;
      lastStatus = data.status;
      emit(ended ? "batch:completed" : "batch:progress", data);
    }

    function stopPolling() {
      clearTimeout(pollTimer);
      pollTimer = 0;
    }

    /* A connection that died without a word is noticed by its silence. */
    const heart = setInterval(() => {
      if (!socket) return;
      if (socket.readyState === WebSocket.OPEN) socket.send(PING);
      if (Date.now() - heardAt > SILENCE) {
        const dead = socket;
        ended(1006);
        dead.close();
      }
    }, PING_EVERY);

    function close() {
      closed = true;
      clearInterval(heart);
      clearTimeout(retryTimer);
      stopPolling();
      if (socket) socket.close();
      enter("closed");
    }

    global.addEventListener("online", () => {
      if (!closed && !socket && state !== "refused") {
        clearTimeout(retryTimer);
        delay = FIRST_DELAY;
        connect();
      }
    });

    connect();
    return { on, close, get state() { return state; } };
  }

  global.batchEvents = batchEvents;
})(globalThis);

/* Small help with fields: the reader's time zone, words put in at the cursor, problems that come and go. */

const form = document.querySelector("[data-create]");

export function begin() {
  if (!form) return;
  keepZone();
  form.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-insert]");
    if (chip) insert(document.getElementById(chip.dataset.into), chip.dataset.insert);
  });
  document.body.addEventListener("htmx:afterSettle", refresh);
  form.addEventListener("submit", busy);
  window.addEventListener("pageshow", () => form.querySelectorAll("button[aria-busy]").forEach(free));
  refresh();
}

/* A moment is meant by the clock of whoever types it. */
function keepZone() {
  const place = form.querySelector("[data-zone]");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!place || !zone) return;
  place.value = zone;
  const hint = document.getElementById("hint-schedule");
  if (hint) hint.textContent = hint.textContent.replace("In UTC.", `By your clock (${zone}).`);
}

function insert(area, words) {
  const { selectionStart, selectionEnd } = area;
  area.setRangeText(words, selectionStart, selectionEnd, "end");
  area.focus();
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

function refresh() {
  for (const problem of form.querySelectorAll(".problem[id^=problem-]")) {
    const field = document.getElementById(problem.id.slice("problem-".length));
    if (!field) continue;
    if (problem.textContent.trim()) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
  const hasFile = Boolean(form.querySelector("#chosen-file input[name=file]"));
  for (const place of form.querySelectorAll("[data-without-file]")) place.hidden = hasFile;
}

/* Pressed twice is meant once. The server knows as well. */
function busy(event) {
  const button = event.submitter;
  if (!button) return;
  if (button.hasAttribute("aria-busy")) event.preventDefault();
  button.setAttribute("aria-busy", "true");
}

function free(button) {
  button.removeAttribute("aria-busy");
}

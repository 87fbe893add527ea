/* Small help with fields: the reader's time zone, words put in at the cursor, fields that depend on others, problems
   that come and go. */

const form = document.querySelector("[data-create]");

export function begin() {
  if (!form) return;
  keepZone();
  keepToken();
  form.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-insert]");
    if (chip) insert(document.getElementById(chip.dataset.into), chip.dataset.insert);
  });
  form.addEventListener("change", ask);
  document.body.addEventListener("htmx:afterSettle", refresh);
  form.addEventListener("submit", busy);
  window.addEventListener("pageshow", () => form.querySelectorAll("button[aria-busy]").forEach(free));
  ask();
  refresh();
}

/* Fields that mean something only beside what was chosen elsewhere. The server leaves the others out as well. */
function ask() {
  const met = (place) => {
    const other = form.elements[place.dataset.when];
    const above = other.closest("[data-when]");
    return place.dataset.among.split(" ").includes(other.value) && (!above || met(above));
  };
  for (const place of form.querySelectorAll("[data-when]")) place.hidden = !met(place);
}

/* Whoever comes back to a form they have sent finds the same form: pressed again, it leads to what it started. */
function keepToken() {
  const place = form.elements.token;
  if (history.state?.token) place.value = history.state.token;
  else history.replaceState({ ...history.state, token: place.value }, "");
}

/* A moment is meant by the clock of whoever types it. */
function keepZone() {
  const place = form.querySelector("[data-zone]");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!place || !zone) return;
  place.value = zone;
  for (const hint of form.querySelectorAll(".hint")) {
    if (hint.textContent.endsWith("In UTC.")) hint.textContent = hint.textContent.replace("In UTC.", `By your clock (${zone}).`);
  }
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
    if (problem.textContent.trim()) {
      field.setAttribute("aria-invalid", "true");
      const options = field.closest("details");
      if (options) options.open = true;
    } else field.removeAttribute("aria-invalid");
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

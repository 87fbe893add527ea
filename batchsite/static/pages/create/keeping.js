/* Whoever has to sign in meanwhile finds again what they typed: this tab keeps it until then, for them alone. */

const OURS = new Set(["csrfmiddlewaretoken", "token", "zone"]);
const form = document.querySelector("[data-create]");

const PREFIX = "typed ";
const place = () => `${PREFIX}${document.querySelector(".who")?.textContent} ${location.pathname}`;

export function begin() {
  if (!form) return;
  const kept = sessionStorage.getItem(place());
  sessionStorage.removeItem(place());
  if (kept && cameFromSigningIn()) restore(JSON.parse(kept));
  form.addEventListener("submit", keep);
  document.body.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Refresh")) keep();
  });
}

/** Whoever sees another page than the one to sign in was not held up: what a form kept goes. */
export function forget() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

function cameFromSigningIn() {
  return Boolean(document.referrer) && new URL(document.referrer).pathname.startsWith("/login");
}

function keep() {
  const typed = [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !OURS.has(name));
  try {
    sessionStorage.setItem(place(), JSON.stringify(typed));
  } catch {
    /* More than a browser keeps: then it has to be given again. */
  }
}

function restore(typed) {
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = false;
  const taken = new Map();
  for (const [name, value] of typed) {
    const number = taken.get(name) ?? 0;
    taken.set(name, number + 1);
    const fields = form.querySelectorAll(`[name="${CSS.escape(name)}"]`);
    if (fields[0]?.type === "checkbox") for (const box of fields) box.checked ||= box.value === value;
    else if (fields[number] && fields[number].tagName !== "BUTTON") fields[number].value = value;
    else form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value, className: "kept" }));
  }
  document.body.addEventListener("htmx:afterSettle", () => form.querySelectorAll(".kept").forEach((one) => one.remove()), { once: true });
  addEventListener("load", () => globalThis.htmx.trigger(form, "look"));
}

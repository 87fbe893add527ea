/* Around every exchange of a piece: the reader's time zone, open tables, focus; what did not change is left alone. */

import { localize } from "./words.js";

export function begin() {
  localize(document);
  document.body.addEventListener("htmx:oobBeforeSwap", (event) => prepare(event, event.detail.fragment, event.detail.target));
  document.body.addEventListener("htmx:load", (event) => localize(event.detail.elt.parentNode || document));
}

function prepare(event, fragment, target) {
  localize(fragment);
  for (const open of target.querySelectorAll("details[open][id]")) {
    const again = fragment.querySelector(`#${CSS.escape(open.id)}`);
    if (again) again.setAttribute("open", "");
  }
  const fresh = fragment.querySelector(`#${CSS.escape(target.id)}`) || fragment.firstElementChild;
  if (fresh && bare(fresh) === bare(target)) event.detail.shouldSwap = false;
}

/* Every rendering masks the form token anew; that alone is no change. */
function bare(element) {
  return element.innerHTML.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
}

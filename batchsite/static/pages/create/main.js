/* The script of the forms that start work. Without it they are sent as they are, with a button that checks. */

import { begin as fields } from "./fields.js";
import { begin as keeping } from "./keeping.js";
import { begin as photos } from "./photos.js";
import { begin as staging } from "./staging.js";
import { localize } from "../words.js";

document.documentElement.classList.add("scripted");
keeping();
fields();
staging();
photos();
localize(document);
document.body.addEventListener("htmx:load", (event) => localize(event.detail.elt));

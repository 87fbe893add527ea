/* The script of every page that lives. */

import { forget } from "./create/keeping.js";
import { begin as forms } from "./forms.js";
import { begin as live } from "./live.js";
import { begin as pieces } from "./pieces.js";

forget();
pieces();
forms();
live();

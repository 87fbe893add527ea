/* A list that is chosen or dropped is uploaded at once and named by its id from then on; nothing starts by that. */

import { upload } from "./uploading.js";

export function begin() {
  for (const input of document.querySelectorAll("[data-stage]")) {
    for (const name of ["input", "change"]) input.addEventListener(name, (event) => event.stopPropagation());
    input.addEventListener("change", () => stage(input, input.files[0]));
    takeDrops(input.closest("[data-drop]"), (files) => stage(input, files[0]));
  }
}

async function stage(input, file) {
  if (!file) return;
  const problem = document.getElementById(`problem-${input.id}`);
  const chosen = document.getElementById("chosen-file");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", `Uploading ${file.name}`);
  problem.textContent = "";
  chosen.replaceChildren(bar);
  try {
    const stored = await upload(file, input.dataset.stage, (share) => { bar.value = share; });
    const id = document.createElement("input");
    Object.assign(id, { type: "hidden", name: input.dataset.names || "file", value: stored.fileId });
    chosen.append(id);
    bar.removeAttribute("value");
  } catch (error) {
    chosen.replaceChildren();
    problem.textContent = error.message;
  }
  input.value = "";
  globalThis.htmx.trigger(input.form, "look");
}

export function takeDrops(place, take) {
  if (!place) return;
  const over = (is) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", is);
  };
  place.addEventListener("dragenter", over(true));
  place.addEventListener("dragover", over(true));
  place.addEventListener("dragleave", over(false));
  place.addEventListener("drop", (event) => {
    over(false)(event);
    take([...event.dataTransfer.files], event.dataTransfer);
  });
}

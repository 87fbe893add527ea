/* A list that is chosen or dropped is uploaded at once and named by its id from then on; nothing starts by that. */

import { upload } from "./uploading.js";

export function begin() {
  for (const input of document.querySelectorAll("[data-stage]")) {
    for (const name of ["input", "change"]) input.addEventListener(name, (event) => event.stopPropagation());
    input.addEventListener("change", () => stage(input, [...input.files]));
    takeDrops(input.closest("[data-drop]"), (files) => stage(input, files));
  }
}

async function stage(input, files) {
  if (!files.length) return;
  const many = input.hasAttribute("data-many");
  const problem = document.getElementById(`problem-${input.id}`);
  const chosen = document.getElementById("chosen-file");
  const bar = document.createElement("progress");
  const earlier = many ? [...chosen.querySelectorAll("input[type=hidden]")] : [];
  problem.textContent = "";
  chosen.replaceChildren(bar, ...earlier);
  for (const file of many ? files : files.slice(0, 1)) {
    bar.setAttribute("aria-label", `Uploading ${file.name}`);
    try {
      const stored = await upload(file, input.dataset.stage, (share) => { bar.value = share; });
      const id = document.createElement("input");
      Object.assign(id, { type: "hidden", name: "file", value: stored.fileId });
      chosen.append(id);
      bar.removeAttribute("value");
    } catch (error) {
      problem.textContent = `${file.name}: ${error.message}`;
    }
  }
  bar.remove();
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

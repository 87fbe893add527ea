/* What forms ask before they are sent, and boxes that choose items. All by delegation: pieces come and go. */

export function begin() {
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]")) {
      for (const box of boxes(event.target.form)) box.checked = event.target.checked;
    }
    if (event.target.matches("[data-pick-all], [name=position]")) showChosen(event.target.form);
  });
  document.body.addEventListener("htmx:load", showAll);
  showAll();
}

function showAll() {
  for (const button of document.querySelectorAll("[data-needs-pick]")) showChosen(button.form);
}

function boxes(form) {
  return form.querySelectorAll("input[name=position]");
}

function showChosen(form) {
  const button = form.querySelector("[data-needs-pick]");
  const all = form.querySelector("[data-pick-all]");
  const number = form.querySelectorAll("input[name=position]:checked").length;
  if (button) {
    button.disabled = number === 0;
    button.textContent = number === 0 ? "Retry the chosen items" : number === 1 ? "Retry 1 item" : `Retry ${number} items`;
  }
  if (all) {
    all.checked = number > 0 && number === boxes(form).length;
    all.indeterminate = number > 0 && !all.checked;
  }
}

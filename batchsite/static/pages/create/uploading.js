/* One file to the API, with its progress. Resolves with what the API answered; rejects with words for people. */

const token = () => document.querySelector("[name=csrfmiddlewaretoken]").value;

export function upload(file, address, onProgress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("X-CSRFToken", token());
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); });
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Error(words(request)));
    });
    request.addEventListener("error", () => reject(new Error("The connection broke.")));
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

function words({ status, response }) {
  const problem = response?.details?.errors?.[0]?.message;
  if (problem) return problem;
  if (status === 413) return "The file is too large.";
  return response?.error || `The server answered ${status}.`;
}

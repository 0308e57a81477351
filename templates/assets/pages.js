// The little that is nicer with script: copying a line, and a range that follows its dates.
"use strict";

async function copy(element) {
  // Without TLS, on other hosts than this one, there is no clipboard but that of a selection.
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch { /* refused: try the other way */ }
  }
  const selection = getSelection();
  const range = document.createRange();
  range.selectNodeContents(element);
  selection.removeAllRanges();
  selection.addRange(range);
  return document.execCommand("copy");
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const element = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(element);
    const words = done ? "Copied" : "Selected: copy it with the keyboard";
    button.textContent = done ? "Copied" : "Select";
    document.getElementById("copied").textContent = `${words}: ${button.dataset.copy}`;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

const picker = document.querySelector("form.picker:has([name=range])");
if (picker) {
  const { range, start, end } = picker.elements;
  for (const date of [start, end]) {
    date.addEventListener("input", () => { if (date.value) range.value = "custom"; });
  }
  range.addEventListener("change", () => { if (range.value !== "custom") start.value = end.value = ""; });
  // Addresses without the fields that were left empty.
  picker.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

for (const slider of document.querySelectorAll("input[data-shows]")) {
  const output = document.getElementById(slider.dataset.shows);
  slider.addEventListener("input", () => { output.textContent = slider.value; });
}

// Hands files that a visitor chooses to the model, as base64; how many bytes they may have the model says.

export default { render };

function render({ model, el }) {
  const root = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const style = document.createElement("style");
  style.textContent = `label { display: block; margin-bottom: 4px; } input { font: inherit; color: inherit;
    max-width: 100%; min-height: 36px; } input:focus-visible { outline: 3px solid currentColor; }`;
  label.textContent = model.get("label");
  Object.assign(input, { type: "file", multiple: true, accept: model.get("accept") });
  label.append(document.createElement("br"), input);
  root.append(style, label);
  el.append(root);

  input.addEventListener("change", async () => {
    const files = [...input.files];
    const n_bytes = files.reduce((sum, one) => sum + one.size, 0);
    if (files.length === 0) return;
    const read = n_bytes > model.get("most") ? [] : await Promise.all(files.map(contentOf));
    const names = files.map((one) => one.name);
    model.set("chosen", { names, n_bytes, read, at: Date.now() });
    model.save_changes();
    input.value = ""; // so that the same file, mended, can be chosen again
  });
}

function contentOf(file) {
  return new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => done(null);
    reader.readAsDataURL(file);
  });
}

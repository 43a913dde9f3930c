// What a page needs of the browser besides pixels: text that keeps its open tables and its focus, and the address.

const BEAT = 5000; // milliseconds between questions whether the server is there
const OLD = "Of the state before; being computed ...";
const NOTHING = "computing ...";

export default { render };

function render({ model, el }) {
  if (model.get("kind") === "browser") {
    browser(model);
    listen(model);
    spare();
    return;
  }
  if (model.get("kind") === "theme") {
    theme(model);
    return;
  }
  const root = document.createElement("div");
  if (model.get("is_live")) {
    root.setAttribute("role", "status");
  }
  const before = document.createElement("p");
  const words = document.createElement("div");
  root.append(words);
  el.append(root);
  const focusable = () => [...words.querySelectorAll("summary, button, a, [tabindex]")];
  const draw = () => {
    const open = [...words.querySelectorAll("details")].map((one) => one.open);
    const focus = focusable().indexOf(words.getRootNode().activeElement);
    words.innerHTML = model.get("html");
    words.querySelectorAll("details").forEach((one, i) => {
      one.open = open[i] ?? one.open;
    });
    if (focus >= 0) {
      focusable()[focus]?.focus();
    }
  };
  // What is said of the state before stays readable until there is something new.
  const age = () => {
    const isOld = model.get("is_old");
    root.setAttribute("aria-busy", `${isOld}`);
    words.classList.toggle("waiting", isOld);
    if (isOld) {
      [before.className, before.textContent] = words.hasChildNodes() ? ["before", OLD] : ["waiting", NOTHING];
      root.prepend(before);
    } else {
      before.remove();
    }
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (button) {
      copy(root, button);
    }
    const saving = event.target.closest("[data-saves]");
    if (saving) {
      save(saving.closest("details").querySelector("table"), saving.dataset.saves);
    }
  });
  model.on("change:html", draw);
  model.on("change:is_old", age);
  draw();
  age();
}

// A table as it stands, as a file of comma-separated values.
function save(table, name) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [...table.rows].map((row) => [...row.cells].map((cell) => quoted(cell.textContent)).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function copy(root, button) {
  const source = root.querySelector(button.dataset.copies);
  const done = () => {
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = button.dataset.label;
    }, 2000);
  };
  const byHand = () => {
    const range = document.createRange();
    source.closest("details").open = true;
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected: press Ctrl-C";
  };
  if (navigator.clipboard) {
    navigator.clipboard.writeText(source.textContent).then(done, byHand);
  } else {
    byHand();
  }
}

function theme(model) {
  const preference = matchMedia("(prefers-color-scheme: dark)");
  const prefer = () => {
    model.set("is_dark", preference.matches);
    model.save_changes();
  };
  preference.addEventListener("change", prefer);
  prefer();
}

// Bokeh measures plots when the window or a panel changes its size, those too that React has not drawn yet.
function spare() {
  const view = window.Bokeh?.Models.get("Figure")?.prototype.default_view?.prototype;
  for (const name of ["_measure_layout", "_after_layout"]) {
    const act = view?.[name];
    if (act) {
      view[name] = function whenDrawn() {
        if (this.layout?.top_panel) {
          act.call(this);
        }
      };
    }
  }
}

function browser(model) {
  const here = () => location.search.replace(/^\?/, "");
  let last = 0;
  model.on("change:query", () => {
    if (model.get("query") === here()) {
      return;
    }
    const now = Date.now();
    const write = now - last < 1000 ? "replaceState" : "pushState";
    last = now;
    history[write]({}, "", `?${model.get("query")}`);
  });
  window.addEventListener("popstate", () => {
    model.set("query", here());
    model.save_changes();
  });
  // What came before this message is drawn when a task of its own begins; nothing is painted in a page that is hidden.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    model.set("seen", model.get("shown"));
    model.save_changes();
  };
  model.on("change:shown", () => port2.postMessage(null));
}

// A page that its server left says so: what was chosen is in the address, and loading it again brings it back.
function listen(model) {
  const told = document.createElement("div");
  told.setAttribute("role", "alert");
  told.style.cssText = "position: fixed; inset: 0 0 auto 0; z-index: 9999; text-align: center; color: #fff; background: #7a2e00";
  const again = document.createElement("button");
  again.textContent = "Load the page again";
  again.style.cssText = "font: inherit; min-height: 36px; margin: 6px 12px";
  again.addEventListener("click", () => location.reload());
  document.body.append(told);
  const tell = (isThere) => {
    if (isThere) {
      told.replaceChildren();
    } else if (!told.hasChildNodes()) {
      told.append("The server does not answer. What you chose is kept in the address.", again);
    }
  };
  let asked = 0;
  setInterval(() => {
    tell(model.get("answered") === asked);
    asked += 1;
    model.set("asked", asked);
    model.save_changes();
  }, BEAT);
  model.on("change:answered", () => tell(model.get("answered") === asked));
}

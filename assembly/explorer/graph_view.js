// Draws a scene of assembly.explorer.scene: pixels, keys and labels. Every number shown arrives as text.
const SVG = "http://www.w3.org/2000/svg";
const HEAD = 46;
const LEAST = 62; // pixels of a layer, below which the picture scrolls
const STYLE = `
.assembly-graph { --ink: #1f2328; --faint: #57606a; --line: #c9d1d9; --paper: #ffffff; --ring: #b3006b;
  font: 13px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); padding: 8px; border-radius: 6px;
  box-sizing: border-box; width: 100%; min-width: 0; }
.assembly-graph[data-theme="dark"] { --ink: #e6edf3; --faint: #9aa4af; --line: #3d444d; --paper: #161b22;
  --ring: #ff8ad1; }
.assembly-graph * { box-sizing: border-box; }
.assembly-graph p { margin: 0 0 4px; }
.assembly-graph .legend { display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: center; }
.assembly-graph .scale { display: inline-flex; align-items: center; gap: 6px; font-variant-numeric: tabular-nums; }
.assembly-graph .ramp { display: inline-flex; border: 1px solid var(--faint); }
.assembly-graph .ramp i { width: 14px; height: 12px; }
.assembly-graph .note { color: var(--faint); }
.assembly-graph .scroll { overflow-x: auto; }
.assembly-graph svg { display: block; }
.assembly-graph text { fill: var(--ink); font-size: 12px; text-anchor: middle; }
.assembly-graph text.faint { fill: var(--faint); font-size: 11px; }
.assembly-graph .edge { fill: none; opacity: .5; pointer-events: none; }
.assembly-graph .lit .edge { opacity: .1; }
.assembly-graph .lit .edge.touches { opacity: 1; }
.assembly-graph .band { fill: var(--line); opacity: .45; }
.assembly-graph .arc { fill: none; stroke: var(--line); stroke-width: 6; opacity: .6; }
.assembly-graph .item { cursor: pointer; outline: none; }
.assembly-graph circle.item { stroke: var(--faint); stroke-width: 1; }
.assembly-graph .item.empty { stroke: var(--faint); stroke-dasharray: 2 2; }
.assembly-graph rect.item.empty { stroke: none; }
.assembly-graph .frame { fill: none; stroke: var(--faint); pointer-events: none; }
.assembly-graph .ring { fill: none; stroke: var(--ring); stroke-width: 2.5; pointer-events: none; }
.assembly-graph .ring.focus { stroke: var(--ink); stroke-dasharray: 4 2; }
.assembly-graph .status { min-height: 2.8em; margin-top: 4px; }
.assembly-graph summary { cursor: pointer; padding: 4px 0; }
.assembly-graph summary:focus-visible, .assembly-graph .table:focus-visible { outline: 2px solid var(--ring); }
.assembly-graph .table { max-height: 300px; overflow: auto; }
.assembly-graph table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.assembly-graph th, .assembly-graph td { text-align: left; padding: 2px 10px 2px 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
.assembly-graph th { position: sticky; top: 0; background: var(--paper); }
.assembly-graph h3 { font-size: 1.1em; margin: 10px 0 4px; }
.assembly-graph caption { text-align: left; padding: 2px 0; }
.assembly-graph .choice select { font: inherit; color: inherit; background: var(--paper); padding: 4px;
  border: 1px solid var(--faint); border-radius: 4px; max-width: 100%; }
.assembly-graph .choice select:focus-visible { outline: 2px solid var(--ring); }
.assembly-graph .words { overflow-x: auto; }
`;
const HINT = "Up and down walk a layer, left and right change it, Enter opens a neuron.";

function make(name, attributes = {}, text = "") {
  const node = document.createElement(name);
  return filled(node, attributes, text);
}

function draw(name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  return filled(node, attributes, text);
}

function filled(node, attributes, text) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

// Columns of a grid of n places in a box whose places come nearest to squares; neurons stay in one column if they can.
function columnsOf(n, width, height, form) {
  if (form === "neurons" && height / n >= 16) return 1;
  let best = 1;
  let least = Infinity;
  for (let columns = 1; columns <= Math.min(n, 32); columns += 1) {
    const uneven = Math.abs(Math.log((width / columns) / (height / Math.ceil(n / columns))));
    if (uneven < least) [best, least] = [columns, uneven];
  }
  return best;
}

// Where everything stands: for every layer its box, and for every item its centre and half sizes.
function layOut(scene, width, height) {
  const step = width / scene.layers.length;
  return scene.layers.map((layer, i) => {
    const n = layer.items.length;
    const room = Math.min(step * (layer.form === "strip" ? 0.62 : 0.56), 150);
    const columns = columnsOf(n, room, height, layer.form);
    const rows = Math.ceil(n / columns);
    const cell = layer.form === "strip" ? 1e9 : 44;
    const wide = Math.min(room / columns, cell);
    const high = Math.min(height / rows, cell);
    const left = i * step + (step - wide * columns) / 2;
    const top = HEAD + (height - high * rows) / 2;
    const places = layer.items.map((_, k) => ({
      x: left + ((k % columns) + 0.5) * wide,
      y: top + (Math.floor(k / columns) + 0.5) * high,
      halfWidth: wide / 2,
      halfHeight: high / 2,
      radius: Math.max(Math.min(wide, high) * 0.38, 2),
    }));
    return { left, top, right: left + wide * columns, bottom: top + high * rows, middle: (i + 0.5) * step, places };
  });
}

function pathOf(from, to, skips) {
  if (skips <= 1) return `M${from.x} ${from.y}L${to.x} ${to.y}`;
  const lift = Math.min(from.y, to.y) - HEAD < 40 * skips ? 30 * skips : -30 * skips;
  return `M${from.x} ${from.y}Q${(from.x + to.x) / 2} ${(from.y + to.y) / 2 + lift} ${to.x} ${to.y}`;
}

function bandOf(band, boxes) {
  const [from, to] = [boxes[band.source], boxes[band.target]];
  if (band.target - band.source > 1) {
    const d = `M${from.right} ${from.top + 4}Q${(from.right + to.left) / 2} ${HEAD - 14} ${to.left} ${to.top + 4}`;
    return draw("path", { class: "arc", d });
  }
  const points = `${from.right},${from.top} ${to.left},${to.top} ${to.left},${to.bottom} ${from.right},${from.bottom}`;
  return draw("polygon", { class: "band", points });
}

function legendOf(scene, shade) {
  const legend = make("div", { class: "legend" });
  legend.append(make("strong", {}, scene.legend.title));
  const scale = make("span", { class: "scale" });
  const ramp = make("span", { class: "ramp", "aria-hidden": "true" });
  for (const stop of scene.legend.stops) ramp.append(make("i", { style: `background:${stop[shade === "light" ? 1 : 2]}` }));
  const last = scene.legend.stops[scene.legend.stops.length - 1];
  scale.append(make("span", {}, scene.legend.stops[0][0]), ramp, make("span", {}, last[0]));
  legend.append(scale);
  const note = [scene.legend.note, scene.edges_note].filter(Boolean).join(" ");
  if (note) legend.append(make("span", { class: "note" }, note));
  return legend;
}

function tableOf(scene) {
  const table = make("table");
  table.append(make("caption", {}, scene.legend.title));
  const heading = table.appendChild(make("thead")).appendChild(make("tr"));
  for (const name of ["layer", "neurons", "largest", "at neuron", "mean"]) {
    heading.append(make("th", { scope: "col" }, name));
  }
  const body = table.appendChild(make("tbody"));
  for (const layer of scene.layers) {
    for (const item of layer.items) {
      const row = body.appendChild(make("tr"));
      for (const text of [layer.title, item.name, item.largest, String(item.who), item.mean]) {
        row.append(make("td", {}, text));
      }
    }
  }
  return table;
}

// Text beneath the drawing, if the model has any: blocks of a heading, lines, and tables of cells.
function blockOf(block) {
  const section = make("section", { "aria-label": block.heading });
  section.append(make("h3", {}, block.heading), ...block.lines.map((line) => make("p", {}, line)));
  for (const one of block.tables) {
    const table = section.appendChild(make("table"));
    table.append(make("caption", {}, one.title));
    const heading = table.appendChild(make("thead")).appendChild(make("tr"));
    heading.append(...one.heading.map((name) => make("th", { scope: "col" }, name)));
    const body = table.appendChild(make("tbody"));
    for (const row of one.rows) {
      body.appendChild(make("tr")).append(...row.map((cell) => make("td", {}, cell)));
    }
  }
  return section;
}

// A list of what the colours may mean, if the model offers one.
function choiceOf(model) {
  const label = make("label", { class: "choice" }, "Colour: ");
  const select = label.appendChild(make("select"));
  for (const [key, text] of model.get("colours") || []) select.append(make("option", { value: key }, text));
  const follow = () => {
    label.hidden = select.options.length === 0;
    select.value = model.get("colour");
  };
  select.addEventListener("change", () => {
    model.set("colour", select.value);
    model.save_changes();
  });
  follow();
  return { label, follow };
}

function render({ model, el }) {
  const root = make("div", { class: "assembly-graph" });
  const choice = choiceOf(model);
  const words = make("div", { class: "words", role: "status" });
  const legend = make("div");
  const scroll = make("div", { class: "scroll" });
  const status = make("p", { class: "status" }, HINT);
  const details = make("details");
  const table = make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table of the picture" });
  details.append(make("summary", {}, "Table"), table);
  root.append(make("style", {}, STYLE), choice.label, legend, scroll, status, details, words);
  el.append(root);
  const write = () => words.replaceChildren(...(model.get("words") || []).map(blockOf));

  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  let current = [0, 0]; // layer and item that Tab reaches
  let shown = null; // what is drawn: scene, boxes, nodes, edges, rings

  const shade = () => {
    const theme = model.get("theme");
    return theme === "light" || theme === "dark" ? theme : prefersDark.matches ? "dark" : "light";
  };
  const itemAt = ([layer, position]) => {
    const items = shown.scene.layers[layer] ? shown.scene.layers[layer].items : [];
    return items.findIndex((item) => item.first <= position && position <= item.last);
  };

  function ringAround(ring, place) {
    ring.setAttribute("visibility", place ? "visible" : "hidden");
    if (!place) return;
    const [w, h] = [place.halfWidth, place.halfHeight].map((half, k) =>
      place.isDot ? place.radius + 3 : Math.max(half, 3) + 1.5);
    filled(ring, { x: place.x - w, y: place.y - h, width: 2 * w, height: 2 * h, rx: place.isDot ? w : 2 }, "");
  }

  function light(place) {
    shown.svg.classList.toggle("lit", false);
    if (!place || shown.edges.length === 0) return;
    const [layer, index] = place;
    const touching = (end) => end[0] === layer && end[1] === index;
    let any = false;
    shown.edges.forEach(({ edge, node }) => {
      const touches = touching(edge.source) || touching(edge.target);
      node.classList.toggle("touches", touches);
      any = any || touches;
    });
    shown.svg.classList.toggle("lit", any);
  }

  function select() {
    if (!shown) return;
    const selected = model.get("selected") || [];
    const index = selected.length === 2 ? itemAt(selected) : -1;
    shown.nodes.flat().forEach((node) => node.setAttribute("aria-pressed", "false"));
    if (index < 0) {
      ringAround(shown.rings.selected, null);
      return light(null);
    }
    shown.nodes[selected[0]][index].setAttribute("aria-pressed", "true");
    ringAround(shown.rings.selected, shown.boxes[selected[0]].places[index]);
    light([selected[0], index]);
  }

  function tell(layer, index) {
    status.textContent = shown.scene.layers[layer].items[index].description;
  }

  function moveTo(layer, index, focus) {
    shown.nodes[current[0]][current[1]].setAttribute("tabindex", "-1");
    current = [layer, index];
    const node = shown.nodes[layer][index];
    node.setAttribute("tabindex", "0");
    if (focus) node.focus();
  }

  function open(layer, index) {
    model.set("selected", [layer, shown.scene.layers[layer].items[index].who]);
    model.save_changes();
    select();
  }

  function nearest(layer, y) {
    const places = shown.boxes[layer].places;
    let best = 0;
    places.forEach((place, k) => {
      if (Math.abs(place.y - y) < Math.abs(places[best].y - y)) best = k;
    });
    return best;
  }

  function onKey(event) {
    const [layer, index] = current;
    const last = shown.nodes[layer].length - 1;
    const y = shown.boxes[layer].places[index].y;
    const within = { ArrowUp: index - 1, ArrowDown: index + 1, PageUp: index - 16, PageDown: index + 16, Home: 0, End: last };
    const across = { ArrowLeft: layer - 1, ArrowRight: layer + 1 };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in within) {
      moveTo(layer, Math.min(Math.max(within[event.key], 0), last), true);
    } else if (event.key in across) {
      const next = Math.min(Math.max(across[event.key], 0), shown.nodes.length - 1);
      if (next !== layer) moveTo(next, nearest(next, y), true);
    } else if (event.key === "Enter" || event.key === " ") {
      open(layer, index);
    } else {
      return;
    }
    event.preventDefault();
  }

  function itemOf(event) {
    const node = event.target.closest ? event.target.closest(".item") : null;
    return node ? [Number(node.dataset.layer), Number(node.dataset.index)] : null;
  }

  function nodesOf(layer, l, box, theme, parent) {
    const group = parent.appendChild(draw("g", { role: "group", "aria-label": `${layer.title}, ${layer.subtitle}` }));
    return layer.items.map((item, k) => {
      const place = box.places[k];
      place.isDot = layer.form === "neurons";
      const shape = place.isDot
        ? { cx: place.x, cy: place.y, r: place.radius }
        : { x: place.x - place.halfWidth, y: place.y - place.halfHeight, width: 2 * place.halfWidth + 0.3,
            height: 2 * place.halfHeight + 0.3 };
      return group.appendChild(draw(place.isDot ? "circle" : "rect", {
        ...shape, class: item.largest === "none" ? "item empty" : "item", fill: item[theme], role: "button",
        tabindex: "-1", "aria-label": item.description, "aria-pressed": "false", "data-layer": l, "data-index": k,
      }));
    });
  }

  function titleOf(layer, box, parent) {
    const [size, ...kinds] = layer.subtitle.split(" ");
    parent.append(
      draw("text", { x: box.middle, y: 12, "aria-hidden": "true" }, layer.title),
      draw("text", { x: box.middle, y: 26, class: "faint", "aria-hidden": "true" }, size),
      draw("text", { x: box.middle, y: 39, class: "faint", "aria-hidden": "true" }, kinds.join(" ")),
    );
  }

  function paint() {
    const scene = model.get("scene");
    if (!scene || !scene.layers || root.clientWidth === 0) return;
    const hadFocus = shown !== null && shown.svg.contains(shown.svg.getRootNode().activeElement);
    const theme = shade();
    root.dataset.theme = theme;
    const available = root.clientWidth - 16;
    const width = Math.max(available, LEAST * scene.layers.length);
    const height = available < 520 ? 340 : 400;
    const boxes = layOut(scene, width, height);
    const svg = draw("svg", { role: "group", "aria-label": scene.description, width, height: height + HEAD + 8 });
    scene.bands.forEach((band) => svg.append(bandOf(band, boxes)));
    const edges = scene.edges.map((edge) => {
      const [from, to] = [edge.source, edge.target].map(([l, k]) => boxes[l].places[k]);
      const d = pathOf(from, to, edge.target[0] - edge.source[0]);
      const node = draw("path", { class: "edge", d, stroke: edge[theme], "stroke-width": edge.width });
      return { edge, node: svg.appendChild(node) };
    });
    const nodes = scene.layers.map((layer, l) => {
      titleOf(layer, boxes[l], svg);
      return nodesOf(layer, l, boxes[l], theme, svg);
    });
    boxes.forEach((box, l) => {
      const size = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
      if (scene.layers[l].form === "strip") svg.append(draw("rect", { class: "frame", ...size }));
    });
    const rings = { selected: draw("rect", { class: "ring" }), focus: draw("rect", { class: "ring focus" }) };
    svg.append(rings.selected, rings.focus);
    ringAround(rings.focus, null);
    shown = { scene, svg, boxes, nodes, edges, rings };
    const layer = Math.min(current[0], nodes.length - 1);
    current = [layer, Math.min(current[1], nodes[layer].length - 1)];
    legend.replaceChildren(legendOf(scene, theme));
    scroll.replaceChildren(svg);
    table.replaceChildren(...(details.open ? [tableOf(scene)] : []));
    status.textContent = HINT;
    svg.addEventListener("keydown", onKey);
    svg.addEventListener("click", (event) => {
      const place = itemOf(event);
      if (place) {
        moveTo(...place, true);
        open(...place);
      }
    });
    svg.addEventListener("focusin", (event) => {
      const place = itemOf(event);
      if (!place) return;
      moveTo(...place, false);
      ringAround(rings.focus, boxes[place[0]].places[place[1]]);
      light(place);
      tell(...place);
    });
    svg.addEventListener("focusout", () => {
      ringAround(rings.focus, null);
      select();
    });
    svg.addEventListener("pointerover", (event) => {
      const place = itemOf(event);
      if (place) {
        tell(...place);
        light(place);
      }
    });
    svg.addEventListener("pointerleave", select);
    select();
    moveTo(...current, hadFocus);
  }

  let lastWidth = 0;
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === lastWidth) return;
    lastWidth = root.clientWidth;
    paint();
  });
  observer.observe(root);
  details.addEventListener("toggle", () => shown && table.replaceChildren(...(details.open ? [tableOf(shown.scene)] : [])));
  prefersDark.addEventListener("change", paint);
  model.on("change:scene", paint);
  model.on("change:theme", paint);
  model.on("change:selected", select);
  model.on("change:words", write);
  model.on("change:colour", choice.follow);
  write();
  paint();
  return () => {
    observer.disconnect();
    prefersDark.removeEventListener("change", paint);
    model.off("change:scene", paint);
    model.off("change:theme", paint);
    model.off("change:selected", select);
    model.off("change:words", write);
    model.off("change:colour", choice.follow);
  };
}

export default { render };

// A square of the plane on which points are painted: pixels and keys. Where a point lies in numbers Python says.
const SVG = "http://www.w3.org/2000/svg";
const SIZE = 320; // of the drawing, in its own units
const KINDS = [["1", "puts +1"], ["-1", "puts -1"], ["look", "looks at a point"], ["0", "removes it"]];
const STYLE = `
.plane { font: 14px/1.4 var(--mui-font-family, system-ui, sans-serif); color: inherit; }
.plane svg { display: block; width: 100%; max-width: ${SIZE}px; aspect-ratio: 1; touch-action: manipulation;
  border: 1px solid currentColor; border-radius: 4px; cursor: crosshair; outline: none; }
.plane svg:focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
.plane .axis { stroke: currentColor; opacity: .35; }
.plane .plus { fill: #0072b2; stroke: #ffffff; } .plane .minus { fill: #d55e00; stroke: #ffffff; }
.plane .ring { fill: none; stroke: currentColor; stroke-width: 2.5; }
.plane .cursor { fill: none; stroke: currentColor; stroke-width: 1.5; stroke-dasharray: 3 2; visibility: hidden; }
.plane svg:focus-visible .cursor { visibility: visible; }
.plane text { fill: currentColor; font-size: 12px; }
.plane fieldset { border: 0; padding: 0; margin: 0 0 6px; display: flex; flex-wrap: wrap; gap: 2px 14px; }
.plane legend { padding: 0; } .plane label { display: inline-flex; gap: 5px; align-items: center; min-height: 28px; }
.plane p { margin: 4px 0; min-height: 1.4em; }
`;

function make(name, attributes = {}, text = "") {
  return filled(document.createElement(name), attributes, text);
}

function draw(name, attributes = {}, text = "") {
  return filled(document.createElementNS(SVG, name), attributes, text);
}

function filled(node, attributes, text) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

function render({ model, el }) {
  const root = make("div", { class: "plane" });
  const choice = make("fieldset");
  choice.append(make("legend", {}, "A click"));
  const radios = KINDS.map(([kind, text], i) => {
    const label = choice.appendChild(make("label"));
    const radio = label.appendChild(make("input", { type: "radio", name: "kind", value: kind }));
    radio.checked = i === 0;
    label.append(text);
    return radio;
  });
  const svg = draw("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, tabindex: "0", role: "application" });
  const status = make("p", { role: "status" });
  root.append(make("style", {}, STYLE), choice, svg, status);
  el.append(root);

  const ticks = () => model.get("ticks"); // the numbers of the columns, from left to right, as text
  const last = () => ticks().length - 1;
  let cursor = [Math.round(last() / 2), Math.round(last() / 2)];
  const at = (k) => (SIZE * (k + 0.5)) / ticks().length;
  const acts = model.get("acts").slice(); // what was done, numbered: messages may be merged on their way

  function act(column, row, kind) {
    const number = acts.length === 0 ? 1 : acts[acts.length - 1].number + 1;
    acts.push({ column, row: last() - row, kind, number });
    model.set("acts", acts.slice(-64));
    model.save_changes();
  }

  function tell() {
    const here = `${ticks()[cursor[0]]}, ${ticks()[last() - cursor[1]]}`;
    const found = model.get("points").find(([x, y]) => near(x, y, cursor));
    status.textContent = found ? `${here}: ${found[3]}` : here;
  }

  const near = (x, y, [column, row]) => Math.round(x * last()) === column && Math.round((1 - y) * last()) === row;

  function paint() {
    const half = SIZE / 2;
    svg.setAttribute("aria-label", `${model.get("description")} Arrows move a cursor, plus and minus put a point of `
      + "class 1 or -1, Delete removes it, Enter looks at it.");
    svg.replaceChildren(
      draw("line", { class: "axis", x1: half, y1: 0, x2: half, y2: SIZE }),
      draw("line", { class: "axis", x1: 0, y1: half, x2: SIZE, y2: half }),
      draw("text", { x: 4, y: half - 4 }, ticks()[0]),
      draw("text", { x: SIZE - 4, y: half - 4, "text-anchor": "end" }, ticks()[last()]),
    );
    for (const [x, y, kind, , isLookedAt] of model.get("points")) {
      const [cx, cy] = [at(x * last()), at((1 - y) * last())];
      svg.append(kind > 0
        ? draw("circle", { class: "plus", cx, cy, r: 6 })
        : draw("rect", { class: "minus", x: cx - 5.5, y: cy - 5.5, width: 11, height: 11 }));
      if (isLookedAt) svg.append(draw("circle", { class: "ring", cx, cy, r: 10.5 }));
    }
    const step = SIZE / ticks().length;
    svg.append(draw("rect", { class: "cursor", x: at(cursor[0]) - step, y: at(cursor[1]) - step, width: 2 * step,
      height: 2 * step }));
  }

  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const cell = (part) => Math.min(Math.max(Math.floor(part * ticks().length), 0), last());
    cursor = [cell((event.clientX - box.left) / box.width), cell((event.clientY - box.top) / box.height)];
    act(...cursor, radios.find((one) => one.checked).value);
    paint();
    tell();
  });
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const ACTS = { "+": "1", "=": "1", "-": "-1", _: "-1", Delete: "0", Backspace: "0", Enter: "look", " ": "look" };
  svg.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in MOVES) {
      const far = event.shiftKey ? 5 : 1;
      cursor = cursor.map((k, i) => Math.min(Math.max(k + far * MOVES[event.key][i], 0), last()));
      paint();
      tell();
    } else if (event.key in ACTS) {
      act(...cursor, ACTS[event.key]);
    } else {
      return;
    }
    event.preventDefault();
  });
  svg.addEventListener("focus", tell);
  const follow = () => {
    paint();
    if (svg.getRootNode().activeElement === svg) tell();
  };
  model.on("change:points", follow);
  model.on("change:ticks", follow);
  paint();
}

export default { render };

"use strict";
// One chosen round, moved through every chart, the table and the alignment matrix.

const data = JSON.parse(document.getElementById("data").textContent);
const slider = document.getElementById("round");
const SVG = "http://www.w3.org/2000/svg";
let playing = null; // the timer, while it plays
let order = []; // clients as columns of the matrix
let picked = null; // the chosen column
let layout = null; // of the matrix, in pixels

function start() {
  document.getElementById("scrubber").hidden = false;
  slider.max = data.rounds.length - 1;
  slider.value = slider.max;
  slider.addEventListener("input", () => show(Number(slider.value)));
  document.getElementById("scrubber").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("play").addEventListener("click", togglePlay);
  for (const chart of document.querySelectorAll("svg[data-span]")) {
    chart.addEventListener("pointerdown", chooseByPointer);
    chart.addEventListener("pointermove", (event) => event.buttons === 1 && chooseByPointer(event));
  }
  for (const row of document.querySelectorAll("tr[data-round]")) {
    row.addEventListener("click", () => choose(Number(row.dataset.round)));
  }
  const matrix = document.getElementById("matrix");
  if (matrix && data.alignment) {
    startMatrix(matrix);
  }
  window.addEventListener("hashchange", chooseByAddress);
  chooseByAddress();
  show(Number(slider.value));
}

// report.html#round=5 opens at round 5.
function chooseByAddress() {
  const asked = /^#round=(\d+)$/.exec(location.hash);
  const index = asked ? data.rounds.indexOf(Number(asked[1])) : -1;
  if (index >= 0) choose(index);
}

function choose(index) {
  slider.value = index;
  show(Number(slider.value));
}

function show(index) {
  const round = data.rounds[index];
  document.getElementById("round-number").textContent = round;
  const status = [data.status[index], data.proof[index]].filter(Boolean).join(" · ");
  const accuracy = data.readouts.accuracy ? `accuracy ${data.readouts.accuracy[index]}` : "";
  document.getElementById("round-status").textContent = [accuracy, status].filter(Boolean).join(" · ");
  slider.setAttribute("aria-valuetext", `round ${round}`);
  moveCursors(round);
  writeReadouts(index, round);
  for (const row of document.querySelectorAll("tr[data-round]")) {
    row.classList.toggle("chosen", Number(row.dataset.round) === index);
  }
  if (data.alignment && document.getElementById("matrix")) {
    drawMatrix(round);
  }
}

function moveCursors(round) {
  for (const chart of document.querySelectorAll("svg[data-span]")) {
    const [first, last, left, right] = chart.dataset.span.split(" ").map(Number);
    const share = last > first ? Math.min(Math.max((round - first) / (last - first), 0), 1) : 0.5;
    const cursor = chart.querySelector(".cursor");
    cursor.setAttribute("x1", left + share * (right - left));
    cursor.setAttribute("x2", left + share * (right - left));
  }
}

function writeReadouts(index, round) {
  const aligned = data.alignment ? data.alignment.rounds.indexOf(round) : -1;
  for (const output of document.querySelectorAll("output[data-key]")) {
    const key = output.dataset.key;
    if (key.startsWith("price-")) {
      output.textContent = aligned < 0 ? "–" : number(data.alignment.prices[aligned][Number(key.slice(6))]);
    } else {
      output.textContent = data.readouts[key] ? data.readouts[key][index] : "–";
    }
  }
  for (const output of document.querySelectorAll("output[data-load]")) {
    output.textContent = aligned < 0 ? "–" : number(data.alignment.loads[aligned][Number(output.dataset.load)]);
  }
}

function number(value) {
  return value === null ? "–" : String(Number(value.toPrecision(3)));
}

function chooseByPointer(event) {
  const chart = event.currentTarget;
  const [first, last, left, right] = chart.dataset.span.split(" ").map(Number);
  const box = chart.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
  const wanted = first + ((x - left) / (right - left)) * (last - first);
  let nearest = 0;
  data.rounds.forEach((round, k) => {
    if (Math.abs(round - wanted) < Math.abs(data.rounds[nearest] - wanted)) nearest = k;
  });
  choose(nearest);
}

function togglePlay() {
  const button = document.getElementById("play");
  if (playing !== null) {
    clearInterval(playing);
    playing = null;
  } else {
    if (Number(slider.value) === data.rounds.length - 1) choose(0);
    playing = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next < data.rounds.length) choose(next);
      else togglePlay();
    }, 250);
  }
  button.setAttribute("aria-pressed", String(playing !== null));
  button.textContent = playing === null ? "Play" : "Pause";
}

// The matrix: columns are clients by tier, rows are experts.

function startMatrix(matrix) {
  const { tier, clients } = data.alignment;
  order = [...Array(clients).keys()].sort((a, b) => tier[a] - tier[b] || a - b);
  new ResizeObserver(() => drawMatrix(data.rounds[Number(slider.value)])).observe(matrix.parentElement);
  matrix.addEventListener("pointermove", pickByPointer);
  matrix.addEventListener("pointerdown", pickByPointer);
  matrix.parentElement.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    picked = picked === null ? 0 : Math.min(Math.max(picked + step, 0), order.length - 1);
    drawMatrix(data.rounds[Number(slider.value)]);
  });
}

function pickByPointer(event) {
  const column = Math.floor((event.offsetX - layout.left) / layout.cell);
  const inside = column >= 0 && column < order.length;
  if (inside && column !== picked) {
    picked = column;
    drawMatrix(data.rounds[Number(slider.value)]);
  }
}

function measure(matrix) {
  const { clients, experts } = data.alignment;
  const space = matrix.parentElement.clientWidth;
  const narrow = space < 560;
  const left = narrow ? 22 : 64;
  const bars = narrow ? 66 : 150;
  const cell = Math.max(5, Math.min(26, Math.floor((space - left - bars - 14) / clients)));
  const row = experts <= 16 ? 20 : experts <= 32 ? 14 : 10;
  const right = left + clients * cell;
  const tiers = placeTiers(left, right, cell);
  const top = 7 + 13 * tiers.lines;
  const labelsTop = top + experts * row + 12;
  return { narrow, left, bars, cell, row, top, tiers, labelsTop, labels: 56, right,
    width: right + 14 + bars, height: labelsTop + 56 + 18 };
}

function drawMatrix(round) {
  const matrix = document.getElementById("matrix");
  layout = measure(matrix);
  const keptRound = nearestKept(round);
  const [cohort, pairs] = data.alignment.kept[keptRound];
  const index = data.alignment.rounds.indexOf(Number(keptRound));
  matrix.setAttribute("width", layout.width);
  matrix.setAttribute("height", layout.height);
  matrix.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
  matrix.replaceChildren(...background(), ...cells(pairs), ...absent(cohort), ...loadBars(index), ...labelBars(), ...pick());
  summarise(matrix, keptRound, round, cohort, pairs);
}

function nearestKept(round) {
  const kept = Object.keys(data.alignment.kept);
  return kept.reduce((best, k) => (Math.abs(k - round) < Math.abs(best - round) ? k : best), kept[0]);
}

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function tierColour(client) {
  return `var(--c${data.alignment.tier[client] % 6})`;
}

// The colours of the legend, which charts.py writes.
function colourOf(k, number) {
  return `oklch(var(--line-lightness) 0.13 ${(Math.round((360 * k) / number) + 250) % 360})`;
}

// Where the names of the tiers stand: in as many lines as it takes that none covers another.
function placeTiers(left, right, cell) {
  const ends = []; // of each line
  const places = data.alignment.tierNames.map((name, t) => {
    const first = order.findIndex((client) => data.alignment.tier[client] === t);
    if (first < 0) return null;
    const width = name.length * 7;
    const x = Math.max(0, Math.min(left + first * cell, right - width));
    let line = ends.findIndex((end) => end + 8 <= x);
    if (line < 0) line = ends.push(0) - 1;
    ends[line] = x + width;
    return { name, t, x, line, bar: left + first * cell };
  });
  return { places: places.filter(Boolean), lines: Math.max(1, ends.length) };
}

function background() {
  const { left, right, top, row, narrow } = layout;
  const shapes = [];
  for (let j = 0; j < data.alignment.experts; j++) {
    const y = top + j * row;
    shapes.push(shape("rect", { class: "stripe", x: left, y: y + 1, width: right - left, height: row - 2, rx: 2 }));
    const label = { x: left - 6, y: y + row / 2 + 4, "text-anchor": "end", style: `font-size:${Math.min(11, row - 1)}px` };
    shapes.push(shape("text", label, narrow ? j : `expert ${j}`));
  }
  for (const { name, t, x, line, bar } of layout.tiers.places) {
    const size = order.filter((client) => data.alignment.tier[client] === t).length;
    const style = `fill:var(--c${t % 6})`;
    shapes.push(shape("rect", { x: bar, y: top - 4, width: size * layout.cell - 1, height: 2, style }));
    shapes.push(shape("text", { class: "tier-name", x, y: top - 8 - 13 * line, style }, name));
  }
  return shapes;
}

function cells(pairs) {
  const column = new Map(order.map((client, c) => [client, c]));
  const shapes = [];
  for (let k = 0; k < pairs.length; k += 2) {
    shapes.push(shape("rect", {
      class: "pair", "data-client": pairs[k], "data-expert": pairs[k + 1],
      x: layout.left + column.get(pairs[k]) * layout.cell + 0.5, y: layout.top + pairs[k + 1] * layout.row + 2,
      width: layout.cell - 1, height: layout.row - 4, rx: 1.5, style: `fill:${tierColour(pairs[k])}`,
    }));
  }
  return shapes;
}

function absent(cohort) {
  const present = new Set(cohort);
  return order.flatMap((client, c) => present.has(client) ? [] : [shape("rect", {
    class: "absent", x: layout.left + c * layout.cell, y: layout.top, width: layout.cell,
    height: layout.labelsTop + layout.labels - layout.top,
  })]);
}

function loadBars(index) {
  const { loads, demand, capacity, experts } = data.alignment;
  const finite = [...loads[index], ...capacity[index].filter((value) => value !== null)];
  const scale = (layout.bars - 28) / Math.max(...finite, 1);
  const x = layout.right + 14;
  const shapes = [];
  for (let j = 0; j < experts; j++) {
    const y = layout.top + j * layout.row;
    const load = loads[index][j];
    shapes.push(shape("rect", { x, y: y + 4, width: load * scale, height: layout.row - 8, style: "fill:var(--muted);opacity:.55" }));
    for (const bound of [demand[index][j], capacity[index][j]]) {
      if (bound === null) continue;
      shapes.push(shape("line", { class: "bound", x1: x + bound * scale, x2: x + bound * scale, y1: y + 2, y2: y + layout.row - 2 }));
    }
    const furthest = Math.max(load, capacity[index][j] ?? 0) * scale;
    const style = `font-size:${Math.min(11, layout.row - 1)}px`;
    shapes.push(shape("text", { x: x + furthest + 5, y: y + layout.row / 2 + 4, style }, number(load)));
  }
  shapes.push(shape("text", { x, y: layout.top - 8 }, layout.narrow ? "load" : "load and bounds"));
  return shapes;
}

function labelBars() {
  const { labels } = data.alignment;
  const most = Math.max(1, ...labels.map((row) => row.reduce((a, b) => a + b, 0)));
  const shapes = [];
  order.forEach((client, c) => {
    let y = layout.labelsTop + layout.labels;
    labels[client].forEach((count, k) => {
      const height = (count / most) * layout.labels;
      y -= height;
      if (count) {
        shapes.push(shape("rect", {
          x: layout.left + c * layout.cell + 0.5, y, width: layout.cell - 1, height,
          style: `fill:${colourOf(k, labels[client].length)}`,
        }));
      }
    });
  });
  shapes.push(shape("text", { x: layout.left, y: layout.height - 4 }, `examples per client by class, at most ${most}`));
  return shapes;
}

function pick() {
  if (picked === null) return [];
  return [shape("rect", {
    class: "picked", x: layout.left + picked * layout.cell, y: layout.top - 1, width: layout.cell,
    height: layout.labelsTop + layout.labels - layout.top + 2, rx: 2,
  })];
}

function summarise(matrix, keptRound, round, cohort, pairs) {
  const other = Number(keptRound) === round ? "" : ` (round ${round} is not kept on this page; this is the nearest)`;
  const text = `Round ${keptRound}${other}: ${cohort.length} of ${data.alignment.clients} clients trained ${pairs.length / 2} pairs.`;
  document.getElementById("matrix-summary").textContent = text;
  matrix.setAttribute("aria-label", text);
  if (picked === null) return;
  const client = order[picked];
  const held = [];
  for (let k = 0; k < pairs.length; k += 2) if (pairs[k] === client) held.push(pairs[k + 1]);
  const labels = data.alignment.labels[client];
  const examples = labels.map((count, k) => [k, count]).filter(([, count]) => count).map(([k, count]) => `${count} of class ${k}`);
  document.getElementById("matrix-client").textContent =
    `Client ${client} (${data.alignment.tierNames[data.alignment.tier[client]]}): ` +
    (held.length ? `experts ${held.join(", ")}` : "not in this round’s cohort") + `; ${examples.join(", ") || "no examples"}.`;
}

if (data.rounds.length) {
  start();
}

"""Measures an open page: what leaves its card, faint colours, axes without a name, ticks that are equal or covered."""

from tests.browser import Page

SMALLEST = 8
"""Smallest height of a line of text, in pixels."""
CONTRAST = 4.5
"""Smallest ratio of the luminances of text, or of a line, and what is behind it (WCAG 2, level AA)."""

COMMON = """
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const pen = canvas.getContext("2d", { willReadFrequently: true });
const known = new Map();
function rgba(colour) { // of any CSS colour, oklch too
  if (!known.has(colour)) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    known.set(colour, [r, g, b, a / 255]);
  }
  return known.get(colour);
}
function over(front, back) {
  return [0, 1, 2].map((k) => front[k] * front[3] + back[k] * (1 - front[3])).concat(1);
}
function behind(element) {
  const layers = [];
  for (let each = element; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return layers.reverse().reduce((back, front) => over(front, back), dark ? [18, 18, 18, 1] : [255, 255, 255, 1]);
}
function luminance([r, g, b]) {
  const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
function ratio(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
function texts() { // every visible text with its element and its boxes
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest("script, style, title")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width && box.height);
    if (boxes.length) found.push({ text: node.textContent.trim().slice(0, 40), element, boxes });
  }
  return found;
}
function scroller(element) { // the nearest element around it that scrolls sideways
  for (let each = element; each && each !== document.body; each = each.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(each).overflowX)) return each;
  }
  return null;
}
"""
OVERFLOW = """(() => {
  const wrong = [];
  const cards = ".card, .chart, .panel, .table, .scroll, pre, .wide";
  const page = { left: 0, right: document.documentElement.clientWidth, top: -1e9, bottom: 1e9 };
  const outside = (box, frame) =>
    Math.min(box.left - frame.left, frame.right - box.right, box.top - frame.top, frame.bottom - box.bottom) < -1;
  for (const { text, element, boxes } of texts()) {
    if (Math.max(...boxes.map((box) => box.height)) < SMALLEST) wrong.push(`${text} is too small to read`);
    if (scroller(element)) continue; // what scrolls is measured as a whole, below
    const card = element.closest(cards);
    const frame = card ? card.getBoundingClientRect() : page;
    if (boxes.some((box) => outside(box, frame) || outside(box, page))) wrong.push(`${text} leaves its card`);
  }
  for (const card of document.querySelectorAll(cards)) {
    if (card.checkVisibility() && !scroller(card.parentElement) && outside(card.getBoundingClientRect(), page)) {
      wrong.push(`a card leaves the page: ${card.textContent.trim().slice(0, 40)}`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page scrolls sideways");
  return wrong;
})()"""
CONTRASTS = """(() => {
  const wrong = new Set();
  const check = (what, colour, element) => {
    const back = behind(element);
    let front = rgba(colour);
    for (let each = element; each; each = each.parentElement) {
      front = [...front.slice(0, 3), front[3] * Number(getComputedStyle(each).opacity)];
    }
    const reached = ratio(over(front, back), back);
    if (reached < LEAST) wrong.add(`${what}: ${reached.toFixed(2)} (${colour})`);
  };
  for (const { text, element } of texts()) {
    const style = getComputedStyle(element);
    check(text, element.closest("svg") ? style.fill : style.color, element);
  }
  for (const path of document.querySelectorAll("figure.chart svg path, .wide svg path")) {
    const { stroke, fill } = getComputedStyle(path);
    const drawn = path.matches(".line, [style*=oklch], [id^=line2d] path") && !path.closest("defs");
    if (fill === "none" && stroke !== "none" && drawn) check("a line", stroke, path.closest("svg"));
  }
  for (const chip of document.querySelectorAll(".chip:not(.dashed)")) {
    check("a colour of a legend", getComputedStyle(chip).backgroundColor, chip.parentElement);
  }
  return [...wrong];
})()"""
AXES = """(() => {
  const wrong = [];
  const named = (place, axis) =>
    [...place.querySelectorAll(`[data-axis=${axis}]`)].some((name) => name.textContent.trim());
  const title = (svg) => svg.closest("figure, .wide").querySelector("figcaption, text").textContent.trim();
  for (const svg of document.querySelectorAll(".chart svg, .wide svg")) {
    if (svg.matches(".strip")) {
      if (!named(svg.closest("figure"), "x")) wrong.push(`${title(svg)}: the x axis has no name`);
      continue;
    }
    for (const axis of ["x", "y"]) if (!named(svg, axis)) wrong.push(`${title(svg)}: the ${axis} axis has no name`);
    const ticks = [...svg.querySelectorAll("text[text-anchor=end]")].map((tick) => tick.textContent);
    const same = ticks.length - new Set(ticks).size;
    if (same && !svg.closest(".small")) wrong.push(`${title(svg)}: ${same} ticks read like others`);
    const units = new Set(ticks.map((tick) => /^-?[\\d.e+-]+ (.+)$/.exec(tick)?.[1]).filter(Boolean));
    if (units.size > 1) wrong.push(`${title(svg)}: ${[...units].join(" and ")} on one axis`);
  }
  return wrong;
})()"""


OVERLAPS = """(() => {
  const wrong = [];
  for (const svg of document.querySelectorAll(".chart svg, .wide svg")) {
    const written = texts().filter(({ element }) => svg.contains(element) && !element.closest("defs"));
    const boxes = written.map(({ text, element }) => ({ text, box: element.getBoundingClientRect() }));
    boxes.forEach((one, k) => {
      for (const other of boxes.slice(0, k)) {
        const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
        const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
        if (across > 1 && down > one.box.height / 4) wrong.push(`${one.text} lies on ${other.text}`);
      }
    });
  }
  return wrong;
})()"""


def found_faults(page: Page) -> list[str]:
    """Return what is wrong with the open page, in words; empty if nothing is."""
    page.evaluate(f"(() => {{ {COMMON} Object.assign(window, {{ texts, scroller, rgba, over, behind, ratio }}); }})()")
    checks = (OVERFLOW.replace("SMALLEST", str(SMALLEST)), CONTRASTS.replace("LEAST", str(CONTRAST)), AXES, OVERLAPS)
    return [fault for check in checks for fault in page.evaluate(check)]

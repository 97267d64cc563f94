// What is wrong with the look of the page: {kind: [where, ...]}. An expression, evaluated in the page.
(() => {
  const found = { overflow: [], cut: [], glyph: [], hole: [], empty: [], font: [], close: [], contrast: [] };
  const name = (element) =>
    `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} "${element.textContent.trim().slice(0, 40)}"`;
  document.querySelectorAll("details").forEach((part) => (part.open = true));
  const shown = (element) => element.getClientRects().length > 0;
  const all = [...document.body.querySelectorAll("*")].filter(shown);

  // Horizontal overflow, of the page and of what does not scroll in a box of its own.
  if (document.documentElement.scrollWidth > innerWidth) found.overflow.push(`page ${document.documentElement.scrollWidth}`);
  const scrolls = (element) => element && (["auto", "scroll", "hidden"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  for (const element of all)
    if (!scrolls(element.parentElement) && element.getBoundingClientRect().right > innerWidth + 1) found.overflow.push(name(element));

  // Text of plots that does not fit into its plot.
  for (const svg of all.filter((element) => element.tagName === "svg")) {
    const box = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const own = text.getBoundingClientRect();
      if (own.left < box.left - 2 || own.right > box.right + 2 || own.top < box.top - 2 || own.bottom > box.bottom + 2)
        found.cut.push(name(text));
    }
  }

  // Characters that are drawn as one that no font has.
  const pen = Object.assign(document.createElement("canvas"), { width: 40, height: 40 }).getContext("2d", { willReadFrequently: true });
  const drawn = (font, character) => {
    pen.clearRect(0, 0, 40, 40);
    pen.font = font;
    pen.fillText(character, 4, 30);
    return pen.getImageData(0, 0, 40, 40).data.join();
  };
  const texts = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (walk.currentNode.data.trim() && shown(parent) && !["STYLE", "SCRIPT", "TITLE"].includes(parent.tagName)) texts.push(walk.currentNode);
  }
  const fonts = {};
  for (const text of texts) {
    const style = getComputedStyle(text.parentElement);
    const font = `${style.fontWeight} 24px ${style.fontFamily}`;
    fonts[font] ??= { missing: drawn(font, "\u0378"), seen: new Set() };
    for (const character of text.data) {
      if (fonts[font].seen.has(character) || !character.trim()) continue;
      fonts[font].seen.add(character);
      if (drawn(font, character) === fonts[font].missing) found.glyph.push(`${character} of ${name(text.parentElement)}`);
    }
  }

  // Rows of a grid that end before it does.
  for (const grid of all.filter((element) => element.matches(".plots, .pair"))) {
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").filter((width) => parseFloat(width) > 0);
    if (columns.length < 2) continue;
    const rows = {};
    for (const child of grid.children) {
      const box = child.getBoundingClientRect();
      const row = Math.round(box.top);
      rows[row] = Math.max(rows[row] ?? 0, box.right);
    }
    for (const right of Object.values(rows))
      if (right < grid.getBoundingClientRect().right - 40) found.hole.push(name(grid.parentElement.querySelector("h2") ?? grid));
  }

  // Samples: something to read in each, code monospaced, and space between them.
  const samples = all.filter((element) => element.matches(".text"));
  for (const sample of samples) {
    const copy = sample.cloneNode(true);
    copy.querySelectorAll("mark").forEach((mark) => mark.remove());
    if (!sample.closest(".pair") && !copy.textContent.trim()) found.empty.push(name(sample));
    const next = sample.nextElementSibling;
    if (next?.matches(".text") && !sample.closest(".pair") && next.getBoundingClientRect().top - sample.getBoundingClientRect().bottom < 8)
      found.close.push(name(sample));
  }
  for (const code of all.filter((element) => element.matches("pre, code, .code"))) {
    pen.font = `20px ${getComputedStyle(code).fontFamily}`;
    if (pen.measureText("iiii").width !== pen.measureText("MMMM").width) found.font.push(name(code));
  }

  // Text against what is behind it: 4.5, or 3 where it is large.
  const parts = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const channel = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const canvas = () => matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark") ? [18, 18, 18] : [255, 255, 255];
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [red, green, blue, alpha = 1] = parts(getComputedStyle(each).backgroundColor);
      if (alpha > 0.5) return [red, green, blue];
    }
    return canvas();
  };
  for (const text of texts) {
    const element = text.parentElement;
    const style = getComputedStyle(element);
    const [one, other] = [light(parts(element.closest("svg") ? style.fill : style.color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 600);
    if (ratio < (large ? 3 : 4.5)) found.contrast.push(`${ratio.toFixed(2)} ${name(element)}`);
  }
  for (const kind in found) found[kind] = [...new Set(found[kind])].slice(0, 8);
  return found;
})();

"use strict";
// One set of listeners on the document serves every fragment in it, those that come later, too.
// All text goes in as text: nothing that was read is ever parsed as HTML.
(() => {
  if (window.simpleocrEvidence) return;
  window.simpleocrEvidence = true;
  const SVG = "http://www.w3.org/2000/svg";
  const held = new WeakSet(); // sections in which a click holds what is shown
  let names = 0;

  const make = (kind, className, text) => {
    const element = document.createElement(kind);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const draw = (kind, attributes) => {
    const element = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const percent = (p) => (p >= 0.995 ? "over 99 %" : p < 0.005 ? "under 1 %" : `${Math.max(1, Math.round(100 * p))} %`);
  const short = (p) => (p >= 0.995 ? ">99 %" : p < 0.005 ? "<1 %" : `${Math.max(1, Math.round(100 * p))} %`);
  const spoken = (text) => (text === " " ? "space" : text === "" ? "nothing" : text);
  const drawn = (text) => (text === " " ? "\u2423" : text === "" ? "nothing" : text);
  const points = (char) => [0, 1, 2, 3].map((i) => [char[4 + 2 * i], char[5 + 2 * i]]);
  const joined = (char) => points(char).map((point) => point.join(",")).join(" ");

  const lineOf = (section, index) => section.querySelector(`.evidence-line[data-line="${index}"]`);
  const charsOf = (line) => (line.evidenceChars ??= JSON.parse(line.dataset.chars));

  // the letters of a word, turned upright and magnified, each in its slice
  function crop(section, chars) {
    const [a, b] = points(chars[0]);
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
    const [ux, uy] = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
    const all = chars.flatMap(points).map(([x, y]) => [ux * x + uy * y, -uy * x + ux * y]);
    const [us, vs] = [all.map((p) => p[0]), all.map((p) => p[1])];
    const [left, top] = [Math.min(...us), Math.min(...vs)];
    const [width, height] = [Math.max(...us) - left || 1, Math.max(...vs) - top || 1];
    const pad = 0.12 * height;
    const box = [left - pad, top - pad, width + 2 * pad, height + 2 * pad];
    const svg = draw("svg", { viewBox: box.join(" "), "aria-hidden": "true" });
    const turned = draw("g", { transform: `matrix(${ux} ${-uy} ${uy} ${ux} 0 0)` });
    const image = section.querySelector("figure image");
    if (image) {
      image.id ||= `evidence-image-${++names}`;
      turned.append(draw("use", { href: `#${image.id}` }));
    } else {
      for (const text of section.querySelectorAll("figure .evidence-drawn")) turned.append(text.cloneNode(true));
    }
    chars.forEach((char, i) => turned.append(draw("polygon", { class: "evidence-slice", points: joined(char), "data-char": i })));
    svg.append(turned);
    return svg;
  }

  function cell(char, index, unsure) {
    const [text, sure, other, share] = char;
    const item = make("li");
    const button = make("button", `evidence-char${sure < unsure ? " evidence-doubtful" : ""}`);
    button.type = "button";
    button.tabIndex = index ? -1 : 0;
    button.dataset.char = index;
    button.setAttribute("aria-label", `${spoken(text)}: ${percent(sure)} sure; or else ${spoken(other)}, ${percent(share)}`);
    const bar = make("i");
    bar.style.setProperty("--ev-share", `${100 * sure}%`);
    button.append(make("b", "", drawn(text)), bar, make("span", "", `${sure < unsure ? "? " : ""}${short(sure)}`));
    button.append(make("span", "", other === "" ? `none ${short(share)}` : `or ${drawn(other)} ${short(share)}`));
    item.append(button);
    return item;
  }

  function show(section, line, from, to) {
    const key = `${line.dataset.line}:${from}:${to}`;
    if (section.dataset.shown === key) return;
    section.dataset.shown = key;
    const chars = charsOf(line).slice(from, to);
    const unsure = Number(line.dataset.unsure);
    const button = line.querySelector(`button[data-from="${from}"][data-to="${to}"]:not(.evidence-sure)`) ?? line.querySelector(".evidence-sure");
    const sure = Number(button.dataset.sure);
    section.querySelectorAll(".evidence-shown").forEach((element) => element.classList.remove("evidence-shown"));
    button.classList.add("evidence-shown");
    const place = `[data-line="${line.dataset.line}"]`;
    const whole = button.classList.contains("evidence-sure");
    section.querySelector(whole ? `.evidence-around${place}` : `.evidence-box${place}[data-from="${from}"]`)?.classList.add("evidence-shown");
    const head = make("p", "evidence-head");
    head.append(make("b", "", chars.map((char) => char[0]).join("")), make("span", "", `${whole ? "the line: " : ""}${percent(sure)} sure`));
    if (sure < unsure) head.append(make("span", "evidence-doubtful", "? doubtful"));
    const list = make("ol", "evidence-chars");
    list.setAttribute("aria-label", "Letters");
    list.append(...chars.map((char, i) => cell(char, i, unsure)));
    section.querySelector(".evidence-panel").replaceChildren(head, crop(section, chars), list);
    section.evidenceShown = chars;
    point(section, null);
    section.querySelectorAll('.evidence-text [tabindex="0"]').forEach((element) => { element.tabIndex = -1; });
    button.tabIndex = 0;
  }

  // one letter of what is shown: in the list, in the crop and in the picture
  function point(section, index) {
    section.querySelectorAll("[data-char]").forEach((element) => element.classList.toggle("evidence-shown", element.dataset.char === String(index)));
    section.querySelector(".evidence-letter")?.remove();
    const char = section.evidenceShown?.[index];
    if (char) section.querySelector("figure svg").append(draw("polygon", { class: "evidence-letter", points: joined(char) }));
  }

  // which letter is nearest to the pointer
  function letterAt(section, event) {
    const svg = section.querySelector("figure svg");
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let [nearest, least] = [null, Infinity];
    (section.evidenceShown ?? []).forEach((char, i) => {
      const corners = points(char);
      const middle = [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis] / 4, 0));
      const [[ax, ay], [bx, by]] = corners;
      const length = Math.hypot(bx - ax, by - ay) || 1;
      const away = Math.abs((x - middle[0]) * (bx - ax) + (y - middle[1]) * (by - ay)) / length; // along the line
      if (away < least) [nearest, least] = [i, away];
    });
    return nearest;
  }

  // what an event is about: a section, and a word, a line or a letter in it
  function about(event) {
    const target = event.target instanceof Element ? event.target : null;
    const section = target?.closest(".evidence");
    if (!section) return {};
    const letter = target.closest("[data-char]");
    if (letter) return { section, letter: Number(letter.dataset.char) };
    const part = target.closest("[data-from], .evidence-around");
    const index = part?.dataset.line ?? part?.closest(".evidence-line")?.dataset.line;
    if (index === undefined) return { section };
    const line = lineOf(section, index);
    const from = Number(part.dataset.from ?? 0);
    const to = Number(part.dataset.to ?? charsOf(line).length);
    return { section, line, from, to, inPicture: part instanceof SVGElement };
  }

  document.addEventListener("pointermove", (event) => {
    const { section, line, from, to, letter, inPicture } = about(event);
    if (!section) return;
    if (letter !== undefined) point(section, letter);
    else if (line && event.pointerType !== "touch") {
      if (!held.has(section)) show(section, line, from, to);
      if (inPicture) point(section, letterAt(section, event));
    }
  }, { passive: true });

  document.addEventListener("click", (event) => {
    const { section, line, from, to, letter, inPicture } = about(event);
    if (!section) return;
    if (letter !== undefined) return point(section, letter);
    if (!line) return void held.delete(section);
    show(section, line, from, to);
    held.add(section);
    if (inPicture) point(section, letterAt(section, event));
  });

  document.addEventListener("focusin", (event) => {
    const { section, line, from, to, letter } = about(event);
    if (letter !== undefined) point(section, letter);
    else if (line) show(section, line, from, to);
  });

  document.addEventListener("keydown", (event) => {
    const { section, line, letter } = about(event);
    if (!section || event.ctrlKey || event.metaKey || event.altKey) return;
    const go = (elements, at, step) => {
      event.preventDefault();
      const next = elements[Math.min(Math.max(at + step, 0), elements.length - 1)];
      next.focus();
    };
    if (event.key === "Escape") {
      held.delete(section);
      if (letter !== undefined) section.querySelector(".evidence-text .evidence-shown")?.focus();
      return;
    }
    const far = { Home: -1e9, End: 1e9 };
    const side = { ArrowLeft: -1, ArrowRight: 1, ...far }[event.key];
    if (letter !== undefined) {
      if (side) go([...section.querySelectorAll(".evidence-char")], letter, side);
    } else if (line) {
      const buttons = [...line.querySelectorAll("button")];
      const lines = [...section.querySelectorAll(".evidence-line")];
      if (event.key === "ArrowUp" || event.key === "ArrowDown") {
        const other = lines[lines.indexOf(line) + (event.key === "ArrowDown" ? 1 : -1)];
        if (other) go([...other.querySelectorAll("button")], buttons.indexOf(event.target), 0);
      } else if (side) {
        const all = Math.abs(side) === 1 ? [...section.querySelectorAll(".evidence-text button")] : buttons;
        go(all, all.indexOf(event.target), side);
      } else if (event.key === "Enter") {
        event.preventDefault();
        section.querySelector(".evidence-char")?.focus();
        held.add(section);
      }
    }
  });
})();

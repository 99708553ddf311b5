"""Render pages: a headless browser lays out HTML, and says where every word and line of it stands.

    python -m training.pages --out DIR --samples N --fonts DIR... --text FILE... --backgrounds DIR...

The corpus has the columns that training.shards says; lines are in reading order, which is that of the document. Needs
Playwright and Chromium.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

import cv2
import numpy as np

from simpleocr.options import Parser
from training.backgrounds import find_photos
from training.claim import digest, digest_of_files
from training.corpus import load_corpus
from training.fonts import find_fonts, held_out, text_faces
from training.layouts import Stock, lay_out_page
from training.shards import PageSample, split_counts, to_sample, write_corpus

MAX_HEIGHT = 1800  # CSS pixels that are looked at; a page that goes on is cut
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none"]

MEASURE = """
() => {
  const lines = [], canvas = document.createElement('canvas').getContext('2d');
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let last = null, home = null;
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement, style = getComputedStyle(parent);
    if (['STYLE', 'SCRIPT'].includes(parent.tagName)) continue;
    let block = parent;
    while (getComputedStyle(block).display === 'inline') block = block.parentElement;
    canvas.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const of = canvas.measureText('x');
    const above = canvas.measureText('Hdl').actualBoundingBoxAscent;
    const below = canvas.measureText('gpy').actualBoundingBoxDescent;
    for (const match of node.data.matchAll(/[^\\s\\u00a0]+/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const rects = [...range.getClientRects()].filter(r => r.width > 0);
      const texts = rects.map(() => '');
      let at = match.index, part = 0;
      for (const character of rects.length > 1 ? match[0] : '') {  // broken over lines: which letters stand in which?
        range.setStart(node, at);
        range.setEnd(node, at += character.length);
        const c = [...range.getClientRects()].filter(c => c.width > 0).pop();  // after that of a hyphen put before it
        const x = c && (c.left + c.right) / 2, y = c && (c.top + c.bottom) / 2;
        const found = c ? rects.findIndex(r => r.left <= x && x <= r.right && r.top <= y && y <= r.bottom) : -1;
        part = found < 0 ? part : found;  // a mark without a width stands with the letter before it
        texts[part] += character === '\\u00ad' && c ? '-' : character;  // a soft hyphen is drawn at the end of a line
      }
      rects.forEach((r, i) => {
        // the content area lies around the baseline as the font's own metrics say
        const share = of.fontBoundingBoxAscent / (of.fontBoundingBoxAscent + of.fontBoundingBoxDescent);
        const baseline = r.top + r.height * share;
        const box = [r.left, baseline - above, r.right, baseline + below];
        const glued = last && home === block && Math.abs(r.left - last.right) < 1
          && (i > 0 || match.index === 0 && last.node !== node && !/\\s$/.test(last.node.data));
        const same = last && home === block && r.left >= last.right - 3 && Math.abs(baseline - last.baseline) < 0.4 * (above + below);
        const text = (rects.length > 1 ? texts[i] : match[0]).replaceAll('\\u00ad', '');
        if (!same) lines.push([]);
        const line = lines[lines.length - 1];
        if (same && glued) {
          const word = line[line.length - 1];
          word.text += text;
          word.box = [Math.min(word.box[0], box[0]), Math.min(word.box[1], box[1]), Math.max(word.box[2], box[2]), Math.max(word.box[3], box[3])];
        } else line.push({box, text});
        last = {node, right: r.right, baseline}; home = block;
      });
    }
  }
  return lines;
}
"""


def find_browser() -> str:
    """The command of a Chromium.

    Raises:
        ValueError: there is none.
    """
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise ValueError(f"none of {', '.join(BROWSERS)} is installed: pages are laid out by Chromium")


def render_pages(stock: Stock, seed: int, numbers: range) -> Iterator[PageSample]:
    """The pages of these numbers; each is the same whatever the others are."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "page.html")  # of an address that may show pictures and fonts of this machine
        browser = playwright.chromium.launch(executable_path=find_browser(), args=ARGUMENTS)
        for number in numbers:
            rng = Random(f"page/{seed}/{number}")
            layout = lay_out_page(stock, rng)
            file.write_text(layout.html, encoding="utf-8")
            page = browser.new_page(viewport={"width": layout.width, "height": 300}, device_scale_factor=layout.scale)
            page.goto(file.as_uri())
            page.evaluate("() => document.fonts.ready.then(() => 1)")
            height = min(MAX_HEIGHT, max(40, int(page.evaluate("() => document.documentElement.scrollHeight"))))
            page.set_viewport_size({"width": layout.width, "height": height})
            lines = page.evaluate(MEASURE)
            shot = page.screenshot(type="png")
            page.close()
            grey = np.asarray(cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
            for word in (word for line in lines for word in line):
                word["box"] = [edge * layout.scale for edge in word["box"]]
            yield to_sample(grey, lines, rng)
        browser.close()


def write_pages(out: Path, stocks: dict[str, Stock], counts: dict[str, int], seed: int, processes: int) -> float:
    """As write_corpus(), the pages of each split from its stock.

    Raises:
        ValueError: there is no browser, or as write_corpus().
        OSError: as write_corpus().
    """
    find_browser()
    makers = {split: partial(render_pages, stock) for split, stock in stocks.items()}
    made_of = {
        "text": {split: digest([*stock.corpus.words, "", *stock.corpus.running]) for split, stock in stocks.items()},
        "fonts": {split: digest_of_files(stock.fonts) for split, stock in stocks.items()},
        "backgrounds": {split: digest_of_files(stock.photos) for split, stock in stocks.items()},
    }
    return write_corpus(out, makers, counts, seed, processes, made_of)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, write the corpus and say how fast it went."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--samples", type=int, default=2000, help="pages in all; a twentieth each validates and tests")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders of fonts, beside the system's")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files: running text or frequency lists")
    parser.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="folders of photographs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    if args.samples < 20 or args.processes < 1:
        parser.error("--samples must be at least 20, --processes at least 1")
    try:
        corpus, fonts = load_corpus(args.text), find_fonts(args.fonts)
        photos = sorted(file.resolve() for file in find_photos(args.backgrounds))
        seen, unseen = [f for f in fonts if not held_out(f)] or fonts, [f for f in fonts if held_out(f)] or fonts
        kept = photos[::10] or photos  # photographs that training never sees
        stocks = {
            "train": Stock(corpus, seen, text_faces(seen), [p for p in photos if p not in set(kept)] or photos),
            "validation": Stock(corpus, unseen, text_faces(unseen), kept),
            "test": Stock(corpus, unseen, text_faces(unseen), kept),
        }
        rate = write_pages(args.out, stocks, split_counts(args.samples), args.seed, args.processes)
    except (ValueError, OSError) as error:
        sys.exit(f"training.pages: {error}")
    print(f"{args.samples} pages in {args.out}: {rate:.1f} pages/s")


if __name__ == "__main__":
    main()

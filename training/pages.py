"""Render pages: a headless browser lays out HTML, and says where every word and line of it stands.

    python -m training.pages --out DIR --samples N --fonts DIR... --text FILE... --backgrounds DIR...

The corpus is read as others are: columns image, width, height, lines. A line is {"box": [left, top, right, bottom] in
pixels, "text", "words": [{"box", "text"}]}; lines are in reading order, which is that of the document. Boxes reach from
the top of a tall letter to the bottom of a hanging one, whatever the letters are. Needs Playwright and Chromium.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from training.corpus import load_corpus
from training.fonts import find_fonts, held_out, text_faces
from training.layouts import Stock, lay_out_page

SHARD = 64  # pages a file
MAX_HEIGHT = 1800  # CSS pixels that are looked at; a page that goes on is cut
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none"]
BROWSER_SUFFIXES = {".ttf", ".otf", ".woff", ".woff2"}

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


@dataclass(frozen=True)
class PageSample:
    """A page as it was laid out.

    Args:
        data: a picture's file.
        size: (width, height) in pixels.
        lines: in reading order, as the module says.
    """

    data: bytes
    size: tuple[int, int]
    lines: list[dict[str, Any]]


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
            yield _sample(shot, lines, layout.scale, rng)
        browser.close()


def _sample(shot: bytes, lines: list[list[dict[str, Any]]], scale: float, rng: Random) -> PageSample:
    """A screenshot and what the browser measured -> grey picture, and boxes in its pixels that lie inside."""
    grey = np.asarray(cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    height, width = grey.shape
    kept = []
    for line in lines:
        words: list[dict[str, Any]] = []
        for word in line:
            box, whole = _clipped([edge * scale for edge in word["box"]], width, height)
            if box is not None:
                words.append({"box": box, "text": word["text"] if whole and word["text"] else ""})
        if not words:
            continue
        edges = np.array([word["box"] for word in words])
        box = [*edges[:, :2].min(axis=0).tolist(), *edges[:, 2:].max(axis=0).tolist()]
        whole = all(word["text"] for word in words) and len(words) == len(line)
        text = " ".join(str(word["text"]) for word in words) if whole else ""
        kept.append({"box": box, "text": text, "words": words})
    quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(75, 97)]
    return PageSample(bytes(cv2.imencode(".jpg", grey, quality)[1]), (width, height), kept)


def _clipped(box: list[float], width: int, height: int) -> tuple[list[float] | None, bool]:
    """What of a box lies on the page, None where nothing does; and whether all of it does, but for a pixel."""
    left, top, right, bottom = max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])
    if right - left < 1 or bottom - top < 1:
        return None, False
    lost = max(left - box[0], top - box[1], box[2] - right, box[3] - bottom)
    return [round(edge, 2) for edge in (left, top, right, bottom)], lost <= 1


_worker: dict[str, Stock] = {}


def _start_worker(stocks: dict[str, Stock]) -> None:
    import datasets

    datasets.disable_progress_bars()
    cv2.setNumThreads(1)
    _worker.update(stocks)


def _write_shard(job: tuple[str, int, int, int, str]) -> int:
    from datasets import Dataset, Features, List, Value
    from datasets import Image as ImageFeature

    split, seed, first, count, path = job
    samples = list(render_pages(_worker[split], seed, range(first, first + count)))
    word = {"box": List(Value("float32")), "text": Value("string")}
    features = Features(
        {
            "image": ImageFeature(),
            "width": Value("int32"),
            "height": Value("int32"),
            "lines": List({**word, "words": List(word)}),
        }
    )
    columns = {
        "image": [{"bytes": sample.data, "path": None} for sample in samples],
        "width": [sample.size[0] for sample in samples],
        "height": [sample.size[1] for sample in samples],
        "lines": [sample.lines for sample in samples],
    }
    table = Dataset.from_dict(columns, features=features)
    partial = Path(path).with_name(f".{Path(path).name}.partial")
    table.to_parquet(partial)
    partial.replace(path)
    return count


def write_pages(out: Path, stocks: dict[str, Stock], counts: dict[str, int], seed: int, processes: int) -> float:
    """Write `counts` pages of each split below `out`; shards that are there are kept; returns pages a second.

    Raises:
        ValueError: there is no browser, or the folder holds another corpus.
        OSError: the folder cannot be written.
    """
    find_browser()
    (out / "data").mkdir(parents=True, exist_ok=True)
    note, written = out / ".corpus.json", json.dumps({"pages": counts, "seed": seed})
    if note.exists() and note.read_text() != written:
        raise ValueError(f"{out} holds another corpus, {note.read_text()}, not {written}")
    note.write_text(written)
    jobs = []
    for number, (split, count) in enumerate(counts.items()):
        shards = -(-count // SHARD)
        for shard in range(shards):
            path = out / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet"
            first = shard * SHARD
            if not path.exists():
                jobs.append((split, seed * 10 + number, first, min(SHARD, count - first), str(path)))
    started, done = time.perf_counter(), 0
    with (
        tqdm(total=sum(job[3] for job in jobs), unit="page") as bar,
        multiprocessing.get_context("spawn").Pool(processes, _start_worker, (stocks,)) as pool,
    ):
        for count in pool.imap_unordered(_write_shard, jobs):
            done += count
            bar.update(count)
        pool.close()
        pool.join()
    return done / max(1e-9, time.perf_counter() - started)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, write the corpus and say how fast it went."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
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
    rest = args.samples // 20
    counts = {"train": args.samples - 2 * rest, "validation": rest, "test": rest}
    try:
        corpus, fonts = load_corpus(args.text), [f for f in find_fonts(args.fonts) if f.suffix in BROWSER_SUFFIXES]
        photos = sorted(f.resolve() for folder in args.backgrounds for f in folder.rglob("*.jpg"))
        seen, unseen = [f for f in fonts if not held_out(f)] or fonts, [f for f in fonts if held_out(f)] or fonts
        kept = photos[::10] or photos  # photographs that training never sees
        stocks = {
            "train": Stock(corpus, seen, text_faces(seen), [p for p in photos if p not in set(kept)] or photos),
            "validation": Stock(corpus, unseen, text_faces(unseen), kept),
            "test": Stock(corpus, unseen, text_faces(unseen), kept),
        }
        rate = write_pages(args.out, stocks, counts, args.seed, args.processes)
    except (ValueError, OSError) as error:
        sys.exit(f"training.pages: {error}")
    print(f"{args.samples} pages in {args.out}: {rate:.1f} pages/s")


if __name__ == "__main__":
    main()

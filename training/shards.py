"""Shards: a corpus as parquet files, each there as a whole or not at all.

Pages, whoever made them, are written by several processes, and gone on with if cut off; lines one after another. The columns
of lines are image, text, width, height; those of pages image, width, height, lines. A line of a page is {"box": [left, top, right, bottom] in pixels, "text", "words":
[{"box", "text"}]}. Boxes reach from the top of a tall letter to the bottom of a hanging one, whatever the letters are;
what is not known of a text is "".
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from training.claim import claim

SHARD = 64  # pages a file
LINES = 4096  # lines a file


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


Maker = Callable[[int, range], Iterator[PageSample]]
"""(seed, numbers) -> the pages of these numbers; each is the same whatever the others are."""


def to_sample(grey: npt.NDArray[np.uint8], lines: list[list[dict[str, Any]]], rng: Random) -> PageSample:
    """A picture (H, W) and the words of its lines, boxes in its pixels -> a sample with the boxes that lie inside."""
    height, width = grey.shape
    kept = []
    for line in lines:
        words: list[dict[str, Any]] = []
        for word in line:
            box, whole = _clipped(word["box"], width, height)
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


_worker: dict[str, Maker] = {}


def _start_worker(makers: dict[str, Maker]) -> None:
    import datasets

    datasets.disable_progress_bars()
    cv2.setNumThreads(1)
    _worker.update(makers)


def _write_shard(job: tuple[str, int, int, int, str]) -> int:
    from datasets import Dataset, Features, List, Value
    from datasets import Image as ImageFeature

    split, seed, first, count, path = job
    samples = list(_worker[split](seed, range(first, first + count)))
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
    write_shard(Dataset.from_dict(columns, features=features), Path(path))
    return count


def write_shard(table: Any, path: Path) -> None:
    """Write a `datasets.Dataset` as parquet; cut off, it leaves nothing that is taken for a shard.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")  # a name that load_dataset passes over
    table.to_parquet(partial)
    partial.replace(path)


def line_features() -> Any:
    """The `datasets.Features` of a corpus of lines."""
    from datasets import Features, Value
    from datasets import Image as ImageFeature

    return Features(
        {"image": ImageFeature(), "text": Value("string"), "width": Value("int32"), "height": Value("int32")}
    )


def write_lines(rows: Iterator[dict[str, Any]], out: Path, split: str) -> int:
    """Write a split of a corpus of lines below `out`, whose folder "data" is there; returns how many rows it has.

    Raises:
        OSError: a shard cannot be written.
    """
    from datasets import Dataset

    written = 0
    rows = iter(tqdm(rows, unit="line", desc=split))
    while shard := list(islice(rows, LINES)):
        path = out / "data" / f"{split}-{written // LINES:05d}.parquet"
        write_shard(Dataset.from_list(shard, features=line_features()), path)
        written += len(shard)
    return written


def write_corpus(
    out: Path,
    makers: Mapping[str, Maker],
    counts: dict[str, int],
    seed: int,
    processes: int,
    made_of: Mapping[str, Mapping[str, str]],
) -> float:
    """Write `counts` pages of each split below `out`; shards that are there are kept; returns pages a second.

    `made_of` has digests of what the pages are made of: names of training.claim.SINCE -> splits -> digests.

    Raises:
        ValueError: the folder holds another corpus, or a maker cannot make a page.
        OSError: the folder cannot be written.
    """
    (out / "data").mkdir(parents=True, exist_ok=True)
    claim(out, {"pages": counts, "seed": seed, **made_of})
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
        multiprocessing.get_context("spawn").Pool(processes, _start_worker, (makers,)) as pool,
    ):
        for count in pool.imap_unordered(_write_shard, jobs):
            done += count
            bar.update(count)
        pool.close()
        pool.join()
    return done / max(1e-9, time.perf_counter() - started)


def split_counts(samples: int) -> dict[str, int]:
    """So many pages in all -> pages of each split; a twentieth each validates and tests."""
    rest = samples // 20
    return {"train": samples - 2 * rest, "validation": rest, "test": rest}

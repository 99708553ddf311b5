"""Data: any labelled corpus -> checked samples -> batches of one width, the same order for the same seed."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from simpleocr.image import InputError, load_image
from simpleocr.preprocessing import Preprocessing, grey_to_tensor, to_grey
from simpleocr.vocabulary import Vocabulary, normalize

IMAGE_COLUMNS = ("image", "file_name", "file", "path")
TEXT_COLUMNS = ("text", "label", "transcription", "ground_truth")
BUCKET = 32  # columns: batches are as wide as a multiple of this, and their lines are stretched to fit
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(?<!\.csv)(?<!\.jsonl)(?<!\.parquet)|[\w-]+")
LARGEST_STRETCH = 1.5  # a line in a bucket that is wider still gets room beside it instead
AREA_WIDTH = 384  # columns: a wider bucket has fewer lines a batch, so that a step's cost and memory stay bounded


class DataError(ValueError):
    """A corpus that cannot be trained on; says what is wrong with it."""


def open_corpus(name: str, split: str, *, streaming: bool = False, revision: str | None = None) -> Any:
    """A labelled corpus by name, as `datasets` has it, pictures not decoded.

    Args:
        name: a folder of pictures with metadata.csv or metadata.jsonl, a CSV of file and text, a parquet file or a
            folder of them, a folder that save_to_disk wrote, or a Hub id.
        split: "train", "validation", "test"; sources without splits are all "train".
        streaming: read rows as they come, without an index.
        revision: of a Hub repository.

    Returns:
        A Dataset or IterableDataset with columns image ({"bytes", "path"}) and text, and maybe width and height.

    Raises:
        DataError: nothing there, no such split, no column with pictures or texts, or a label file that cannot be read.
    """
    from datasets import Image as ImageFeature
    from datasets import load_dataset, load_from_disk
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    if not name.strip():
        raise DataError("a corpus without a name")
    path = Path(name)
    try:
        if labels := _label_file(path / split) if (path / split).is_dir() else _label_file(path):
            if labels.parent != path / split:
                _only_train(str(labels), split)
            return _from_labels(labels, streaming=streaming)
        if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
            dataset: Any = load_from_disk(name)
            if not isinstance(dataset, dict):
                _only_train(name, split)
            dataset = dataset[split] if isinstance(dataset, dict) else dataset
            dataset = dataset.to_iterable_dataset() if streaming else dataset
        elif path.suffix == ".parquet" and path.is_file():
            _only_train(name, split)
            dataset = load_dataset("parquet", data_files={"train": name}, split="train", streaming=streaming)
        elif path.is_dir() or HUB_ID.fullmatch(name):
            dataset = load_dataset(name, split=split, streaming=streaming, revision=revision)
        else:
            dataset = None
    except DataError:
        raise
    except (KeyError, DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        raise DataError(f"cannot open {name!r}, split {split!r}: {error}") from error
    if dataset is None:
        raise DataError(f"no such corpus: {name}")
    columns = dataset.column_names or list(next(iter(dataset)))
    image, text = _column(columns, IMAGE_COLUMNS, name), _column(columns, TEXT_COLUMNS, name)
    dataset = dataset.rename_columns({a: b for a, b in ((image, "image"), (text, "text")) if a != b})
    return dataset.cast_column("image", ImageFeature(decode=False))


def _column(columns: Sequence[str], wanted: Sequence[str], name: str) -> str:
    for column in wanted:
        if column in columns:
            return column
    raise DataError(f"{name!r} has the columns {list(columns)}, none of {list(wanted)}")


def _label_file(path: Path) -> Path | None:
    for candidate in (path / "metadata.csv", path / "metadata.jsonl", path):
        if candidate.suffix in (".csv", ".jsonl") and candidate.is_file():
            return candidate
    return None


def _only_train(name: str, split: str) -> None:
    if split != "train":
        raise DataError(f"{name} has no split {split!r}: it is all one")


def _from_labels(labels: Path, *, streaming: bool) -> Any:
    """Rows of a CSV or JSON-lines file of file names and texts; read as text, for "007" and "NA" are labels."""
    from datasets import Dataset
    from datasets import Image as ImageFeature

    try:
        with labels.open(encoding="utf-8-sig", newline="") as file:
            rows = (
                list(csv.DictReader(file))
                if labels.suffix == ".csv"
                else [json.loads(line) for line in file if line.strip()]
            )
    except UnicodeDecodeError as error:
        raise DataError(f"{labels} is not UTF-8: byte {error.start} is {error.object[error.start]:#x}") from error
    except (csv.Error, json.JSONDecodeError) as error:
        raise DataError(f"{labels} cannot be read: {error}") from error
    if not rows:
        raise DataError(f"{labels} has no rows")
    if odd := [number for number, row in enumerate(rows) if not isinstance(row, dict)]:
        raise DataError(f"{labels} has rows that are not objects, the first is row {odd[0]}")
    image, text = _column(list(rows[0]), IMAGE_COLUMNS, str(labels)), _column(list(rows[0]), TEXT_COLUMNS, str(labels))
    columns = {
        "image": [{"bytes": None, "path": str(labels.parent / str(row.get(image) or ""))} for row in rows],
        "text": [value if isinstance(value := row.get(text), str) else None for row in rows],
    }
    dataset = Dataset.from_dict(columns).cast_column("image", ImageFeature(decode=False))
    return dataset.to_iterable_dataset() if streaming else dataset


def picture(row: dict[str, Any]) -> Image.Image:
    """The decoded picture of a row.

    Raises:
        InputError: it is missing or damaged.
    """
    cell = row["image"]
    if cell is None:
        raise InputError("the row has no picture")
    return load_image(cell["bytes"] if cell["bytes"] is not None else cell["path"])


@dataclass
class Report:
    """What was found wrong with a corpus: counts by reason, and the first examples of each."""

    seen: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    empty: int = 0
    left_out: int = 0

    def drop(self, reason: str, example: str) -> None:
        """Count one row that is not used."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, [])
        if len(self.examples[reason]) < 5:
            self.examples[reason].append(example)

    def __str__(self) -> str:
        used = self.seen - self.dropped.total() - self.left_out
        lines = [
            f"{self.seen} rows, {used} used, {self.empty} of them without text; {self.left_out} left out as too wide for this run"
        ]
        lines += [
            f"  {count} dropped: {reason}: {'; '.join(self.examples[reason])}"
            for reason, count in self.dropped.most_common()
        ]
        return "\n".join(lines)

    def refuse_over(self, share: float) -> None:
        """Raise DataError if more than `share` of the rows are bad, or none is left."""
        bad = self.dropped.total()
        if bad + self.left_out == self.seen or bad > share * self.seen:
            raise DataError(
                f"{bad} of {self.seen} rows cannot be used, more than {share:.1%}, or none is left:\n{self}"
            )


@dataclass(frozen=True)
class Checker:
    """Tells which rows can be trained on.

    Args:
        vocabulary: the characters that targets may have.
        preprocessing: how wide a picture becomes.
        unknown: of a text with other characters, "drop" the row or "strip" those characters from it.
        max_columns: wider lines are left out; nothing is wrong with them, but a step costs as much as its width.
    """

    vocabulary: Vocabulary
    preprocessing: Preprocessing
    unknown: str = "drop"
    max_columns: int | None = None

    def target(self, text: str) -> str:
        """The text as it is trained on: normalised and, where that is the policy, without unknown characters."""
        text = normalize(text)
        if self.unknown == "strip" and self.vocabulary.unknown(text):
            text = normalize("".join(c for c in text if not self.vocabulary.unknown(c)))
        return text

    def check(self, row: dict[str, Any], number: int, report: Report) -> tuple[str, int] | None:
        """(target, width in columns) of a usable row; None of one that `report` has counted."""
        report.seen += 1
        name = f"row {number}"
        if isinstance(cell := row["image"], dict) and cell.get("path"):
            name = str(Path(cell["path"]).name)
        if not isinstance(row["text"], str):
            report.drop("no text", name)
            return None
        target = self.target(row["text"])
        if unknown := self.vocabulary.unknown(target):
            report.drop(
                "unknown characters",
                f"{name} {target[:40]!r} has {', '.join(f'{c!r} U+{ord(c):04X}' for c in unknown[:5])}",
            )
            return None
        if row.get("width") and row.get("height"):
            size = (int(row["width"]), int(row["height"]))
        else:
            try:
                size = picture(row).size
            except InputError as error:
                report.drop("no readable picture", f"{name}: {error}")
                return None
        width = self.preprocessing.width(size)
        if width > self.preprocessing.max_width:
            report.drop("too wide", f"{name} is {size[0]} x {size[1]}")
            return None
        if columns_needed(target) > width:
            report.drop("label too long for its picture", f"{name} {target[:40]!r} on {size[0]} x {size[1]}")
            return None
        if self.max_columns and width > self.max_columns:
            report.left_out += 1
            return None
        report.empty += not target
        return target, width


def columns_needed(target: str) -> int:
    """The least columns on which CTC can write a text: a timestep a character, one more between equal neighbours."""
    repeats = sum(a == b for a, b in pairwise(target))
    least = len(target) + repeats
    return max(1, 4 * least - 3)


@dataclass(frozen=True)
class Batch:
    """What one step trains on.

    Args:
        images: (B, 1, H, W) float32, every line stretched to the whole width.
        targets: class ids of all lines in a row, int64.
        target_lengths: (B,) characters of each line.
        names: which rows these are, for messages.
    """

    images: Tensor
    targets: Tensor
    target_lengths: Tensor
    names: list[str]


def plan_widths(
    widths: npt.NDArray[np.int64], needed: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Bucket width of each line: its own, made up to 30 % narrower or 16 % wider, rounded to a BUCKET, never too short."""
    wanted = widths * np.exp(rng.uniform(-0.35, 0.15, len(widths)))
    buckets = np.maximum(np.round(wanted / BUCKET), np.ceil(needed / BUCKET))
    return (np.maximum(1, buckets) * BUCKET).astype(np.int64)


def batch_lines(width: int, batch_size: int, processes: int = 1) -> int:
    """Lines of a batch in the bucket of `width` columns; at least one for each process."""
    return max(processes, min(batch_size, batch_size * AREA_WIDTH // width))


def plan_epoch(
    widths: npt.NDArray[np.int64],
    needed: npt.NDArray[np.int64],
    batch_size: int,
    seed: int,
    epoch: int,
    processes: int = 1,
) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """The batches of an epoch as (width, indices): shuffled, each of one width, at least a line for each process.

    What is left of a bucket goes to the next wider one, where load_line pads what would be stretched too far: batches
    of one or two lines would make noise of BatchNorm's statistics. So only the last batch can be small, and every line
    is in exactly one, but for a rest of fewer lines than processes.
    """
    if not len(widths):
        return []
    rng = np.random.default_rng((seed, epoch))
    buckets = plan_widths(widths, needed, rng)
    order = rng.permutation(len(widths))
    order = order[np.argsort(buckets[order], kind="stable")]
    batches: list[tuple[int, npt.NDArray[np.int64]]] = []
    rest = order[:0]
    values, starts = np.unique(buckets[order], return_index=True)
    for width, start, end in zip(values, starts, [*starts[1:], len(order)], strict=True):
        lines = np.concatenate([rest, order[start:end]])
        size = batch_lines(int(width), batch_size, processes)
        full = len(lines) // size * size
        batches.extend((int(width), lines[i : i + size]) for i in range(0, full, size))
        rest = lines[full:]
    if len(rest):
        batches.append((int(values[-1]), rest))
    return [batches[i] for i in rng.permutation(len(batches)) if len(batches[i][1]) >= processes]


def load_line(
    row: dict[str, Any], width: int, preprocessing: Preprocessing, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """One line as uint8 grey (H, width), slightly different each time: cropped, exposed, inverted, coarsened, noisy."""
    image = picture(row).convert("L")
    size = image.size
    draw = rng.random(6)
    if draw[0] < 0.3 and min(image.size) > 12:
        inset = rng.uniform(0, 0.05, 4) * min(image.size)
        image = image.crop(
            (round(inset[0]), round(inset[1]), image.width - round(inset[2]), image.height - round(inset[3]))
        )
    if draw[1] < 0.08:
        share = rng.uniform(0.3, 0.7)
        small = (max(4, round(width * share)), max(8, round(preprocessing.height * share)))
        image = image.resize(small, Image.Resampling.BILINEAR)
    own = preprocessing.width(size)
    grey = to_grey(image, width if width <= LARGEST_STRETCH * own else own, preprocessing.height)
    if grey.shape[1] < width:
        left = int(rng.integers(0, width - grey.shape[1] + 1))
        grey = np.pad(grey, ((0, 0), (left, width - grey.shape[1] - left)), mode="edge")
    if max(draw[2:5]) < 0.5:
        return grey
    level = grey.astype(np.float32)
    if draw[2] < 0.12:
        level = 255 - level
    if draw[3] < 0.3:
        level = (level - 128) * rng.uniform(0.6, 1.3) + 128 + rng.uniform(-25, 25)
    if draw[4] < 0.15:
        level += rng.standard_normal(grey.shape, dtype=np.float32) * np.float32(rng.uniform(2, 15))
    return np.clip(level, 0, 255).astype(np.uint8)


def collate(
    lines: list[npt.NDArray[np.uint8]],
    targets: list[str],
    names: list[str],
    vocabulary: Vocabulary,
    preprocessing: Preprocessing,
) -> Batch:
    """Lines of one width and their targets -> Batch."""
    ids = [vocabulary.encode(target) for target in targets]
    return Batch(
        images=grey_to_tensor(np.stack(lines)[:, None], preprocessing),
        targets=torch.tensor([i for row in ids for i in row], dtype=torch.int64),
        target_lengths=torch.tensor([len(row) for row in ids], dtype=torch.int64),
        names=names,
    )


class Lines:
    """Checked lines of one or several corpora that can be read in any order.

    Args:
        corpora: datasets with columns image and text.
        checker: which rows can be used.
        max_bad: the share of unusable rows above which the corpus is refused.

    Raises:
        DataError: too many rows are bad.
    """

    def __init__(self, corpora: Sequence[Any], checker: Checker, max_bad: float = 0.01) -> None:
        self.corpora, self.checker = corpora, checker
        self.report = Report()
        origins, targets, widths = [], [], []
        for number, corpus in enumerate(corpora):
            columns = [c for c in ("text", "width", "height") if c in corpus.column_names]
            sized = len(columns) == 3  # then pictures need not be opened before they are trained on
            rows = corpus.select_columns(columns) if sized else corpus
            for i, row in enumerate(rows):
                if (found := checker.check({"image": None, **row}, i, self.report)) is not None:
                    origins.append((number, i))
                    targets.append(found[0])
                    widths.append(found[1])
        self.report.refuse_over(max_bad)
        self.origins = np.array(origins, dtype=np.int64)
        self.targets = targets
        self.widths = np.array(widths, dtype=np.int64)
        self.needed = np.array([columns_needed(target) for target in targets], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.targets)

    def row(self, index: int) -> dict[str, Any]:
        """The row of line `index`."""
        number, i = self.origins[index]
        row: dict[str, Any] = self.corpora[number][int(i)]
        return row

    def name(self, index: int) -> str:
        """What to call line `index` in a message."""
        number, i = self.origins[index]
        return f"corpus {number} row {i} {self.targets[index][:40]!r}"

    def batch(self, width: int, indices: npt.NDArray[np.int64], seed: int, epoch: int) -> Batch:
        """The lines `indices`, each changed a little in a way that (seed, epoch, index) determines."""
        preprocessing = self.checker.preprocessing
        lines = [
            load_line(self.row(int(i)), width, preprocessing, np.random.default_rng((seed, epoch, int(i))))
            for i in indices
        ]
        targets, names = [self.targets[i] for i in indices], [self.name(int(i)) for i in indices]
        return collate(lines, targets, names, self.checker.vocabulary, preprocessing)

    def epoch(self, seed: int, epoch: int, weights: Sequence[float]) -> npt.NDArray[np.int64]:
        """Lines of one epoch: every line of a corpus as often as its weight says, a fraction by lot."""
        rng = np.random.default_rng((seed, epoch, 1))
        chosen = []
        for number, weight in enumerate(weights):
            own = np.flatnonzero(self.origins[:, 0] == number)
            chosen += [own] * int(weight) + [rng.permutation(own)[: round(len(own) * (weight % 1))]]
        return np.concatenate(chosen)

    def steps(self, batch_size: int, seed: int, weights: Sequence[float], world: int = 1) -> int:
        """Batches of an epoch, about: widths are jittered anew in each."""
        lines = self.epoch(seed, 0, weights)
        return len(plan_epoch(self.widths[lines], self.needed[lines], batch_size * world, seed, 0, world))

    def batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        weights: Sequence[float],
        rank: int = 0,
        world: int = 1,
        skip: int = 0,
    ) -> Iterator[Batch]:
        """The batches of an epoch after the first `skip`; of each this process's share, `batch_size` lines or fewer."""
        lines = self.epoch(seed, epoch, weights)
        plan = plan_epoch(self.widths[lines], self.needed[lines], batch_size * world, seed, epoch, world)
        for width, indices in plan[skip:]:
            yield self.batch(width, lines[indices[rank::world]], seed, epoch)


class StreamedLines:
    """Checked lines of corpora that are read as they come; batches form as their width buckets fill.

    Args:
        corpora: iterable datasets with columns image and text.
        checker: which rows can be used.
        max_bad: the share of unusable rows above which reading stops; looked at from the first thousand rows on.
        shuffle: rows held back to be shuffled.
    """

    def __init__(self, corpora: Sequence[Any], checker: Checker, max_bad: float = 0.01, shuffle: int = 2000) -> None:
        self.corpora, self.checker, self.max_bad, self.shuffle = corpora, checker, max_bad, shuffle
        self.report = Report()

    def batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        weights: Sequence[float],
        rank: int = 0,
        world: int = 1,
        skip: int = 0,
    ) -> Iterator[Batch]:
        """As Lines.batches; skipped batches are formed again, from the same rows, and not decoded."""
        from datasets import interleave_datasets

        shares = [weight / sum(weights) for weight in weights]
        rows = self.corpora[0]
        if len(self.corpora) > 1:
            rows = interleave_datasets(
                list(self.corpora), probabilities=shares, seed=seed, stopping_strategy="all_exhausted"
            )
        rows = rows.shuffle(seed=seed, buffer_size=self.shuffle)
        rows.set_epoch(epoch)
        self.report = Report()
        rng = np.random.default_rng((seed, epoch))
        buckets: dict[int, list[tuple[dict[str, Any], str, int]]] = {}
        formed = 0
        for number, row in enumerate(rows):
            if (found := self.checker.check(row, number, self.report)) is None:
                if self.report.seen > 1000:
                    self.report.refuse_over(self.max_bad)
                continue
            target, own = found
            width = int(plan_widths(np.array([own]), np.array([columns_needed(target)]), rng)[0])
            bucket = buckets.setdefault(width, [])
            bucket.append((row, target, number))
            if len(bucket) == batch_lines(width, batch_size * world, world):
                formed += 1
                if formed > skip:
                    yield self._batch(bucket[rank::world], width, seed, epoch)
                del buckets[width]
        self.report.refuse_over(self.max_bad)
        for width in sorted(buckets):
            if len(buckets[width]) >= world:
                formed += 1
                if formed > skip:
                    yield self._batch(buckets[width][rank::world], width, seed, epoch)

    def _batch(self, lines: list[tuple[dict[str, Any], str, int]], width: int, seed: int, epoch: int) -> Batch:
        preprocessing = self.checker.preprocessing
        pictures = [
            load_line(row, width, preprocessing, np.random.default_rng((seed, epoch, number)))
            for row, _, number in lines
        ]
        names = [f"streamed row {number} {target[:40]!r}" for _, target, number in lines]
        return collate(pictures, [target for _, target, _ in lines], names, self.checker.vocabulary, preprocessing)

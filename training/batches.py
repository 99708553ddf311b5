"""Batches: checked lines in batches of one width, the same ones in the same order for the same seed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from simpleocr.image import InputError
from simpleocr.preprocessing import Preprocessing, grey_to_tensor, to_grey
from simpleocr.vocabulary import Vocabulary
from training.checking import Checker, Report, columns_needed, told_size
from training.crops import spread
from training.data import DataError, picture
from training.joining import ALONE, GAP, draw_seconds, join

BUCKET = 32  # columns: batches are as wide as a multiple of this, and their lines are stretched or padded to fit
LARGEST_STRETCH = 1.5  # a line in a bucket that is wider still gets room beside it instead
HELD_OUT = 10  # of so many lines of a corpus without a validation split, one validates
OPENED = 16  # pictures of a corpus that are opened to see whether the sizes it tells are theirs
AREA_WIDTH = 384  # columns: a wider bucket has fewer lines a batch, so that a step's cost and memory stay bounded


@dataclass(frozen=True)
class Batch:
    """What one step trains on.

    Args:
        images: (B, 1, H, W) float32, every line stretched or padded to the whole width.
        targets: class ids of all lines in a row, int64.
        target_lengths: (B,) characters of each line.
        names: which rows these are, for messages.
        origins: the number of the corpus that each line is from; of streamed lines nobody knows.
    """

    images: Tensor
    targets: Tensor
    target_lengths: Tensor
    names: list[str]
    origins: Sequence[int] = ()


def plan_widths(
    widths: npt.NDArray[np.int64], needed: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Bucket width of each line: its own, made up to 30 % narrower or 16 % wider, rounded to a BUCKET, never too short."""
    wanted = widths * np.exp(rng.uniform(-0.35, 0.15, len(widths)))
    buckets = np.maximum(np.round(wanted / BUCKET), np.ceil(needed / BUCKET))
    return (np.maximum(1, buckets) * BUCKET).astype(np.int64)


def repetitions(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How often each number stands before it: [7, 3, 7, 7] -> [0, 0, 1, 2]."""
    order = np.argsort(numbers, kind="stable")
    before = np.empty_like(numbers)
    before[order] = np.arange(len(numbers)) - np.searchsorted(numbers[order], numbers[order])
    return before


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
    """The line of a row as vary_line() makes it.

    Raises:
        InputError: its picture is missing or damaged.
    """
    return vary_line(picture(row), width, preprocessing, rng)


def vary_line(
    image: Image.Image, width: int, preprocessing: Preprocessing, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """One line as uint8 grey (H, width), slightly different each time: cropped, exposed, inverted, coarsened, noisy.

    Stretched to the width up to LARGEST_STRETCH times its own; a wider bucket gives it room beside it instead.
    """
    image = image.convert("L")
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
        images=torch.from_numpy(grey_to_tensor(np.stack(lines)[:, None], preprocessing)),
        targets=torch.tensor([i for row in ids for i in row], dtype=torch.int64),
        target_lengths=torch.tensor([len(row) for row in ids], dtype=torch.int64),
        names=names,
    )


def _sizes_hold(corpus: Any) -> bool:
    """Whether the sizes that a corpus tells are those of its pictures, by a few that are opened.

    In somebody's own corpus a "width" may be anything, that of the page which a line was cut from, say.
    """
    for row in (corpus[i] for i in spread(range(len(corpus)), OPENED)):
        if (told := told_size(row)) is not None:
            try:
                if picture(row).size != told:
                    return False
            except InputError:  # counted where it is trained on
                continue
    return True


class Lines:
    """Checked lines of one or several corpora that can be read in any order.

    Args:
        corpora: datasets with columns image and text.
        checker: which rows can be used.
        max_bad: the share of unusable rows above which the corpus is refused, also in the middle of an epoch: pictures
            whose rows tell their sizes are not opened before they are trained on.
        joined: the share of an epoch's lines that get another one of their corpus beside them, where one fits.
        opened: open every picture at once, also of rows that tell its size.

    Raises:
        DataError: too many rows are bad.
    """

    def __init__(
        self,
        corpora: Sequence[Any],
        checker: Checker,
        max_bad: float = 0.01,
        joined: float = 0.0,
        *,
        opened: bool = False,
    ) -> None:
        self.corpora, self.checker, self.max_bad, self.joined = corpora, checker, max_bad, joined
        self.broken: dict[int, str] = {}  # what is wrong with the pictures of lines that were found out later
        self.report = Report()
        origins, targets, widths = [], [], []
        for number, corpus in enumerate(corpora):
            columns = [c for c in ("text", "width", "height") if c in corpus.column_names]
            # where sizes are told, pictures need not be opened before they are trained on
            told = len(columns) == 3 and not opened and _sizes_hold(corpus)
            rows = corpus.select_columns(columns) if told else corpus.select_columns(["image", "text"])
            for i, row in enumerate(rows):
                if told and told_size(row) is None:
                    row = corpus[i]
                if (found := checker.check({"image": None, **row}, i, self.report)) is not None:
                    origins.append((number, i))
                    targets.append(found[0])
                    widths.append(found[1])
        self.report.refuse_over(max_bad)
        self.origins = np.array(origins, dtype=np.int64)
        self.targets = targets
        self.widths = np.array(widths, dtype=np.int64)
        self.needed = np.array([columns_needed(target) for target in targets], dtype=np.int64)
        self.held_out = np.zeros(len(targets), dtype=np.bool_)  # lines that are not trained on

    def __len__(self) -> int:
        return len(self.targets)

    def hold_out(self, number: int, most: int) -> npt.NDArray[np.int64]:
        """Spare lines of corpus `number` from training, to validate on.

        The same ones whenever the corpus has the same usable lines: a run that goes on, and every process, knows them.

        Args:
            number: of the corpus.
            most: lines at most.

        Returns:
            Which lines: one of HELD_OUT, evenly spread over the corpus, but at least one.

        Raises:
            DataError: there are not two lines.
        """
        own = self.trained_on(number)
        if len(own) < 2:
            raise DataError(f"{len(own)} lines are too few to hold one out: --validation names what to validate on")
        held = np.array(spread(own.tolist(), min(most, max(1, len(own) // HELD_OUT))), dtype=np.int64)
        self.held_out[held] = True
        return held

    def trained_on(self, number: int) -> npt.NDArray[np.int64]:
        """The lines of corpus `number` that are not held out."""
        return np.flatnonzero((self.origins[:, 0] == number) & ~self.held_out)

    def row(self, index: int) -> dict[str, Any]:
        """The row of line `index`."""
        number, i = self.origins[index]
        row: dict[str, Any] = self.corpora[number][int(i)]
        return row

    def name(self, index: int) -> str:
        """What to call line `index` in a message."""
        number, i = self.origins[index]
        return f"corpus {number} row {i} {self.targets[index][:40]!r}"

    def target(self, first: int, second: int = ALONE) -> str:
        """What one line says, or two beside each other."""
        if second == ALONE:
            return self.targets[first]
        return self.checker.target(f"{self.targets[first]} {self.targets[second]}")

    def columns(self, first: int, second: int) -> int:
        """The columns of two lines beside each other, at most."""
        preprocessing = self.checker.preprocessing
        gap = math.ceil(GAP[1] * preprocessing.height * preprocessing.stretch)
        return int(self.widths[first] + gap + self.widths[second])

    def fit(self, first: int, second: int) -> bool:
        """Whether two lines can be one: each says something, the space is known, and it is neither too wide nor dense."""
        most = self.checker.preprocessing.max_width
        most = min(most, self.checker.max_columns or most)
        target = self.target(first, second)
        return (
            bool(self.targets[first] and self.targets[second])
            and not self.checker.vocabulary.unknown(target)
            and self.columns(first, second) <= most
            and columns_needed(target) <= self.widths[first] + self.widths[second]
        )

    def batch(self, width: int, lines: npt.NDArray[np.int64], seed: int, epoch: int) -> Batch:
        """The `lines`, (first, second, again) each, changed a little in a way that seed, epoch and these determine.

        Those whose pictures cannot be opened are left out; where none is left another line takes their place, for the
        other processes have this step, too, and a run that goes on counts it.

        Raises:
            DataError: too many pictures cannot be opened.
        """

        def loaded(candidates: Iterable[Sequence[int]]) -> Iterator[tuple[Sequence[int], npt.NDArray[np.uint8]]]:
            for line in candidates:
                if (grey := self._load(line, width, seed, epoch)) is not None:
                    yield line, grey

        asked = int(lines[0, 0])
        found = [*loaded(lines.tolist())] or [*islice(loaded(self._others(asked, width)), 1)]
        if not found:
            raise DataError(f"no line can be read in place of {self.name(asked)}")
        targets = [self.target(*line[:2]) for line, _ in found]
        names = [" and ".join(self.name(i) for i in line[:2] if i != ALONE) for line, _ in found]
        batch = collate(
            [grey for _, grey in found], targets, names, self.checker.vocabulary, self.checker.preprocessing
        )
        return replace(batch, origins=[int(self.origins[first, 0]) for (first, *_), _ in found])

    def leave_out(self, index: int, why: str) -> None:
        """Count a line whose picture cannot be opened, once.

        Raises:
            DataError: these are too many.
        """
        if index not in self.broken:
            self.broken[index] = why
            self.report.drop("no readable picture", f"{self.name(index)}: {why}")
            self.report.refuse_over(self.max_bad)

    def _load(self, line: Sequence[int], width: int, seed: int, epoch: int) -> npt.NDArray[np.uint8] | None:
        """A line as load_line() has it; None of a broken one, every time: what is known already must change nothing."""
        preprocessing = self.checker.preprocessing
        index, second, again = line
        # a line that a weight repeats is another picture each time
        drawn = (second + 1, again) if again else (second,) if second != ALONE else ()
        rng = np.random.default_rng((seed, epoch, index, *drawn))
        try:
            if second == ALONE:
                return vary_line(self._picture(index), width, preprocessing, rng)
            left = self._picture(index)
            index = second  # so that it is this one that is left out, should it be broken
            right = self._picture(index)
        except InputError as error:
            self.leave_out(index, str(error))
            return None
        return vary_line(join((left, right), preprocessing.height, rng), width, preprocessing, rng)

    def _picture(self, index: int) -> Image.Image:
        image = picture(self.row(index))
        if self.checker.preprocessing.width(image.size) != self.widths[index]:  # it would be squeezed
            raise InputError(f"it has {image.width} x {image.height} pixels, not as many as its row tells")
        return image

    def _others(self, index: int, width: int) -> list[tuple[int, int, int]]:
        """Lines of the same corpus that fit into `width`, those of about that width first."""
        own = self.trained_on(int(self.origins[index, 0]))
        fitting = own[self.needed[own] <= width]
        nearest = fitting[np.argsort(abs(self.widths[fitting] - width), kind="stable")]
        return [(i, ALONE, 0) for i in nearest.tolist()]

    def epoch(self, seed: int, epoch: int, weights: Sequence[float]) -> npt.NDArray[np.int64]:
        """Lines of one epoch: all of a corpus that are trained on as often as its weight says, a fraction by lot."""
        rng = np.random.default_rng((seed, epoch, 1))
        chosen = []
        for number, weight in enumerate(weights):
            own = self.trained_on(number)
            chosen += [own] * int(weight) + [rng.permutation(own)[: round(len(own) * (weight % 1))]]
        return np.concatenate(chosen)

    def plan(
        self, batch_size: int, seed: int, epoch: int, weights: Sequence[float], world: int = 1
    ) -> list[tuple[int, npt.NDArray[np.int64]]]:
        """The batches of an epoch as (width, lines).

        Each line is a row (first, second, again): the second is ALONE as a rule, again how often the first came before.
        """
        firsts = self.epoch(seed, epoch, weights)
        rng = np.random.default_rng((seed, epoch, 2))
        of = np.where(self.held_out, -1, self.origins[:, 0])  # what is held out stands beside no line, either
        seconds = draw_seconds(firsts, of, self.fit, self.joined, rng)
        widths, needed = self.widths[firsts], self.needed[firsts]
        for place in np.flatnonzero(seconds != ALONE):
            pair = int(firsts[place]), int(seconds[place])
            widths[place], needed[place] = self.columns(*pair), columns_needed(self.target(*pair))
        lines = np.stack([firsts, seconds, repetitions(firsts)], axis=1)
        plan = plan_epoch(widths, needed, batch_size * world, seed, epoch, world)
        return [(width, lines[indices]) for width, indices in plan]

    def steps(self, batch_size: int, seed: int, weights: Sequence[float], world: int = 1) -> int:
        """Batches of an epoch, about: widths are jittered anew in each."""
        return len(self.plan(batch_size, seed, 0, weights, world))

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
        for width, lines in self.plan(batch_size, seed, epoch, weights, world)[skip:]:
            yield self.batch(width, lines[rank::world], seed, epoch)

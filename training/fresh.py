"""Fresh lines: rendered by other processes while a run trains on them, and never written to a disk.

A GPU takes lines faster than a machine renders them: what it has seen is kept there, and where nothing new waits it sees
that once more, from another side (`views`). So neither waits for the other, and a run sees what its time allows.
"""

import multiprocessing
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from multiprocessing.pool import ThreadPool
from queue import Empty, Full
from random import Random
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from simpleocr.image import InputError, load_image
from simpleocr.preprocessing import padded
from training.batches import Batch, batch_lines, load_line, plan_widths
from training.checking import Checker, Report, columns_needed
from training.data import DataError
from training.render import Source
from training.synth import FONT_BLOCK, FONT_BLOCK_HELD_OUT, render_block
from training.views import seen_again

CHUNK = 32  # lines that travel together, all of one width
WAITING = 64  # chunks on their way before those who render wait
UNSEEN = 1024  # chunks that were taken and not trained on before no more are taken
KEPT, KEPT_ON_GPU = 500_000_000, 16_000_000_000  # bytes of lines that are kept to be seen again, at most
SHARE_OF_GPU = 3  # of its free memory one part in so many at most
LEAST = 0.5  # of a batch's lines that must be there before it is made: of few, BatchNorm's statistics are noise
CLEAR = 1 / 3  # of the strength at most that clear lines have
AT_ONCE = 5.0  # seconds that are waited for a chunk before it is asked whether those who send or take it are alive


class Queue(Protocol):
    """What chunks travel through."""

    def put(self, chunk: "Chunk", block: bool = True, timeout: float | None = None) -> None:
        """Wait until there is room; raises Full."""

    def get(self, block: bool = True, timeout: float | None = None) -> "Chunk":
        """The next chunk; raises Empty."""


@dataclass(frozen=True)
class Chunk:
    """Lines of one width, as load_line() makes them.

    Args:
        images: (B, H, W) uint8, B as chunk_lines() says.
        texts: what they say.
        ids: class ids of all of them in a row, int64.
        lengths: (B,) characters of each.
    """

    images: Any
    texts: list[str]
    ids: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    @property
    def width(self) -> int:
        """Columns of its lines."""
        return int(self.images.shape[-1])

    @property
    def size(self) -> int:
        """Bytes of its images."""
        return int(np.prod(self.images.shape))


@dataclass(frozen=True)
class Recipe:
    """What those who render need to know.

    Args:
        source: of the lines.
        checker: which of them can be trained on.
        batch_size: of the batches that are made of them.
        corpora: labelled lines that are mixed in.
        usable: the numbers of their rows that can be trained on.
        shares: the probability that a line is of each; the rest is rendered.
        seed: the same seed does not give the same lines in the same order, for it matters who is faster.
        clear: share of the blocks of rendered lines that have a strength between none and CLEAR of the source's.
    """

    source: Source
    checker: Checker
    batch_size: int = CHUNK
    corpora: Sequence[Any] = ()
    usable: Sequence[Sequence[int]] = ()
    shares: Sequence[float] = ()
    seed: int = 0
    clear: float = 0.0


def rendered_samples(source: Source, seed: int, lines: int) -> list[tuple[Image.Image, str]]:
    """So many pictures and their texts, in many fonts: to validate on."""
    every = (sample for block in count() for sample in render_block(source, seed, block, FONT_BLOCK_HELD_OUT))
    return [(load_image(data), text) for data, text, _, _ in islice(every, lines)]


def make_lines(recipe: Recipe, worker: int, after: int = 0) -> Iterator[tuple[dict[str, Any], str, int]]:
    """Rows that can be trained on, without end: (row, target, columns); as make_chunks()."""
    report = Report()
    for block in count():
        rng = Random(f"fresh/{recipe.seed}/{worker}/{after}/{block}")
        for corpus, usable, share in zip(recipe.corpora, recipe.usable, recipe.shares, strict=True):
            # as many as share of the lines is, beside a block that is rendered
            many = share / (1 - sum(recipe.shares)) * FONT_BLOCK
            for _ in range(int(many) + (rng.random() < many % 1)):
                number = rng.choice(usable)
                if (found := recipe.checker.check(row := corpus[number], number, report)) is not None:
                    yield row, *found
        source = recipe.source
        if rng.random() < recipe.clear:
            source = replace(source, strength=source.strength * rng.uniform(0, CLEAR))
        for data, text, width, height in render_block(source, rng.getrandbits(40), block, FONT_BLOCK):
            row = {"image": {"bytes": data, "path": None}, "text": text, "width": width, "height": height}
            if (found := recipe.checker.check(row, block, report)) is not None:
                yield row, *found


def make_chunks(recipe: Recipe, worker: int, after: int = 0) -> Iterator[Chunk]:
    """Lines of `worker` in chunks, without end; others for every number of batches `after` which they begin."""
    rng = np.random.default_rng((recipe.seed, worker, after))
    lines: dict[int, list[tuple[npt.NDArray[np.uint8], str]]] = defaultdict(list)
    preprocessing, vocabulary = recipe.checker.preprocessing, recipe.checker.vocabulary
    for row, target, columns in make_lines(recipe, worker, after):
        width = padded(int(plan_widths(np.array([columns]), np.array([columns_needed(target)]), rng)[0]))
        try:
            lines[width].append((load_line(row, width, preprocessing, rng), target))
        except InputError:  # damaged: a corpus that tells sizes was checked without opening its pictures
            continue
        if len(lines[width]) == chunk_lines(width, recipe.batch_size):
            images, texts = zip(*lines.pop(width), strict=True)
            ids = [vocabulary.encode(text) for text in texts]
            yield Chunk(
                np.stack(images),
                list(texts),
                np.array([i for row in ids for i in row], dtype=np.int64),
                np.array([len(row) for row in ids], dtype=np.int64),
            )


def _work(queue: Queue, recipe: Recipe, worker: int, after: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    for chunk in make_chunks(recipe, worker, after):
        while True:
            try:
                queue.put(chunk, timeout=AT_ONCE)
                break
            except Full:
                if parent is not None and not parent.is_alive():  # killed: nobody will ever take it
                    return


@dataclass
class Shelf:
    """The chunks of one width.

    Args:
        fresh: never seen, oldest first.
        seen: to be seen again, oldest first.
        came: lines that ever came.
        given: lines of all batches, those seen again among them.
    """

    fresh: deque[Chunk] = field(default_factory=deque)
    seen: deque[Chunk] = field(default_factory=deque)
    came: int = 0
    given: int = 0

    @property
    def size(self) -> int:
        """Bytes of what was seen."""
        return len(self.seen) * self.seen[0].size if self.seen else 0

    def put(self, chunk: Chunk) -> None:
        """Keep a chunk that nobody has seen."""
        self.fresh.append(chunk)
        self.came += len(chunk.texts)

    def take(self, chunks: int, rng: np.random.Generator) -> list[Chunk]:
        """Up to so many chunks: fresh ones first, then any that were seen."""
        fresh = [self.fresh.popleft() for _ in range(min(chunks, len(self.fresh)))]
        again = rng.choice(len(self.seen), min(chunks - len(fresh), len(self.seen)), replace=False)
        taken = fresh + [self.seen[i] for i in again.tolist()]
        self.seen.extend(fresh)
        self.given += sum(len(chunk.texts) for chunk in taken)
        return taken

    def urgency(self, chunks: int) -> float | None:
        """How much it is this width's turn to give a batch of so many chunks; None where there are too few.

        Full batches of fresh lines go before all, then the width that lags most behind its share of what came.
        """
        if len(self.fresh) >= chunks:
            return len(self.fresh) / chunks
        if len(self.fresh) + len(self.seen) >= LEAST * chunks:
            return -self.given / self.came
        return None


def chunk_lines(width: int, batch_size: int) -> int:
    """Lines of a chunk: no more than a batch has."""
    return min(CHUNK, batch_lines(width, batch_size))


def chunks_of(width: int, batch_size: int) -> int:
    """Chunks of a batch."""
    return batch_lines(width, batch_size) // chunk_lines(width, batch_size)


class FreshLines:
    """Lines that `processes` others render; batches() as StreamedLines has it, without end and never twice the same.

    Args:
        recipe: what they say and look like.
        processes: that render.
        device: where batches are made, and lines kept.
        kept: bytes of lines that are kept to be seen again.
    """

    def __init__(self, recipe: Recipe, processes: int, device: torch.device, kept: int | None = None) -> None:
        self.recipe, self.processes, self.device = recipe, processes, device
        if kept is None:
            kept = KEPT
            if device.type == "cuda":
                kept = min(KEPT_ON_GPU, torch.cuda.mem_get_info(device)[0] // SHARE_OF_GPU)
        self.kept = kept
        self.shelves: dict[int, Shelf] = defaultdict(Shelf)
        self.bytes = 0  # of all chunks on the shelves

    @property
    def report(self) -> str:
        """How many lines were rendered, and how often each was seen."""
        came, given = (sum(getattr(shelf, name) for shelf in self.shelves.values()) for name in ("came", "given"))
        return f"{came} lines rendered, each seen {given / max(1, came):.1f} times"

    def batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        weights: Sequence[float],  # noqa: ARG002  # as in `shares`
        rank: int = 0,
        world: int = 1,
        skip: int = 0,
    ) -> Iterator[Batch]:
        """Batches as batch_lines() says, of whole chunks; batch_size must be the recipe's.

        A run that goes on after `skip` of them gets other lines than it has had.

        Raises:
            DataError: those who render have died.
        """
        context = multiprocessing.get_context("spawn")
        queue = context.Queue(WAITING)
        workers = [
            context.Process(target=_work, args=(queue, self.recipe, number * world + rank, skip), daemon=True)
            for number in range(self.processes)
        ]
        rng = np.random.default_rng((seed, epoch, rank))
        generator = torch.Generator(self.device).manual_seed(seed * world + rank)
        try:
            with ThreadPool(len(workers)) as pool:  # each start waits until the new process has imported what it needs
                pool.map(context.Process.start, workers)
            while True:
                if not all(worker.is_alive() for worker in workers):
                    raise DataError("a process that renders has died; what it said of that stands above")
                width = self.turn(batch_size)
                self.receive(queue, wait=width is None)  # only at the beginning nothing is there
                if width is not None:
                    yield self.batch(width, batch_size, rng, generator)
        finally:
            for worker in workers:
                if worker.is_alive():
                    worker.terminate()

    def receive(self, queue: Queue, *, wait: bool = False) -> None:
        """Take what has come, but for what nobody has room for; with `wait`, wait a little for the first."""
        unseen = sum(len(shelf.fresh) for shelf in self.shelves.values())
        for _ in range(WAITING if wait else min(WAITING, UNSEEN - unseen)):
            try:
                self.put(queue.get(block=wait, timeout=AT_ONCE))
            except Empty:
                return
            wait = False

    def put(self, chunk: Chunk) -> None:
        """Keep a chunk, on the device."""
        images = torch.from_numpy(chunk.images)
        if self.device.type == "cuda":
            images = images.pin_memory().to(self.device, non_blocking=True)
        self.shelves[chunk.width].put(replace(chunk, images=images))
        self.bytes += chunk.size

    def turn(self, batch_size: int) -> int | None:
        """The width whose turn it is to give a batch; None where none has enough lines."""
        urgencies = {
            width: urgency
            for width, shelf in self.shelves.items()
            if (urgency := shelf.urgency(chunks_of(width, batch_size))) is not None
        }
        return max(urgencies, key=urgencies.__getitem__) if urgencies else None

    def forget(self) -> None:
        """Let go of the oldest chunks of the width that has seen most, until no more are kept than may be."""
        while self.bytes > self.kept:
            fullest = max(self.shelves.values(), key=lambda shelf: shelf.size)
            if not fullest.seen:
                return
            self.bytes -= fullest.seen.popleft().size

    def batch(self, width: int, batch_size: int, rng: np.random.Generator, generator: torch.Generator) -> Batch:
        """About batch_size lines of a width."""
        taken = self.shelves[width].take(chunks_of(width, batch_size), rng)
        self.forget()
        images = torch.cat([chunk.images for chunk in taken])[:, None]
        return Batch(
            images=seen_again(images, self.recipe.checker.preprocessing, generator, rng),
            targets=torch.from_numpy(np.concatenate([chunk.ids for chunk in taken])),
            target_lengths=torch.from_numpy(np.concatenate([chunk.lengths for chunk in taken])),
            names=[text for chunk in taken for text in chunk.texts],
        )

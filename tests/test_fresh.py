"""Fresh lines: what is rendered while a run trains."""

import itertools
import multiprocessing
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES
from tests.test_data import png, table
from training import fresh, synth, train
from training.batches import BUCKET, batch_lines
from training.checking import Checker, columns_needed
from training.data import DataError
from training.fresh import (
    CHUNK,
    UNSEEN,
    WAITING,
    Chunk,
    FreshLines,
    Recipe,
    chunks_of,
    make_chunks,
    make_lines,
    rendered_samples,
)
from training.render import Source, encode
from training.settings import parse
from training.train import main
from training.trainee import learning_rate

CPU = torch.device("cpu")
ENGLISH = VOCABULARIES["english"]


@pytest.fixture(scope="module")
def source() -> Source:
    whole = synth.sources([], [], [], ENGLISH, 0.5)["train"]
    return Source(whole.corpus, [file for file in whole.fonts if "DejaVu" in file.name], [], ENGLISH, 0.5)


@pytest.fixture(scope="module")
def recipe(source: Source) -> Recipe:
    return Recipe(source, Checker(ENGLISH, Preprocessing(), "drop", 400))


@pytest.fixture(scope="module")
def chunks(recipe: Recipe) -> list[Chunk]:
    return list(itertools.islice(make_chunks(recipe, 0), 8))


def test_chunks_are_lines_of_one_width_with_room_for_their_texts(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        assert chunk.images.shape == (CHUNK, 32, chunk.width)
        assert chunk.images.dtype == np.uint8
        assert chunk.width % BUCKET == 0
        assert chunk.lengths.tolist() == [len(text) for text in chunk.texts]
        assert chunk.ids.tolist() == [i for text in chunk.texts for i in ENGLISH.encode(text)]
        assert all(columns_needed(text) <= chunk.width for text in chunk.texts)


def test_each_worker_has_lines_of_its_own_and_the_same_again(recipe: Recipe, chunks: list[Chunk]) -> None:
    again = next(make_chunks(recipe, 0))
    assert again.texts == chunks[0].texts
    assert np.array_equal(again.images, chunks[0].images)
    assert next(make_chunks(recipe, 1)).texts != again.texts
    assert next(make_chunks(recipe, 0, after=200)).texts != again.texts, "a run that goes on"


def test_corpora_are_mixed_in_as_often_as_they_should(recipe: Recipe) -> None:
    picture = {"bytes": encode(np.full((20, 60), 200, dtype=np.uint8), Random(0)), "path": None}
    corpus = [{"image": picture, "text": "own", "width": 60, "height": 20}]
    mixed = Recipe(recipe.source, Checker(ENGLISH, Preprocessing()), CHUNK, [corpus], [[0]], [0.25])
    texts = Counter(target == "own" for _, target, _ in itertools.islice(make_lines(mixed, 0), 600))
    assert texts[True] / 600 == pytest.approx(0.25, abs=0.03)


def test_some_blocks_are_clear(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    strengths: list[float] = []

    def block(source: Source, *_: Any) -> Iterator[tuple[bytes, str, int, int]]:
        strengths.append(source.strength)
        yield encode(np.full((20, 60), 200, dtype=np.uint8), Random(0)), "so", 60, 20

    monkeypatch.setattr(fresh, "render_block", block)
    assert len([*itertools.islice(make_lines(replace(recipe, clear=0.25), 0), 400)]) == 400
    whole = recipe.source.strength
    clear = [strength for strength in strengths if strength < whole]
    assert len(clear) / len(strengths) == pytest.approx(0.25, abs=0.07)
    assert max(clear) <= whole * fresh.CLEAR
    assert min(clear) < 0.1 * whole * fresh.CLEAR


def test_a_damaged_picture_of_a_corpus_is_left_out(recipe: Recipe) -> None:
    corpus = [{"image": {"bytes": b"no picture", "path": None}, "text": "own", "width": 60, "height": 20}]
    mixed = Recipe(recipe.source, recipe.checker, CHUNK, [corpus], [[0]], [0.5])
    for chunk in itertools.islice(make_chunks(mixed, 0), 3):
        assert "own" not in chunk.texts


@pytest.mark.parametrize("batch_size", [1, 8, 32, 100])
def test_no_chunk_has_more_lines_than_a_batch(recipe: Recipe, batch_size: int) -> None:
    small = replace(recipe, batch_size=batch_size)
    for chunk in itertools.islice(make_chunks(small, 0), 4):
        assert len(chunk.texts) == len(chunk.lengths) == min(CHUNK, batch_lines(chunk.width, batch_size))
        assert chunks_of(chunk.width, batch_size) * len(chunk.texts) <= batch_lines(chunk.width, batch_size)


def filled(recipe: Recipe, chunks: list[Chunk], kept: int | None = None) -> FreshLines:
    lines = FreshLines(recipe, 1, CPU, kept)
    for chunk in chunks:
        lines.put(chunk)
    return lines


def test_what_is_fresh_comes_first_and_once(recipe: Recipe, chunks: list[Chunk]) -> None:
    lines, rng, generator = filled(recipe, chunks), np.random.default_rng(0), torch.Generator().manual_seed(0)
    names: list[str] = []
    for _ in chunks:
        width = lines.turn(CHUNK)
        assert width is not None
        batch = lines.batch(width, CHUNK, rng, generator)
        assert batch.images.shape == (CHUNK, 1, 32, width)
        assert batch.images.dtype == torch.float32
        assert int(batch.target_lengths.sum()) == len(batch.targets)
        names += batch.names
    assert sorted(names) == sorted(text for chunk in chunks for text in chunk.texts)
    width = lines.turn(CHUNK)
    assert width is not None
    assert lines.batch(width, CHUNK, rng, generator).names[0] in names, "then what was seen comes again"
    assert lines.report == f"{len(names)} lines rendered, each seen {1 + 1 / len(chunks):.1f} times"


def test_every_width_has_its_turn(recipe: Recipe, chunks: list[Chunk]) -> None:
    lines, rng, generator = filled(recipe, chunks), np.random.default_rng(0), torch.Generator().manual_seed(0)
    turns: Counter[int] = Counter()
    for _ in range(10 * len(chunks)):
        width = lines.turn(CHUNK)
        assert width is not None
        turns[width] += len(lines.batch(width, CHUNK, rng, generator).names)
    came = Counter(chunk.width for chunk in chunks)
    for width, count in came.items():
        assert turns[width] / turns.total() == pytest.approx(count / len(chunks), abs=0.02)


def test_few_lines_wait_for_more(recipe: Recipe, chunks: list[Chunk]) -> None:
    assert FreshLines(recipe, 1, CPU).turn(CHUNK) is None
    narrow = next(chunk for chunk in chunks if chunk.width < 384)
    assert filled(recipe, [narrow]).turn(8 * CHUNK) is None
    assert filled(recipe, [narrow] * 4).turn(8 * CHUNK) == narrow.width


def test_the_oldest_go_when_too_many_are_kept(recipe: Recipe, chunks: list[Chunk]) -> None:
    kept = sum(chunk.images.nbytes for chunk in chunks) // 2
    lines, rng, generator = filled(recipe, chunks, kept), np.random.default_rng(0), torch.Generator().manual_seed(0)
    for _ in chunks:
        width = lines.turn(CHUNK)
        assert width is not None
        lines.batch(width, CHUNK, rng, generator)
    assert 0 < lines.bytes <= kept
    assert lines.bytes == sum(chunk.images.numel() for shelf in lines.shelves.values() for chunk in shelf.seen)


def test_where_more_is_rendered_than_trained_on_it_waits(recipe: Recipe, chunks: list[Chunk]) -> None:
    lines, rng, generator = FreshLines(recipe, 1, CPU), np.random.default_rng(0), torch.Generator().manual_seed(0)
    unseen = []
    for _ in range(60):
        endless: queue.Queue[Chunk] = queue.Queue()
        for number in range(80):
            endless.put(chunks[number % len(chunks)])
        lines.receive(endless)
        width = lines.turn(CHUNK)
        assert width is not None
        lines.batch(width, CHUNK, rng, generator)
        unseen.append(sum(len(shelf.fresh) for shelf in lines.shelves.values()))
    assert max(unseen) < UNSEEN + WAITING


def test_samples_to_validate_on_are_the_same_each_time(source: Source) -> None:
    first, again = rendered_samples(source, 3, 9), rendered_samples(source, 3, 9)
    assert [text for _, text in first] == [text for _, text in again]
    assert len({text for _, text in first}) > 5
    assert all(a.tobytes() == b.tobytes() for (a, _), (b, _) in zip(first, again, strict=True))


# runs ---------------------------------------------------------------------------------------------------------------


class Closing(queue.Queue[Chunk]):
    """A queue of threads that ends whoever waits to put something into it once it is closed."""

    closed = False

    def put(self, item: Chunk, block: bool = True, timeout: float | None = None) -> None:
        while not self.closed:
            try:
                return super().put(item, block, 0.05)
            except queue.Full:
                continue
        raise ClosedError


class ClosedError(Exception):
    """Nobody takes anything out of this queue any more."""


class Renderer(threading.Thread):
    """A thread in the place of a process, which would take seconds to start."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
        super().__init__(target=target, args=args, daemon=daemon)
        self.queue: Closing = args[0]

    def run(self) -> None:
        with suppress(ClosedError):
            super().run()

    def terminate(self) -> None:
        self.queue.closed = True
        self.join()


class Context:
    """Threads in the place of processes."""

    Process = Renderer
    Queue = Closing


RUN = (
    *("--render", "1", "--strength", "0.2", "--renderers", "1", "--backbone", "tiny", "--batch_size", "32"),
    *("--max_steps", "2", "--eval_samples", "2", "--max_columns", "300", "--threads", "1"),
)


def recipes_of(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Those that lines are rendered by from now on."""
    recipes: list[Recipe] = []
    whole = FreshLines.__init__

    def noted(lines: FreshLines, recipe: Recipe, *rest: Any) -> None:
        recipes.append(recipe)
        whole(lines, recipe, *rest)

    monkeypatch.setattr(FreshLines, "__init__", noted)
    return recipes


def test_a_run_renders_what_it_trains_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Context)
    recipes, asked = recipes_of(monkeypatch), Mock(wraps=synth.sources)
    monkeypatch.setattr(synth, "sources", asked)
    main([*RUN, "--clear", "0.4", "--handwriting", "3", "--out", str(tmp_path)])
    assert (tmp_path / "final" / "model.safetensors").exists()
    assert (recipes[0].clear, asked.call_args.kwargs) == (0.4, {"handwriting": 3})
    assert "lines rendered, each seen" in capsys.readouterr().out
    assert not any(isinstance(thread, Renderer) for thread in threading.enumerate())


def test_pictures_of_a_corpus_among_rendered_lines_are_counted_and_its_held_out_lines_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Context)
    recipes = recipes_of(monkeypatch)
    pictures: list[bytes | None] = [png(f"n{i:03d}") for i in range(30)]
    pictures[7] = b"nonsense"
    table([f"n{i:03d}" for i in range(30)], pictures, sized=True).to_parquet(tmp_path / "own.parquet")
    own = ("--render", "0.5", "--dataset", str(tmp_path / "own.parquet"), "--out", str(tmp_path / "out"))
    main([*RUN, *own, "--max_bad", "0.1", "--eval_samples", "10"])
    printed = capsys.readouterr().out
    assert "30 rows, 29 used" in printed
    assert "1 dropped: no readable picture: row 7 'n007'" in printed
    assert "2 of its 29 usable lines" in printed
    assert recipes[0].usable == [[i for i in range(30) if i not in (0, 7, 15)]]
    with pytest.raises(SystemExit, match="1 of 30 rows cannot be used"):
        main([*RUN, *own[:-1], str(tmp_path / "b")])


@pytest.mark.slow
def test_a_schedule_may_be_in_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Context)
    rates: list[tuple[float, float]] = []
    rate = learning_rate

    def noted(now: float, end: float, peak: float) -> float:
        rates.append((now, end))
        return rate(now, end, peak)

    monkeypatch.setattr(train, "learning_rate", noted)
    receive, calls, clock = FreshLines.receive, itertools.count(), {"now": 5.0}

    def tick() -> float:
        clock["now"] += 0.2
        return clock["now"]

    monkeypatch.setattr(time, "perf_counter", tick)

    def late(lines: FreshLines, chunks: Any, *, wait: bool = False) -> None:
        if not next(calls):
            clock["now"] += 100
        receive(lines, chunks, wait=wait)

    monkeypatch.setattr(FreshLines, "receive", late)
    main([*RUN[:-8], *RUN[-6:], "--minutes", "0.02", "--out", str(tmp_path)])
    seconds = [now for now, _ in rates]
    assert all(end == pytest.approx(1.2) for _, end in rates)
    assert seconds == sorted(seconds)
    assert seconds[-1] >= 1.2, "the last is of the log"
    assert sorted(set(seconds))[1] < 1, "what the first batch took to come does not count"


@pytest.mark.slow
def test_a_run_whose_lines_other_processes_render(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*RUN, "--renderers", "2", "--out", str(tmp_path)])
    assert "lines rendered, each seen" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--render", "1"], "--max_steps or --minutes"),
        (["--render", "2", "--max_steps", "1"], "0..1"),
        (["--render", "0.5", "--max_steps", "1"], "--dataset"),
        (["--render", "1", "--dataset", "a", "--max_steps", "1"], "--dataset"),
        (["--render", "1", "--teacher", "english", "--max_steps", "1"], "--teacher"),
        (["--minutes", "-1"], "--minutes"),
        (["--minutes", "0"], "--minutes"),
        (["--minutes", "1", "--max_steps", "1"], "--minutes"),
        (["--fonts", "a"], "--render"),
        (["--clear", "0.2"], "--render"),
        (["--handwriting", "2"], "--render"),
        (["--render", "0.5", "--dataset", "a", "b", "--weights", "0", "0", "--max_steps", "1"], "--weights"),
        (["--render", "1", "--max_steps", "1", "--renderers", "0"], "--renderers"),
    ],
)
def test_settings_that_contradict(wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)
    assert message in capsys.readouterr().err


def test_by_the_clock_no_rate_is_above_the_peak() -> None:
    for minutes in (0.1, 0.25, 1.0, 10.0):
        rates = [learning_rate(0.6 * share * minutes, 60 * minutes, 1.0) for share in range(101)]
        assert max(rates) == 1.0
        assert min(rates[5:]) == rates[-1] < 0.001


def test_fonts_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such folder of fonts"):
        main([*RUN, "--fonts", str(tmp_path / "none"), "--out", str(tmp_path / "out")])


def test_renderers_that_die_are_noticed(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mortal(Renderer):
        def run(self) -> None:
            for chunk in itertools.islice(make_chunks(recipe, 0), 3):
                self.queue.put(chunk)

    class Dying(Context):
        Process = Mortal

    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Dying)
    with pytest.raises(DataError, match="has died"):
        for _ in itertools.islice(FreshLines(recipe, 1, CPU).batches(32, 0, 0, []), 10_000):
            pass


def test_renderers_that_never_lived_are_noticed(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def start(self) -> None:
            pass

        def is_alive(self) -> bool:
            return False

    class Deserted:
        Process = Dead
        Queue = Dead

    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Deserted)
    with pytest.raises(DataError, match="has died"):
        next(FreshLines(recipe, 1, CPU).batches(32, 0, 0, []))


def test_a_renderer_ends_when_whoever_trains_is_gone(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        @staticmethod
        def is_alive() -> bool:
            return False

    monkeypatch.setattr(multiprocessing, "parent_process", Gone)
    monkeypatch.setattr(fresh, "AT_ONCE", 0.01)
    full: queue.Queue[Chunk] = queue.Queue(1)
    fresh._work(full, recipe, 0, 0)
    assert full.qsize() == 1

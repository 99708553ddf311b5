"""training.batches: no line is lost, none comes twice, the same order for the same seed."""

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from simpleocr.preprocessing import Preprocessing, grey_to_tensor
from tests.test_checking import check
from tests.test_data import ENGLISH, PLAIN, png, table
from training import batches
from training.batches import BUCKET, Batch, Lines, batch_lines, load_line, plan_epoch, repetitions, vary_line
from training.data import DataError, open_corpus, picture
from training.joining import ALONE, join
from training.streaming import StreamedLines

pytestmark = pytest.mark.usefixtures("apart")


def plan_inputs(count: int, seed: int = 0, wide: int = 900) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    widths = rng.integers(16, wide, count)
    return widths, np.array([rng.integers(1, w + 1) for w in widths])


@pytest.mark.parametrize(
    "count",
    [
        0,
        1,
        2,
        33,
        1000,
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_every_line_is_in_exactly_one_batch_of_one_fitting_width(count: int, batch_size: int) -> None:
    widths, needed = plan_inputs(count)
    plan = plan_epoch(widths, needed, batch_size, seed=3, epoch=2)
    lines = np.concatenate([indices for _, indices in plan]) if plan else np.array([])
    assert sorted(lines) == list(range(count))
    small = 0
    for width, indices in plan:
        assert width % BUCKET == 0
        assert (needed[indices] <= width).all()
        assert 1 <= len(indices) <= batch_lines(width, batch_size)
        small += len(indices) < batch_lines(width, batch_size)
        assert (width >= widths[indices] * 0.7 - BUCKET).all(), "not squeezed beyond what the docstring says"
    assert small <= 1, "only what is left of all buckets is a small batch"


def test_a_plan_is_determined_by_seed_and_epoch_and_shuffled() -> None:
    widths, needed = plan_inputs(500)

    def made(seed: int, epoch: int) -> list[tuple[int, tuple[int, ...]]]:
        return [(width, tuple(indices.tolist())) for width, indices in plan_epoch(widths, needed, 8, seed, epoch)]

    assert made(1, 1) == made(1, 1)
    assert made(1, 1) != made(1, 2)
    assert made(1, 1) != made(2, 1)
    order = [width for width, _ in made(1, 1)]
    assert order != sorted(order)


def test_jitter_stays_within_bounds_and_labels_keep_their_columns() -> None:
    widths = np.full(3000, 320)
    buckets = {width for width, _ in plan_epoch(widths, np.ones(3000, dtype=np.int64), 16, 0, 0)}
    assert min(buckets) >= 224
    assert max(buckets) <= 384
    tight = {width for width, _ in plan_epoch(widths, np.full(3000, 320), 16, 0, 0)}
    assert min(tight) == 320


def contents(batches: list[Batch]) -> list[tuple[str, ...]]:
    return [tuple(batch.names) for batch in batches]


TEXTS: list[str | None] = [f"n{i:03d}" for i in range(61)]


@pytest.fixture(scope="module")
def lines() -> Lines:
    pictures: list[bytes | None] = [png(text or "", (60 + 5 * (i % 30), 32)) for i, text in enumerate(TEXTS)]
    return Lines([table(TEXTS, pictures)], PLAIN)


def stream(count: int = 61) -> StreamedLines:
    pictures: list[bytes | None] = [png(text or "", (60 + 5 * (i % 30), 32)) for i, text in enumerate(TEXTS[:count])]
    return StreamedLines([table(TEXTS[:count], pictures).to_iterable_dataset()], PLAIN)


def assert_whole(batch: Batch) -> None:
    assert batch.images.shape == (len(batch.names), 1, 32, batch.images.shape[-1])
    assert batch.images.dtype == torch.float32
    assert batch.images.shape[-1] % BUCKET == 0
    assert torch.isfinite(batch.images).all()
    assert batch.target_lengths.tolist() == [4] * len(batch.names)
    ids = torch.split(batch.targets, batch.target_lengths.tolist())
    for name, target in zip(batch.names, ids, strict=True):
        assert ENGLISH.decode(target.tolist()) in name


@pytest.mark.parametrize("streaming", [False, True])
def test_an_epoch_has_every_line_once(lines: Lines, streaming: bool) -> None:
    source: Lines | StreamedLines = stream() if streaming else lines
    seen: Counter[str] = Counter()
    for batch in source.batches(8, 0, 0, [1.0]):
        assert_whole(batch)
        seen.update(name[-6:] for name in batch.names)
    assert seen == Counter({f"'{text}'": 1 for text in TEXTS})


@pytest.mark.parametrize("streaming", [False, True])
def test_batches_are_determined_by_seed_and_epoch(lines: Lines, streaming: bool) -> None:
    def made(seed: int, epoch: int) -> list[Batch]:
        return list((stream() if streaming else lines).batches(8, seed, epoch, [1.0]))

    first, again, other = made(0, 1), made(0, 1), made(0, 2)
    assert contents(first) == contents(again)
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, again, strict=True))
    assert contents(first) != contents(other)
    assert contents(made(1, 1)) != contents(first)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("world", [1, 2])
def test_skipping_goes_on_exactly(streaming: bool, world: int) -> None:
    even = Lines(
        [table(TEXTS[:60], [png("", (60 + 5 * (i % 30), 32)) for i in range(60)])], PLAIN
    )  # five batches of 12

    def made(rank: int, skip: int) -> list[Batch]:
        source = stream(60) if streaming else even
        return list(source.batches(6, 4, 1, [1.0], rank, world, skip=skip))

    for rank in range(world):
        whole = made(rank, 0)
        for skip in (1, 3, len(whole) - 1, len(whole)):
            rest = made(rank, skip)
            assert contents(rest) == contents(whole)[skip:]
            assert all(torch.equal(a.images, b.images) for a, b in zip(rest, whole[skip:], strict=True))


def test_skipping_goes_on_exactly_where_a_batch_is_too_small_to_share(lines: Lines) -> None:
    whole = contents(list(lines.batches(6, 4, 1, [1.0], 0, 2)))  # 61 lines: one is left over, early in this epoch
    assert contents(list(lines.batches(6, 4, 1, [1.0], 0, 2, skip=4))) == whole[4:]


@pytest.mark.parametrize("streaming", [False, True])
def test_two_processes_share_each_batch(lines: Lines, streaming: bool) -> None:
    def made(rank: int, world: int, batch_size: int) -> list[Batch]:
        return list((stream() if streaming else lines).batches(batch_size, 0, 0, [1.0], rank, world))

    whole, first, second = made(0, 1, 16), made(0, 2, 8), made(1, 2, 8)
    assert len(first) == len(second)
    seen: Counter[str] = Counter()
    for a, b in zip(first, second, strict=True):
        assert a.images.shape[-1] == b.images.shape[-1]
        assert not set(a.names) & set(b.names)
        assert abs(len(a.names) - len(b.names)) <= 1
        seen.update(a.names + b.names)
    assert max(seen.values()) == 1
    together = {frozenset(a.names + b.names) for a, b in zip(first, second, strict=True)}
    assert together <= {frozenset(batch.names) for batch in whole}
    assert 61 - len(seen) <= (12 if streaming else 1), "a line left alone cannot be shared"


def test_wide_lines_are_shared_too() -> None:
    wide: list[bytes | None] = [png("", (900, 32))] * 20
    found = Lines([table([str(i) for i in range(20)], wide)], PLAIN)
    seen = [name for rank in range(2) for batch in found.batches(1, 0, 0, [1.0], rank, 2) for name in batch.names]
    assert len(seen) >= 19


def test_weights_repeat_and_halve_corpora() -> None:
    def corpus(prefix: str, count: int) -> Any:
        return table([f"{prefix}{i:02d}" for i in range(count)], [png()] * count)

    found = Lines([corpus("a", 20), corpus("b", 10)], PLAIN)
    for epoch in range(3):
        drawn = Counter(int(i) for i in found.epoch(0, epoch, [0.5, 2]))
        own = {number: {i: n for i, n in drawn.items() if found.origins[i, 0] == number} for number in (0, 1)}
        assert sorted(own[0].values()) == [1] * 10
        assert own[1] == dict.fromkeys(range(20, 30), 2)
    assert not np.array_equal(np.sort(found.epoch(0, 0, [0.5, 1])), np.sort(found.epoch(0, 1, [0.5, 1]))), (
        "another half each epoch"
    )
    assert len(found.epoch(0, 0, [0, 1])) == 10
    assert len(found.epoch(0, 0, [1.25, 0.1])) == 26
    seen = Counter(name.split("'")[1][0] for batch in found.batches(4, 0, 0, [0.5, 2]) for name in batch.names)
    assert seen == {"a": 10, "b": 20}
    steps = found.steps(4, 0, [0.5, 2])
    assert steps == len(list(found.batches(4, 0, 0, [0.5, 2])))


def test_how_often_a_number_came_before() -> None:
    assert repetitions(np.array([7, 3, 7, 7, 3])).tolist() == [0, 0, 1, 2, 1]
    assert repetitions(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("world", [1, 2])
def test_a_repeated_line_is_changed_anew_each_time_and_skipping_goes_on_exactly(world: int) -> None:
    found = Lines([table(["abc"], [png("abc", (120, 32))])], PLAIN)

    def made(rank: int, skip: int = 0) -> list[Batch]:
        return list(found.batches(4, 0, 0, [64.0], rank, world, skip=skip))

    views: Counter[bytes] = Counter()
    for rank in range(world):
        whole, rest = made(rank), made(rank, skip=2)
        assert all(torch.equal(a.images, b.images) for a, b in zip(rest, whole[2:], strict=True))
        views.update(image.numpy().tobytes() for batch in whole for image in batch.images)
    assert views.total() == 64
    assert len(views) > 35, "some are not changed at all, and of those there is one a width"


def test_a_line_that_comes_once_is_changed_as_without_weights(lines: Lines) -> None:
    for second, seed in ((ALONE, (3, 1, 5)), (7, (3, 1, 5, 7))):
        (image,) = lines.batch(512, np.array([[5, second, 0]]), 3, 1).images
        rng, pictures = np.random.default_rng(seed), [picture(lines.row(i)) for i in (5, second) if i != ALONE]
        one = pictures[0] if second == ALONE else join(pictures, 32, rng)
        grey = vary_line(one, 512, PLAIN.preprocessing, rng)
        assert torch.equal(image, torch.from_numpy(grey_to_tensor(grey[None], PLAIN.preprocessing)))


def test_streams_are_mixed_by_weight() -> None:
    def corpus(prefix: str, count: int) -> Any:
        return table([f"{prefix}{i:03d}" for i in range(count)], [png()] * count, sized=True).to_iterable_dataset()

    mixed = StreamedLines([corpus("a", 100), corpus("b", 100)], PLAIN, shuffle=10)
    names = [name for batch in mixed.batches(4, 0, 0, [3.0, 1.0]) for name in batch.names]
    seen = Counter(name.split("'")[1] for name in names)
    assert len(seen) == 200, "every line of both"
    a = sum(n for text, n in seen.items() if text[0] == "a")
    assert 2 < a / (len(names) - a) < 4.5
    only = [name for batch in mixed.batches(4, 0, 0, [0.0, 2.0]) for name in batch.names]
    assert sorted(name.split("'")[1] for name in only) == [f"b{i:03d}" for i in range(100)]


def test_corpora_with_and_without_sizes_go_together() -> None:
    found = Lines([table(["a"] * 3, sized=True), table(["b"] * 3)], PLAIN)
    assert [found.row(i)["text"] for i in range(6)] == ["a"] * 3 + ["b"] * 3
    assert found.widths.tolist() == [180] * 6
    assert "corpus 1 row 2 'b'" in found.name(5)


@pytest.mark.parametrize("other", ["columns", "decoded", "large_string", "unknown"])
def test_streams_of_different_columns_and_kinds_go_together(other: str) -> None:
    second = table(["b"] * 9, [png()] * 9, sized=other == "columns")
    if other == "decoded":
        second = second.cast_column("image", datasets.Image(decode=True))
    if other == "large_string":
        second = second.cast_column("text", datasets.Value("large_string"))
    stream = second.to_iterable_dataset()
    if other == "unknown":
        stream = stream.map(lambda row: {**row, "source": 1})
        assert stream.features is None
    mixed = StreamedLines([table(["a"] * 9, [png()] * 9).to_iterable_dataset(), stream], PLAIN)
    names = [name.split("'")[1] for batch in mixed.batches(4, 0, 0, [1.0, 1.0]) for name in batch.names]
    assert names.count("a") >= 9 <= names.count("b")


def with_broken(count: int, broken: set[int]) -> Lines:
    pictures = [b"nonsense" if i in broken else png() for i in range(count)]
    return Lines([table([f"n{i:03d}" for i in range(count)], pictures, sized=True)], PLAIN, max_bad=0.5)


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_broken_picture_is_left_out_and_no_step_is_lost(batch_size: int, world: int) -> None:
    broken = {2, 3, 11}

    def made(rank: int, skip: int = 0, found: Lines | None = None) -> list[Batch]:
        return list((found or with_broken(20, broken)).batches(batch_size, 0, 1, [1.0], rank, world, skip=skip))

    for rank in range(world):
        lines, sound = with_broken(20, broken), with_broken(20, set())
        whole = made(rank, found=lines)
        assert len(whole) == len(made(rank, found=sound)), "as many steps as if nothing were wrong"
        for batch, planned in zip(whole, made(rank, found=sound), strict=True):
            assert batch.images.shape[-1] == planned.images.shape[-1]
            assert len(batch.names) == len(batch.images) == len(batch.origins) >= 1
            kept = [name for name in planned.names if not any(f"row {i} " in name for i in broken)]
            assert batch.names == kept or (not kept and len(batch.names) == 1)
        again = made(rank, found=lines)
        for skip in (0, 1, len(whole) - 1):
            rest = made(rank, skip)
            assert contents(rest) == contents(whole)[skip:] == contents(again)[skip:], "whatever is known already"
            assert all(torch.equal(a.images, b.images) for a, b in zip(rest, whole[skip:], strict=True))
        assert lines.report.dropped.total() == len(lines.broken), "each is counted once"
        assert set(lines.broken) <= broken
    if world == 1:
        assert set(lines.broken) == broken
        assert "corpus 0 row 11 'n011': " in str(lines.report)


def test_a_line_that_takes_the_place_of_others_is_of_their_corpus() -> None:
    corpora = [table(["a", "b"], [b"nonsense", png()], sized=True), table(["c"] * 8, [png()] * 8, sized=True)]
    lines = Lines(corpora, PLAIN, max_bad=0.5)
    batch = lines.batch(192, np.array([[0, ALONE, 0]]), 0, 0)
    assert batch.names == ["corpus 0 row 1 'b'"]
    assert batch.origins == [0]


def test_too_many_broken_pictures_are_refused_with_their_names() -> None:
    lines = with_broken(150, {5, 70})
    lines.max_bad = 0.01
    with pytest.raises(DataError, match="2 of 150 rows cannot be used") as caught:
        list(lines.batches(4, 0, 0, [1.0]))
    assert "corpus 0 row 5 'n005'" in str(caught.value)
    assert "corpus 0 row 70 'n070'" in str(caught.value)


def test_where_no_line_can_be_read_there_is_no_batch() -> None:
    lines = Lines([table(["a"], [b"nonsense"], sized=True), table(["b"])], PLAIN, max_bad=1.0)
    with pytest.raises(DataError, match="in place of corpus 0 row 0 'a'"):
        lines.batch(192, np.array([[0, ALONE, 0]]), 0, 0)


# lines --------------------------------------------------------------------------------------------------------------


def row(data: bytes) -> dict[str, Any]:
    return {"image": {"bytes": data, "path": None}}


def test_a_line_is_loaded_the_same_for_the_same_seed_and_varies() -> None:
    data = png("Hello")
    loaded = [load_line(row(data), 160, Preprocessing(), np.random.default_rng(seed)) for seed in range(60)]
    again = [load_line(row(data), 160, Preprocessing(), np.random.default_rng(seed)) for seed in range(60)]
    assert all(np.array_equal(a, b) for a, b in zip(loaded, again, strict=True))
    assert {line.shape for line in loaded} == {(32, 160)}
    assert {line.dtype for line in loaded} == {np.dtype(np.uint8)}
    assert len({line.tobytes() for line in loaded}) > 20
    assert 1 <= sum(line.mean() < 128 for line in loaded) <= 20, "some are inverted"


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (2000, 60), (13, 13), (14, 20), (3000, 14), (12, 300)], ids=str)
def test_pictures_of_odd_shapes_are_loaded(size: tuple[int, int]) -> None:
    data = png("", size)
    for seed in range(40):
        line = load_line(row(data), 32, Preprocessing(), np.random.default_rng(seed))
        assert line.shape == (32, 32)


@pytest.mark.parametrize("size", [(14, 300), (13, 140), (60, 1200)], ids=str)
def test_tall_pictures_are_loaded(size: tuple[int, int]) -> None:
    data = png("", size)
    assert check("1", data)[0] is not None, "a row that training would meet"
    for seed in range(60):
        load_line(row(data), 32, Preprocessing(), np.random.default_rng(seed))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pictures_of_every_mode_are_loaded(mode: str) -> None:
    buffer = BytesIO()
    image = Image.new("L", (60, 30), 255)
    image.paste(0, (10, 5, 30, 25))
    converted = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    converted.save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    for seed in range(5):
        line = load_line(row(buffer.getvalue()), 64, Preprocessing(), np.random.default_rng(seed))
        assert int(line.max()) - int(line.min()) > 80


def test_the_corpus_of_synth_opens(tmp_path: Path) -> None:
    made: Iterator[str] = iter(["a", "b"])
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        table([next(made)], sized=True).to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    assert open_corpus(str(tmp_path), "train").column_names == ["image", "text", "width", "height"]
    assert pq.read_table(tmp_path / "data" / "test-00000-of-00001.parquet").num_rows == 1


@pytest.mark.parametrize("width", [96, 160, 320, 1600])
def test_a_line_in_a_wide_bucket_gets_room_and_is_not_stretched(width: int) -> None:
    image = Image.new("L", (60, 32), 255)  # 90 columns at a stretch of 1.5
    image.paste(0, (5, 4, 55, 28))
    data = BytesIO()
    image.save(data, "PNG")
    row = {"image": {"bytes": data.getvalue(), "path": None}}
    for seed in range(20):
        grey = load_line(row, width, Preprocessing(), np.random.default_rng(seed)).astype(int)
        assert grey.shape == (32, width)
        ink = np.flatnonzero(abs(grey[16] - grey[1, 0]) > 60)
        assert len(ink) <= 1.65 * 75


def test_sizes_that_are_not_those_of_the_pictures_are_not_believed() -> None:
    """They may be those of the pages that lines were cut from: every line would be squeezed."""
    pictures = [png(str(i), (120, 32)) for i in range(20)]
    rows = table([f"n{i:03d}" for i in range(20)], pictures, sized=True)
    assert Lines([rows], PLAIN).widths.tolist() == Lines([rows.remove_columns("width")], PLAIN).widths.tolist()
    lying = rows.map(lambda _: {"width": 5, "height": 5})
    assert Lines([lying], PLAIN).widths.tolist() == Lines([rows], PLAIN).widths.tolist()


def test_a_picture_of_another_size_than_its_row_tells_is_counted_where_it_is_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "OPENED", 1)
    pictures = [png(str(i), (120, 32)) for i in range(20)]
    rows = table([f"n{i:03d}" for i in range(20)], pictures, sized=True)
    lying = rows.map(lambda _, i: {"width": 300} if i == 7 else {}, with_indices=True)
    lines = Lines([lying], PLAIN, max_bad=0.1)
    names = [name for batch in lines.batches(4, 0, 0, [1.0]) for name in batch.names]
    assert len(names) == 20, "another takes its place"
    assert not any("n007" in name for name in names)
    assert "'n007': it has 120 x 32 pixels, not as many as its row tells" in str(lines.report)


# streams ------------------------------------------------------------------------------------------------------------


def broken_stream() -> StreamedLines:
    """A row of every kind that cannot be used, among good ones; the sizes of all are told."""
    texts = ["漢", "a" * 60, None, "broken", *TEXTS[:20]]
    pictures = [png(), png(), png(), b"nonsense", *[png()] * 20]
    return StreamedLines([table(texts, pictures, sized=True).to_iterable_dataset()], PLAIN, max_bad=0.5)


def test_a_stream_counts_its_bad_rows_and_names_them() -> None:
    lines = broken_stream()
    seen = [name for batch in lines.batches(4, 0, 0, [1.0]) for name in batch.names]
    assert len(seen) == 20
    assert lines.report.dropped == {
        "unknown characters": 1,
        "label too long for its picture": 1,
        "no text": 1,
        "no readable picture": 1,
    }
    assert lines.report.seen == 24
    assert "'broken'" in str(lines.report)


def test_a_stream_counts_no_row_twice() -> None:
    lines = broken_stream()
    reports = []
    for epoch in range(3):
        list(lines.batches(4, 0, epoch, [1.0]))
        reports.append(str(lines.report))
    assert reports[0] == reports[1] == reports[2]


def test_a_stream_counts_all_rows_from_the_start_of_the_epoch_it_goes_on_with() -> None:
    lines, other = broken_stream(), broken_stream()
    list(lines.batches(4, 0, 1, [1.0], skip=3))
    list(other.batches(4, 0, 1, [1.0]))
    assert str(lines.report) == str(other.report)


def test_lines_that_are_held_out_are_trained_on_in_no_way() -> None:
    pictures = [b"nonsense" if 0 < i < 19 else png(str(i), (120, 32)) for i in range(40)]
    texts = [f"n{i:03d}" for i in range(40)]
    lines = Lines([table(texts, pictures, sized=True), table(["other"] * 3)], PLAIN, max_bad=0.9, joined=1.0)
    whole = lines.steps(4, 0, [1.0, 1.0])
    held = lines.hold_out(0, 1000).tolist()
    assert held == [0, 10, 20, 30]
    assert lines.trained_on(0).tolist() == [i for i in range(40) if i not in held]
    assert lines.trained_on(1).tolist() == [40, 41, 42]
    seen: Counter[int] = Counter()
    beside: set[int] = set()
    for epoch in range(3):
        for _, rows in lines.plan(4, 0, epoch, [1.0, 1.0]):
            seen.update(rows[:, 0].tolist())
            beside.update(rows[:, 1].tolist())
    assert seen == Counter({i: 3 for i in range(43) if i not in held})
    assert len(beside) > 20
    assert not beside & set(held), "nor beside another line"
    assert lines.steps(4, 0, [1.0, 1.0]) < whole
    # one of a batch that cannot be read gives its place to the nearest that is trained on
    batch = lines.batch(128, np.array([[1, ALONE, 0]]), 0, 0)
    assert "row 19" in batch.names[0]
    assert lines.report.seen == 43
    assert lines.report.dropped.total() == 18 - 1


def test_pictures_of_a_corpus_that_tells_sizes_are_opened_at_once_where_that_is_asked() -> None:
    corpus = table([f"n{i:03d}" for i in range(4)], [png("a"), b"nonsense", png("c"), png("d")], sized=True)
    lines = Lines([corpus], PLAIN, max_bad=0.5, opened=True)
    assert lines.origins[:, 1].tolist() == [0, 2, 3]
    assert "1 dropped: no readable picture: row 1 'n001'" in str(lines.report)
    with pytest.raises(DataError, match="1 of 4 rows cannot be used"):
        Lines([corpus], PLAIN, opened=True)

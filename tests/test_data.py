"""training.data: every kind of corpus opens with its labels as they are, bad rows are counted, batches lose no line."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from simpleocr.crnn import CRNN
from simpleocr.image import InputError
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES
from training.data import (
    BUCKET,
    Batch,
    Checker,
    DataError,
    Lines,
    Report,
    StreamedLines,
    batch_lines,
    columns_needed,
    load_line,
    open_corpus,
    picture,
    plan_epoch,
)

LABELS = ["007", "NA", "null", "1e5", "", " two  words ", "True", "3.10", 'quo"te, comma', "nan", "é"]
ENGLISH = VOCABULARIES["english"]
PLAIN = Checker(ENGLISH, Preprocessing())


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache outside, and no network to fall back on."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # 5 s after every stream


def png(text: str = "", size: tuple[int, int] = (120, 32), kind: str = "PNG") -> bytes:
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((4, 4), text, fill=0, font=ImageFont.load_default(20))
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def features(**more: str) -> datasets.Features:
    return datasets.Features(
        {"image": datasets.Image(), "text": datasets.Value("string")}
        | {name: datasets.Value(kind) for name, kind in more.items()}
    )


def table(texts: Sequence[str | None], pictures: Sequence[bytes | None] | None = None, *, sized: bool = False) -> Any:
    """A Dataset as open_corpus gives it."""
    data = pictures if pictures is not None else [png(text or "") for text in texts]
    columns: dict[str, list[Any]] = {
        "image": [None if d is None else {"bytes": d, "path": None} for d in data],
        "text": list(texts),
    }
    if sized:
        columns |= {"width": [120] * len(texts), "height": [32] * len(texts)}
    made = datasets.Dataset.from_dict(
        columns, features=features(**({"width": "int32", "height": "int32"} if sized else {}))
    )
    return made.cast_column("image", datasets.Image(decode=False))


def pictures_into(folder: Path, count: int = len(LABELS)) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i}.png" for i in range(count)]
    for name in names:
        (folder / name).write_bytes(png(name))
    return names


def write_csv(path: Path, names: list[str], header: str = "file_name,text") -> None:
    quoted = [label.replace('"', '""') for label in LABELS]
    lines = [
        f'{name},"{label}"' if any(c in label for c in '",') else f"{name},{label}"
        for name, label in zip(names, quoted, strict=True)
    ]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def with_metadata_csv(folder: Path) -> str:
    write_csv(folder / "metadata.csv", pictures_into(folder))
    return str(folder)


def with_metadata_jsonl(folder: Path) -> str:
    names = pictures_into(folder)
    rows = [json.dumps({"file_name": name, "text": label}) for name, label in zip(names, LABELS, strict=True)]
    (folder / "metadata.jsonl").write_text("\n".join(rows) + "\n\n", encoding="utf-8")
    return str(folder)


def csv_file(folder: Path) -> str:
    write_csv(folder / "labels.csv", [f"deep/{name}" for name in pictures_into(folder / "deep")], "file,label")
    return str(folder / "labels.csv")


def csv_of_excel(folder: Path) -> str:
    write_csv(folder / "labels.csv", pictures_into(folder), "path,transcription")
    data = (folder / "labels.csv").read_bytes()
    (folder / "labels.csv").write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    return str(folder / "labels.csv")


def parquet_file(folder: Path) -> str:
    table(list(LABELS)).to_parquet(folder / "rows.parquet")
    return str(folder / "rows.parquet")


def parquet_folder(folder: Path) -> str:
    (folder / "data").mkdir()
    for split in ("train", "validation", "test"):
        table(list(LABELS), sized=True).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return str(folder)


def saved(folder: Path) -> str:
    table(list(LABELS)).save_to_disk(str(folder / "saved"))
    return str(folder / "saved")


def saved_splits(folder: Path) -> str:
    datasets.DatasetDict(train=table(list(LABELS)), test=table(["x"])).save_to_disk(str(folder / "saved"))
    return str(folder / "saved")


KINDS = [
    with_metadata_csv,
    with_metadata_jsonl,
    csv_file,
    csv_of_excel,
    parquet_file,
    parquet_folder,
    saved,
    saved_splits,
]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("make", KINDS, ids=lambda make: str(make.__name__))
def test_labels_are_read_as_they_are(tmp_path: Path, make: Callable[[Path], str], streaming: bool) -> None:
    corpus = open_corpus(make(tmp_path), "train", streaming=streaming)
    rows = list(corpus)
    assert [row["text"] for row in rows] == LABELS
    assert all(set(row["image"]) == {"bytes", "path"} for row in rows), "not decoded"
    assert {picture(row).size for row in rows} == {(120, 32)}


@pytest.mark.parametrize("streaming", [False, True])
def test_labels_of_a_picture_folder_with_splits_are_read_as_they_are(tmp_path: Path, streaming: bool) -> None:
    for split in ("train", "validation"):
        folder = tmp_path / "c" / split
        names = pictures_into(folder, 3)
        (folder / "metadata.csv").write_text(
            "file_name,text\n" + "".join(f"{n},{t}\n" for n, t in zip(names, LABELS, strict=False))
        )
    rows = list(open_corpus(str(tmp_path / "c"), "train", streaming=streaming))
    assert [row["text"] for row in rows] == LABELS[:3]


@pytest.mark.parametrize("streaming", [False, True])
def test_splits_are_told_apart(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "data").mkdir()
    for split in ("train", "validation", "test"):
        table([split] * 3).to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    for split in ("train", "validation", "test"):
        assert [row["text"] for row in open_corpus(str(tmp_path), split, streaming=streaming)] == [split] * 3


@pytest.mark.parametrize(
    "make",
    [with_metadata_csv, with_metadata_jsonl, csv_file, saved_splits, parquet_file, saved],
    ids=lambda m: str(m.__name__),
)
def test_a_missing_split_is_named(tmp_path: Path, make: Callable[[Path], str]) -> None:
    with pytest.raises(DataError, match="validation"):
        open_corpus(make(tmp_path), "validation")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_missing_split_of_a_folder_is_named(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "data").mkdir()
    table(["a"]).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"split 'test'"):
        open_corpus(str(tmp_path), "test", streaming=streaming)


def test_only_the_pictures_named_are_rows_and_their_folders_count(tmp_path: Path) -> None:
    pictures_into(tmp_path / "a", 4)
    (tmp_path / "metadata.csv").write_text("text,file_name,other\nx,a/0.png,1\ny,a/3.png,2\n")
    corpus = open_corpus(str(tmp_path), "train")
    assert [Path(row["image"]["path"]).name for row in corpus] == ["0.png", "3.png"]


@pytest.mark.parametrize(
    "name",
    [
        "/no/such",
        "./no/such",
        "~/no/such",
        "/no/such.csv",
        "/no/such.parquet",
        "no.parquet",
        "no/such",
        "nosuch",
        "no.csv",
    ],
)
def test_a_missing_corpus_is_named(name: str) -> None:
    with pytest.raises(DataError) as caught:
        open_corpus(name, "train")
    assert name in str(caught.value)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(DataError):
        open_corpus("", "train")


FAULTS: dict[str, tuple[str, bytes, str]] = {
    "no column with pictures": ("metadata.csv", b"picture,text\n0.png,a\n", "'picture', 'text'"),
    "no column with texts": ("metadata.csv", b"file_name,words\n0.png,a\n", "'file_name', 'words'"),
    "no text column, JSON": ("metadata.jsonl", b'{"file_name": "0.png"}\n', "'file_name'"),
    "not UTF-8": ("metadata.csv", "file_name,text\n0.png,für\n".encode("latin-1"), "not UTF-8: byte 22 is 0xfc"),
    "not UTF-8, JSON": ("metadata.jsonl", b'{"file_name": "0.png", "text": "\xff"}\n', "not UTF-8: byte 32 is 0xff"),
    "only a header": ("metadata.csv", b"file_name,text\n", "no rows"),
    "empty": ("metadata.csv", b"", "no rows"),
    "empty, JSON": ("metadata.jsonl", b"\n\n", "no rows"),
    "not JSON": ("metadata.jsonl", b"file_name,text\n", "cannot be read"),
    "too large a cell": ("metadata.csv", b"file_name,text\n0.png," + b"a" * 200_000 + b"\n", "cannot be read"),
    "second row no object": ("metadata.jsonl", b'{"file_name": "0.png", "text": "a"}\n[1, 2]\n', ""),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_bad_label_file_is_named_with_its_fault(tmp_path: Path, fault: str) -> None:
    name, content, says = FAULTS[fault]
    pictures_into(tmp_path, 1)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_corpus(str(tmp_path), "train")
    assert says in str(caught.value)
    assert tmp_path.name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("metadata.csv", "file_name,text\n0.png\n", "no text"),
        ("metadata.jsonl", '{"file_name": "0.png", "text": null}\n', "no text"),
        ("metadata.jsonl", '{"file_name": "0.png", "text": 7}\n', "no text"),
        ("metadata.jsonl", '{"file_name": 7, "text": "a"}\n', "no readable picture"),
    ],
)
def test_a_row_of_another_kind_is_counted_and_not_trained_on(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    pictures_into(tmp_path, 1)
    (tmp_path / name).write_text(content)
    report = Report()
    for i, row in enumerate(open_corpus(str(tmp_path), "train")):
        PLAIN.check(row, i, report)
    assert report.dropped == {reason: 1}


@pytest.mark.parametrize("streaming", [False, True])
def test_a_damaged_parquet_file_is_named(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet"):
        open_corpus(str(tmp_path / "bad.parquet"), "train", streaming=streaming)


def test_a_damaged_second_shard_is_a_data_error(tmp_path: Path) -> None:
    table(["a"]).to_parquet(tmp_path / "train-00000-of-00002.parquet")
    (tmp_path / "train-00001-of-00002.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match=tmp_path.name):
        open_corpus(str(tmp_path), "train")


def test_zero_rows_are_named(tmp_path: Path) -> None:
    table([]).to_parquet(tmp_path / "zero.parquet")
    with pytest.raises(DataError, match=r"zero\.parquet"):
        open_corpus(str(tmp_path / "zero.parquet"), "train")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder"):
        open_corpus(str(tmp_path / "folder"), "train")


def test_zero_rows_of_a_stream_or_a_saved_folder_are_refused_by_the_lines(tmp_path: Path) -> None:
    table([]).to_parquet(tmp_path / "zero.parquet")
    stream = StreamedLines([open_corpus(str(tmp_path / "zero.parquet"), "train", streaming=True)], PLAIN)
    with pytest.raises(DataError, match="0 of 0 rows"):
        next(stream.batches(4, 0, 0, [1.0]))
    with pytest.raises(DataError, match="0 of 0 rows"):
        Lines([table([])], PLAIN)


@pytest.mark.parametrize("name", ["user/lines-v1.5", "user/IAM.lines"])
def test_a_hub_id_may_have_a_dot(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load_dataset(path: str, **_: Any) -> Any:
        asked.append(path)
        return table(["a"])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    open_corpus(name, "train")
    assert asked == [name]


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


# checking -----------------------------------------------------------------------------------------------------------


def check(
    text: Any, data: bytes | None, checker: Checker = PLAIN, **more: Any
) -> tuple[tuple[str, int] | None, Report]:
    report = Report()
    return checker.check({"image": {"bytes": data, "path": None}, "text": text, **more}, 5, report), report


def test_a_good_row_gives_its_target_and_its_width() -> None:
    assert check(" e\u0301a  b ", png())[0] is None, "not in this vocabulary"
    found, report = check(" a  b ", png())
    assert found == ("a b", 180)
    assert report.seen == 1
    assert not report.dropped


def test_an_empty_label_is_kept_and_counted() -> None:
    found, report = check("  ", png())
    assert found == ("", 180)
    assert report.empty == 1


BAD_ROWS: dict[str, tuple[Any, bytes | None, str]] = {
    "None": (None, png(), "no text"),
    "number": (7, png(), "no text"),
    "list": (["a"], png(), "no text"),
    "unknown": ("aΩ漢", png(), "unknown characters"),
    "no bytes": ("a", None, "no readable picture"),
    "empty file": ("a", b"", "no readable picture"),
    "nonsense": ("a", b"nonsense", "no readable picture"),
    "cut": ("a", png("a picture of some size", (400, 40))[:-60], "no readable picture"),
    "long": ("a" * 46, png(), "label too long for its picture"),
    "repeats": ("1" * 24, png(), "label too long for its picture"),
    "wide": ("a", png("", (30_000, 20)), "too wide"),
}


@pytest.mark.parametrize("bad", list(BAD_ROWS))
def test_a_bad_row_is_dropped_for_its_reason(bad: str) -> None:
    text, data, reason = BAD_ROWS[bad]
    found, report = check(text, data)
    assert found is None
    assert report.dropped == {reason: 1}
    assert report.seen == 1
    assert "row 5" in report.examples[reason][0]
    assert "\n" not in report.examples[reason][0]
    assert reason in str(report)


def test_the_longest_labels_that_fit_are_kept() -> None:
    assert check("ab" * 22 + "a", png())[0] == ("ab" * 22 + "a", 180)  # 45 timesteps
    assert check("1" * 23, png())[0] == ("1" * 23, 180)
    assert check("1111", png("", (16, 32)))[0] is None, "24 columns, 25 needed"
    assert check("1111", png("", (17, 32)))[0] == ("1111", 26)
    assert check("1234", png("", (9, 32)))[0] == ("1234", 16)


def test_sizes_are_believed_where_they_are_given_and_pictures_not_opened() -> None:
    assert check("a", b"never opened", width=100, height=50)[0] == ("a", 96)
    assert check("a", png(), width=None, height=None)[0] == ("a", 180)
    assert check("a", png(), width=0, height=10)[0] == ("a", 180), "a size that is none"


def test_unknown_characters_are_named_or_stripped() -> None:
    strip = Checker(ENGLISH, Preprocessing(), unknown="strip")
    found, report = check("a漢 Ωb", png(), strip)
    assert found == ("a b", 180)
    assert not report.dropped
    assert check("漢", png(), strip)[0] == ("", 180)
    _, report = check("a漢 Ωb", png())
    assert "U+6F22" in str(report)
    assert "U+03A9" in str(report)


def test_too_wide_for_this_run_is_no_fault() -> None:
    found, report = check("a", png(), Checker(ENGLISH, Preprocessing(), max_columns=179))
    assert found is None
    assert report.left_out == 1
    assert not report.dropped
    assert check("a", png(), Checker(ENGLISH, Preprocessing(), max_columns=180))[0] == ("a", 180)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    pictures_into(tmp_path, 1)
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,a\ngone.png,b\n,c\n")
    report = Report()
    kept = [PLAIN.check(row, i, report) for i, row in enumerate(open_corpus(str(tmp_path), "train"))]
    assert [found is not None for found in kept] == [True, False, False]
    assert "gone.png" in str(report)


def test_a_row_without_a_picture_is_an_input_error() -> None:
    for cell in (None, {"bytes": None, "path": None}):
        with pytest.raises(InputError):
            picture({"image": cell})


def test_a_corpus_is_refused_over_one_per_cent() -> None:
    report = Report(seen=1000)
    for i in range(10):
        report.drop("a reason", f"example {i}")
    report.refuse_over(0.01)
    report.drop("another", "example")
    with pytest.raises(DataError, match="11 of 1000 rows") as caught:
        report.refuse_over(0.01)
    assert "example 4" in str(caught.value)
    assert "example 5" not in str(caught.value), "the first five of a reason"
    report.refuse_over(0.5)
    with pytest.raises(DataError):
        Report().refuse_over(0.5)
    everything = Report(seen=1)
    everything.drop("a reason", "x")
    with pytest.raises(DataError):
        everything.refuse_over(1.0)


def test_a_hundred_rows_with_two_bad_ones_are_refused() -> None:
    with pytest.raises(DataError, match="2 of 100 rows"):
        Lines([table(["a"] * 98 + ["漢"] * 2)], PLAIN)
    lines = Lines([table(["a"] * 98 + ["漢"] * 2)], PLAIN, max_bad=0.02)
    assert len(lines) == 98
    with pytest.raises(DataError, match="2 of 100 rows"):
        list(StreamedLines([table(["a"] * 98 + ["漢"] * 2).to_iterable_dataset()], PLAIN).batches(8, 0, 0, [1.0]))


def test_no_line_narrow_enough_is_a_data_error() -> None:
    with pytest.raises(DataError):
        Lines([table(["a"] * 5)], Checker(ENGLISH, Preprocessing(), max_columns=32)).steps(4, 0, [1.0])


def test_ctc_can_write_a_text_on_the_columns_needed_and_on_none_fewer() -> None:
    for length in range(6):
        for letters in itertools.product("ab", repeat=length):
            text = "".join(letters)
            least = length + sum(a == b for a, b in itertools.pairwise(text))
            widths = torch.arange(1, 60)
            feasible = widths[CRNN.timesteps(widths) >= max(1, least)]
            assert columns_needed(text) == int(feasible[0]), text
    # and the loss itself agrees
    for text in ("a", "aa", "ab", "aab", "aaa"):
        columns = torch.tensor([columns_needed(text), max(1, columns_needed(text) - 1)])
        steps = CRNN.timesteps(columns)
        log_probs = torch.zeros(int(steps.max()), 2, 3).log_softmax(-1)
        ids = torch.tensor(["ab".index(c) + 1 for c in text] * 2)
        loss = torch.nn.functional.ctc_loss(log_probs, ids, steps, torch.tensor([len(text)] * 2), reduction="none")
        assert torch.isfinite(loss[0])
        assert len(text) == 1 or torch.isinf(loss[1])


# batches ------------------------------------------------------------------------------------------------------------


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


def test_streams_are_mixed_by_weight() -> None:
    def corpus(prefix: str, count: int) -> Any:
        return table([f"{prefix}{i:03d}" for i in range(count)], [png()] * count, sized=True).to_iterable_dataset()

    mixed = StreamedLines([corpus("a", 100), corpus("b", 100)], PLAIN, shuffle=10)
    names = [name for batch in mixed.batches(4, 0, 0, [3.0, 1.0]) for name in batch.names]
    seen = Counter(name.split("'")[1] for name in names)
    assert len(seen) == 200, "every line of both"
    a = sum(n for text, n in seen.items() if text[0] == "a")
    assert 2 < a / (len(names) - a) < 4.5


def test_corpora_with_and_without_sizes_go_together() -> None:
    found = Lines([table(["a"] * 3, sized=True), table(["b"] * 3)], PLAIN)
    assert [found.row(i)["text"] for i in range(6)] == ["a"] * 3 + ["b"] * 3
    assert found.widths.tolist() == [180] * 6
    assert "corpus 1 row 2 'b'" in found.name(5)


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

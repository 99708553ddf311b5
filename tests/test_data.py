"""training.data: every kind of corpus opens with its labels as they are."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES
from tests.fakehub import FakeHub
from training.batches import Lines
from training.checking import Checker, Report
from training.data import DataError, NoSplitError, open_corpus, picture
from training.streaming import StreamedLines

LABELS = ["007", "NA", "null", "1e5", "", " two  words ", "True", "3.10", 'quo"te, comma', "nan", "é"]
ENGLISH = VOCABULARIES["english"]
PLAIN = Checker(ENGLISH, Preprocessing())


pytestmark = pytest.mark.usefixtures("apart")


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


@pytest.mark.parametrize("labels", [["007", "NA", "12"], ["007", "010", "12"]], ids=str)
@pytest.mark.parametrize("name", ["val", "valid", "dev"])
def test_a_validation_folder_of_another_name_is_read_as_it_is(tmp_path: Path, name: str, labels: list[str]) -> None:
    for split in ("train", name):
        names = pictures_into(tmp_path / split, 3)
        rows = "".join(f"{file},{label}\n" for file, label in zip(names, labels, strict=True))
        (tmp_path / split / "metadata.csv").write_text(f"file_name,text\n{rows}")
    assert open_corpus(str(tmp_path), "validation")["text"][:] == labels
    with pytest.raises(NoSplitError, match="test"):
        open_corpus(str(tmp_path), "test")


def test_a_saved_validation_split_of_another_name_is_found(tmp_path: Path) -> None:
    datasets.DatasetDict(train=table(["a"]), val=table(["b"])).save_to_disk(str(tmp_path / "saved"))
    assert open_corpus(str(tmp_path / "saved"), "validation")["text"][:] == ["b"]


def test_a_label_file_of_the_corpus_may_have_its_pictures_in_a_folder_of_a_splits_name(tmp_path: Path) -> None:
    pictures_into(tmp_path / "train", 3)
    (tmp_path / "metadata.csv").write_text("file_name,text\ntrain/0.png,007\ntrain/1.png,010\ntrain/2.png,12\n")
    corpus = open_corpus(str(tmp_path), "train")
    assert corpus["text"][:] == ["007", "010", "12"]
    assert picture(corpus[0]).size == (120, 32)
    with pytest.raises(NoSplitError):
        open_corpus(str(tmp_path), "validation")
    pictures_into(tmp_path / "validation", 1)
    (tmp_path / "validation" / "metadata.csv").write_text("file_name,text\n0.png,own\n")
    assert open_corpus(str(tmp_path), "validation")["text"][:] == ["own"]


def test_a_missing_split_is_one_whatever_the_label_files_of_others_call_their_columns(tmp_path: Path) -> None:
    pictures_into(tmp_path / "train", 1)
    (tmp_path / "train" / "metadata.csv").write_text("path,label\n0.png,a\n")
    with pytest.raises(NoSplitError, match="no folder validation or valid or val or dev"):
        open_corpus(str(tmp_path), "validation")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("names", [("image", "text"), ("path", "label")], ids=str)
def test_a_damaged_picture_does_not_end_the_reading(tmp_path: Path, names: tuple[str, str], streaming: bool) -> None:
    rows = table(["a", "b", "c"], [png("a"), b"nonsense", png("c")])
    rows = rows.rename_columns({a: b for a, b in zip(("image", "text"), names, strict=True) if a != b})
    rows.cast_column(names[0], datasets.Image()).to_parquet(tmp_path / "rows.parquet")
    report = Report()
    corpus = open_corpus(str(tmp_path / "rows.parquet"), "train", streaming=streaming)
    found = [PLAIN.check(row, i, report) for i, row in enumerate(corpus)]
    assert [row is not None for row in found] == [True, False, True]
    assert report.dropped == {"no readable picture": 1}


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
    with pytest.raises(NoSplitError, match="validation"):
        open_corpus(make(tmp_path), "validation")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_missing_split_of_a_folder_is_named(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "data").mkdir()
    table(["a"]).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(NoSplitError, match=r"split 'test'"):
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
        open_corpus(name, "validation")
    assert not isinstance(caught.value, NoSplitError)
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
    "not UTF-8, late": (
        "metadata.csv",
        b"\xef\xbb\xbffile_name,text\n" + b"0.png,a\n" * 9000 + b"\xfc",
        "not UTF-8: byte 72018 is 0xfc",
    ),
    "only a header": ("metadata.csv", b"file_name,text\n", "no rows"),
    "empty": ("metadata.csv", b"", "no rows"),
    "empty, JSON": ("metadata.jsonl", b"\n\n", "no rows"),
    "not JSON": ("metadata.jsonl", b"file_name,text\n", "cannot be read"),
    "too large a cell": ("metadata.csv", b"file_name,text\n0.png," + b"a" * 200_000 + b"\n", "cannot be read"),
    "a comma without quotes": (
        "metadata.csv",
        b"file_name,text\n0.png,a\n\n1.png,Hello, world\n",
        "metadata.csv, line 4, has 3 fields, the header 2",
    ),
    "a quote left open": ("metadata.csv", b'file_name,text\n0.png,a\n1.png,"b\n2.png,c\n', "read after line 2"),
    "a quote closed by another row's": (
        "metadata.csv",
        b'text,file_name\na,0.png\n"b,1.png\nc"",2.png\nd",3.png\n',
        "up to line 5, has one text of several lines, 'b,1.png",
    ),
    "a letter after a quote": ("metadata.csv", b'file_name,text\n0.png,"b\n1.png,"c"\n', "read after line 1"),
    "second row no object": ("metadata.jsonl", b'{"file_name": "0.png", "text": "a"}\n[1, 2]\n', ""),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_bad_label_file_is_named_with_its_fault(tmp_path: Path, fault: str) -> None:
    name, content, says = FAULTS[fault]
    pictures_into(tmp_path, 1)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_corpus(str(tmp_path), "train")
    assert not isinstance(caught.value, NoSplitError)
    assert says in str(caught.value)
    assert tmp_path.name in str(caught.value)


def test_quotes_within_a_text_a_line_feed_at_its_end_and_notes_of_several_lines_are_no_faults(tmp_path: Path) -> None:
    rows = '0.png,6" nails,\n1.png,"end\n",\n2.png,"a ""b""","note,\nand more"\n'
    (tmp_path / "metadata.csv").write_text("file_name,text,notes\n" + rows)
    assert open_corpus(str(tmp_path), "train")["text"][:] == ['6" nails', "end\n", 'a "b"']


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
@pytest.mark.parametrize("layout", ["file", "folder", "below", "apart", "jsonl"])
def test_names_of_files_in_a_table_are_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, streaming: bool
) -> None:
    corpus = tmp_path / "corpus"
    tables = [corpus / "data"] if layout == "below" else [corpus / "a", corpus / "b"] if layout == "apart" else [corpus]
    for folder in tables:
        folder.mkdir(parents=True)
        pictures = pictures_into((corpus if layout == "apart" else folder) / "p", 1)
        rows = datasets.Dataset.from_dict({"file_name": [f"p/{pictures[0]}", None], "text": ["x", "y"]})
        # of two, for the tables must not be fewer than the pictures
        for number in range(2):
            if layout == "jsonl":
                rows.to_json(folder / f"train-{number}.jsonl")
            else:
                rows.to_parquet(folder / f"train-{number}.parquet")
    name = str(corpus / "train-0.parquet" if layout == "file" else corpus)
    monkeypatch.chdir(tmp_path)
    for relative in (name, os.path.relpath(name)):
        first, second = list(open_corpus(relative, "train", streaming=streaming))[:2]
        assert picture(first).size == (120, 32)
        assert second["image"] is None
        assert (first["text"], second["text"]) == ("x", "y")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["ClassLabel", "int64"])
def test_numbers_are_no_texts(tmp_path: Path, kind: str, streaming: bool) -> None:
    feature = datasets.ClassLabel(names=["a", "b"]) if kind == "ClassLabel" else datasets.Value(kind)
    made = datasets.Dataset.from_dict({"image": [{"bytes": png("a"), "path": None}], "label": [1]})
    made.cast_column("image", datasets.Image()).cast_column("label", feature).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=rf"the column 'label' of .*rows\.parquet holds {kind}, not strings"):
        open_corpus(str(tmp_path / "rows.parquet"), "train", streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_numbers_of_a_folder_of_tables_are_no_texts(tmp_path: Path, streaming: bool) -> None:
    pictures_into(tmp_path / "p", 1)
    for number in range(2):  # of two, for the tables must not be fewer than the pictures
        (tmp_path / f"train-{number}.jsonl").write_text('{"file_name": "p/0.png", "text": 7}\n')
    with pytest.raises(DataError, match=r"the column 'text' of .* holds int(64)?, not strings"):
        open_corpus(str(tmp_path), "train", streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_damaged_parquet_file_is_named(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet"):
        open_corpus(str(tmp_path / "bad.parquet"), "train", streaming=streaming)


def test_a_damaged_second_shard_is_a_data_error(tmp_path: Path) -> None:
    table(["a"]).to_parquet(tmp_path / "train-00000-of-00002.parquet")
    (tmp_path / "train-00001-of-00002.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match=tmp_path.name) as caught:
        open_corpus(str(tmp_path), "train")
    assert not isinstance(caught.value, NoSplitError)


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


CLIENT = """
import json, sys
from training.data import DataError, NoSplitError, open_corpus, picture

for name, split, streaming in json.loads(sys.argv[1]):
    try:
        rows = list(open_corpus(name, split, streaming=streaming))
        print(json.dumps([[row["text"], *picture(row).size] for row in rows]))
    except DataError as error:
        print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_a_corpus_of_the_hub_opens_over_http(tmp_path: Path) -> None:
    """In a process of its own, for the client reads its environment when it is imported."""

    def parquet(texts: Sequence[str]) -> bytes:
        table(texts).rename_column("text", "label").to_parquet(tmp_path / "rows.parquet")
        return (tmp_path / "rows.parquet").read_bytes()

    asked = [
        *(("tester/lines-v1.5", split, streaming) for split in ("train", "test") for streaming in (False, True)),
        *(("tester/lines-v1.5", "validation", streaming) for streaming in (False, True)),
        *(("tester/none", "train", streaming) for streaming in (False, True)),
    ]
    with FakeHub() as hub:
        name = "data/{}-00000-of-00001.parquet"
        new = {name.format("train"): parquet(LABELS), name.format("test"): parquet(["x"])}
        hub.publish("tester/lines-v1.5", new)
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, json.dumps(asked)],
            env={**os.environ, **hub.environment(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[:2] == [[[label, 120, 32] for label in LABELS]] * 2
    assert answers[2:4] == [[["x", 120, 32]]] * 2
    assert all("cannot open 'tester/lines-v1.5', split 'validation'" in answer for answer in answers[4:6])
    assert all("cannot open 'tester/none'" in answer for answer in answers[6:])
    assert any(status == 206 for _, _, status in hub.log), "a stream asks for a part of the file"

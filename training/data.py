"""Data: any labelled corpus, by name, as `datasets` has it."""

import csv
import io
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from simpleocr.image import InputError, load_image

IMAGE_COLUMNS = ("image", "file_name", "file", "path")
TEXT_COLUMNS = ("text", "label", "transcription", "ground_truth")
LABEL_FILES = ("metadata.csv", "metadata.jsonl", "labels.csv")
"""Of a folder of pictures, the first that there is; the last is what training.labels writes."""
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Names of a folder with a split, as `datasets` has them."""
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(?<!\.csv)(?<!\.jsonl)(?<!\.parquet)|[\w-]+")


class DataError(ValueError):
    """A corpus that cannot be trained on; says what is wrong with it."""


class NoSplitError(DataError):
    """A corpus that is there, and has no such split: nothing is wrong with it, another split may do."""


def open_corpus(name: str, split: str, *, streaming: bool = False) -> Any:
    """A labelled corpus by name, as `datasets` has it, pictures not decoded.

    Args:
        name: a folder of pictures with one of LABEL_FILES, a CSV of file and text, a parquet file or a folder of them,
            a folder that save_to_disk wrote, or a Hub id.
        split: "train", "validation", "test"; sources without splits are all "train". Of a folder of pictures, each is
            a folder with a label file of its own, by any of its SPLIT_FOLDERS.
        streaming: read rows as they come, without an index.

    Returns:
        A Dataset or IterableDataset with columns image ({"bytes", "path"}) and text, and maybe width and height. Names
        of files are relative to the folder of the table that has them.

    Raises:
        NoSplitError: no such split.
        DataError: nothing there, no column with pictures or texts, one of numbers where texts should be, or a label file
            that cannot be read.
    """
    from datasets import Features, Value, load_dataset, load_from_disk
    from datasets import Image as ImageFeature
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    if not name.strip():
        raise DataError("a corpus without a name")
    path = Path(name)
    try:
        if labels := _labels_of(path, split):
            return _from_labels(labels, streaming=streaming)
        if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
            dataset: Any = load_from_disk(name)
            if not isinstance(dataset, dict):
                _only_train(name, split)
            else:
                own = [key for key in SPLIT_FOLDERS.get(split, (split,)) if key in dataset]
                if not own:
                    raise NoSplitError(f"{name} has no split {split!r}: it has {' and '.join(dataset)}")
                dataset = dataset[own[0]]
            dataset = dataset.to_iterable_dataset() if streaming else dataset
        elif path.suffix == ".parquet" and path.is_file():
            _only_train(name, split)
            dataset = load_dataset("parquet", data_files={"train": name}, split="train", streaming=streaming)
        elif path.is_dir() or HUB_ID.fullmatch(name):
            dataset = load_dataset(name, split=split, streaming=streaming)
        else:
            dataset = None
    except DataError:
        raise
    except (KeyError, DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        raise _not_opened(name, split, error) from error
    if dataset is None:
        raise DataError(f"no such corpus: {name}")
    columns = dataset.column_names or list(next(iter(dataset)))
    image, text = _column(columns, IMAGE_COLUMNS, name), _column(columns, TEXT_COLUMNS, name)
    _require_texts(dataset, text, name)
    if _kind(dataset, image)[1]:  # names of files
        features = dataset.features
        if features is None:
            features = Features({image: Value("string"), text: Value("string")})
            dataset = dataset.select_columns(list(features))
        beside = partial(_beside, folder=_folder_of_tables(path, split), column=image)
        dataset = dataset.map(beside, features=features)
    dataset = dataset.cast_column(image, ImageFeature(decode=False))  # first: to rename, a stream would decode
    renamed = {a: b for a, b in ((image, "image"), (text, "text")) if a != b}
    return dataset.rename_columns(renamed) if renamed else dataset


def open_pages(name: str, split: str) -> Any:
    """A corpus of pages, as training.pages writes it or the Hub has it, pictures not decoded.

    Raises:
        NoSplitError: no such split.
        DataError: nothing there, or no columns image and lines.
    """
    from datasets import Image as ImageFeature
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    if not (Path(name).is_dir() or HUB_ID.fullmatch(name)):
        raise DataError(f"no such corpus: {name}")
    try:
        dataset = load_dataset(name, split=split)
    except (KeyError, DatasetsError, HfHubHTTPError, OSError, ValueError) as error:
        raise _not_opened(name, split, error) from error
    if missing := {"image", "lines"} - set(dataset.column_names):
        raise DataError(f"{name!r} is no corpus of pages: it lacks {' and '.join(sorted(missing))}")
    return dataset.cast_column("image", ImageFeature(decode=False))


def _not_opened(name: str, split: str, error: Exception) -> DataError:
    """What to say of an error of `datasets`; it has no class of its own for a split that is not there."""
    missing = str(error).startswith(("Unknown split ", "Bad split: "))  # the second of a stream
    return (NoSplitError if missing else DataError)(f"cannot open {name!r}, split {split!r}: {error}")


def _column(columns: Sequence[str], wanted: Sequence[str], name: str) -> str:
    for column in wanted:
        if column in columns:
            return column
    raise DataError(
        f"{name!r} has the columns {list(columns)}, none of {list(wanted)}"
        + "; python -m training.labels reads pictures without texts" * ("image" in columns and wanted == TEXT_COLUMNS)
    )


def _require_texts(dataset: Any, column: str, name: str) -> None:
    """Raise DataError if a column holds something else: of numbers, of classes, too, nobody knows what was written."""
    kind, texts = _kind(dataset, column)
    if not texts:
        raise DataError(f"the column {column!r} of {name} holds {kind}, not strings: what is written must be text")


def _kind(dataset: Any, column: str) -> tuple[str, bool]:
    """What a column holds, and whether these are strings."""
    from datasets import Value

    if dataset.features is None:  # a stream that does not know until it is read
        first = next(iter(dataset))[column]
        return type(first).__name__, first is None or isinstance(first, str)
    feature = dataset.features[column]
    kind = feature.dtype if isinstance(feature, Value) else type(feature).__name__
    return kind, isinstance(feature, Value) and kind in ("string", "large_string", "string_view", "null")


def _folder_of_tables(path: Path, split: str) -> Path:
    """The folder that the names of files in a table are relative to: the table's; the corpus's where tables lie apart."""
    from datasets import load_dataset_builder

    if not path.exists():  # of the Hub
        return Path()
    if path.is_file():
        return path.parent
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return path
    tables = load_dataset_builder(str(path)).config.data_files
    asked = [tables[split]] if split in tables else tables.values()  # "train[:10%]" is none of its keys
    folders = {Path(file).parent for files in asked for file in files}
    return folders.pop() if len(folders) == 1 else path


def _beside(row: dict[str, Any], folder: Path, column: str) -> dict[str, Any]:
    return row if row[column] is None else row | {column: str(folder / row[column])}


def label_file(path: Path) -> Path | None:
    """The CSV or JSON-lines file of a folder's labels, or `path` where it is one; None where there is none."""
    for candidate in (*(path / name for name in LABEL_FILES), path):
        if candidate.suffix in (".csv", ".jsonl") and candidate.is_file():
            return candidate
    return None


def _labels_of(path: Path, split: str) -> Path | None:
    """The label file of a split: of its own folder, for "train" else that of the corpus; None where `datasets` looks.

    Raises:
        NoSplitError: other splits have label files, this one has no folder.
    """
    folders = [path / name for name in SPLIT_FOLDERS.get(split, (split,))]
    if own := next(filter(None, map(label_file, folders)), None):
        return own
    if labels := label_file(path):
        _only_train(str(labels), split)
        return labels
    others = [path / name for names in SPLIT_FOLDERS.values() for name in names]
    if any(map(label_file, others)) and not any(folder.is_dir() for folder in folders):
        raise NoSplitError(f"{path} has no split {split!r}: no folder {' or '.join(folder.name for folder in folders)}")
    return None


def _only_train(name: str, split: str) -> None:
    if split != "train":
        raise NoSplitError(f"{name} has no split {split!r}: it is all one")


def _from_labels(labels: Path, *, streaming: bool) -> Any:
    """Rows of a CSV or JSON-lines file of file names and texts; read as text, for "007" and "NA" are labels."""
    from datasets import Dataset
    from datasets import Image as ImageFeature

    try:
        # all at once, for an error counts bytes from where the decoder began: of a piece, or after the byte order mark
        file = io.StringIO(labels.read_bytes().decode("utf-8").removeprefix("\ufeff"), newline="")
        rows = (
            _csv_rows(labels, file) if labels.suffix == ".csv" else [json.loads(line) for line in file if line.strip()]
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{labels} is not UTF-8: byte {error.start} is {error.object[error.start]:#x}") from error
    except json.JSONDecodeError as error:
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


def _csv_rows(labels: Path, file: io.StringIO) -> list[dict[str, Any]]:
    """The rows of a CSV file by column; None where a row has fewer fields than the header.

    Raises:
        DataError: a row has more fields, a quote is left open, or one that was swallowed other rows.
    """
    table, rows, line = csv.DictReader(file, strict=True), [], 0
    try:
        looked_at = [name for name in table.fieldnames or () if name in IMAGE_COLUMNS + TEXT_COLUMNS]
        line = table.line_num
        for row in table:
            line = table.line_num
            if None in row:
                fields = len(row) - 1 + len(row[None])
                raise DataError(
                    f"{labels}, line {line}, has {fields} fields, the header {len(row) - 1}:"
                    " a text with a comma needs quotes around it"
                )
            # a text is that of one line: with more, the quote at its beginning was closed by that of another row
            cells = [(row[name] or "").strip() for name in looked_at]
            if odd := [cell for cell in cells if "\n" in cell or "\r" in cell]:
                raise DataError(
                    f"{labels}, up to line {line}, has one text of several lines, {odd[0][:40]!r}: a quote is not closed"
                )
            rows.append(row)
    except csv.Error as error:
        raise DataError(
            f"{labels} cannot be read after line {line}: {error}; maybe a quote there is not closed"
        ) from error
    return rows


def picture(row: dict[str, Any]) -> Image.Image:
    """The decoded picture of a row.

    Raises:
        InputError: it is missing or damaged.
    """
    cell = row["image"]
    if cell is None:
        raise InputError("the row has no picture")
    return load_image(cell["bytes"] if cell["bytes"] is not None else cell["path"])

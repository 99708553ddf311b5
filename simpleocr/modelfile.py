"""One safetensors file with its header: strict, bounded read and atomic write.

The layout is plain safetensors: 8 bytes of length, a JSON table, the tensors. Its metadata has the one key "simpleocr"
(several would be written in random order), a JSON text with whatever the caller describes its tensors by, and

    format    the version of this layout
    sha256    of that JSON without this key, and of every tensor: see checksum()

Beside these two, "dtype" says nothing of the network either, but how its tensors are stored.
"""

import hashlib
import io
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

Array = npt.NDArray[Any]
JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

FORMAT = 2
METADATA_KEY = "simpleocr"
OWN_KEYS = ("format", "sha256", "dtype")
"""Keys of a model file's header that say nothing of the network."""
MAX_FILE_BYTES = 512 * 2**20
MAX_TABLE_BYTES = 2**20
MAX_TENSORS = 10_000
DTYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype(np.float16), "F32": np.dtype(np.float32)}
IMPOSTORS = {  # first bytes of what is most often found under the name of a model
    b"version https://git-lfs": "this is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`",
    b"PK\x03\x04": "this is a zip archive or a PyTorch pickle, which is never opened",
    b"\x80": "this is a pickle, which is never opened",
    b"<": "this is a web page, not a model",
}


class ModelError(ValueError):
    """A model that cannot be read, written or fetched; the message names it and the fault."""


def write_model(path: Path, header: Mapping[str, JSON], tensors: Mapping[str, Array]) -> None:
    """Writes one model file: all of it or nothing, and the same bytes for the same content.

    Args:
        path: the file, replaced if there is one; its folder must exist.
        header: JSON values; "format" and "sha256" are set here.
        tensors: finite, float16 or float32.

    Raises:
        ModelError: content that read_header() or read_tensors() would refuse, or a failing disk.
    """
    _refuse_non_finite(path, tensors)
    try:
        content = {**header, "format": FORMAT}
        content["sha256"] = checksum(content, tensors)
        # safetensors writes memory as it lies, whatever order an array has
        data = save({k: np.asarray(v, order="C") for k, v in tensors.items()}, metadata={METADATA_KEY: _dumps(content)})
    except (ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be stored: {error}") from error
    _read_table(path, io.BytesIO(data), len(data))  # what is written can be read
    write_atomically(path, data)


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces the file at `path`, or leaves it as it was; leaves nothing else behind.

    Raises:
        ModelError: names the file and what the disk said.
    """
    # opened by hand: a tempfile is 0600 whatever the umask, and nobody else could read the published model
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        if os.name == "posix":  # the new name, too, has to reach the disk
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_header(path: Path) -> dict[str, JSON]:
    """The header of a model file, with its "format" and "sha256"; what it says is proved only by read_tensors().

    Raises:
        ModelError: names the file and the fault.
    """
    with _opened(path) as (file, size):
        return _read_table(path, file, size)[0]


def architecture_of(header: Mapping[str, JSON]) -> JSON:
    """The name of the network that a header describes; None where it says none."""
    section = header.get("architecture")
    return section.get("name") if isinstance(section, dict) else None


def check_architecture(path: Path, header: Mapping[str, JSON], wanted: str) -> None:
    """Whether a model file is of the network that is to be loaded from it.

    Raises:
        ModelError: it is of another, or of none.
    """
    if (found := architecture_of(header)) != wanted:
        raise ModelError(f"{path}: holds the architecture {found!r}, where {wanted!r} is needed")


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The tensors of a model file as float32, after the whole file has been checked against its checksum.

    Args:
        path: the file.
        shapes: exactly the names and shapes that the file must have; compared before the tensors are read.

    Raises:
        ModelError: names the file and the fault.
    """
    with _opened(path) as (file, size):
        header, table = _read_table(path, file, size)
        if missing := sorted(shapes.keys() - table.keys()):
            raise ModelError(f"{path}: {len(missing)} tensors are missing: {missing[:5]}")
        if unknown := sorted(table.keys() - shapes.keys()):
            raise ModelError(f"{path}: {len(unknown)} tensors are unknown to this network: {unknown[:5]}")
        for name, shape in shapes.items():
            if table[name] != tuple(shape):
                raise ModelError(f"{path}: tensor {name!r} is {table[name]}, this network needs {tuple(shape)}")
        file.seek(0)
        try:
            tensors = load(file.read(size))
        except SafetensorError as error:
            raise ModelError(f"{path}: damaged: {error}") from error
    if checksum(header, tensors) != header["sha256"]:
        raise ModelError(f"{path}: damaged: its content does not match its checksum")
    _refuse_non_finite(path, tensors)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def checksum(header: Mapping[str, JSON], tensors: Mapping[str, Array]) -> str:
    """Hex SHA-256 over the header without its "sha256", then by name each tensor's name, dtype, shape and bytes."""
    digest = hashlib.sha256(_dumps({k: v for k, v in header.items() if k != "sha256"}).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(_dumps([name, f"torch.{tensor.dtype}", list(tensor.shape)]).encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The open file and its size in bytes."""
    if "\0" in str(path):
        raise ModelError(f"{str(path)!r}: not the name of a file")
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # asked before opening: a FIFO would block
            raise ModelError(f"{path}: is a {'folder' if stat.S_ISDIR(mode) else 'device or pipe'}, not a model file")
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_table(path: Path, file: BinaryIO, size: int) -> tuple[dict[str, JSON], dict[str, tuple[int, ...]]]:
    """The header, and the shapes of the tensors by name: all that can be said before the tensors are read."""
    if size > MAX_FILE_BYTES:
        raise ModelError(f"{path}: {size:,} bytes, more than the {MAX_FILE_BYTES:,} accepted")
    start = file.read(8)
    if len(start) < 8:
        raise ModelError(f"{path}: only {size} bytes: empty or cut short")
    length = int.from_bytes(start, "little")
    if length > MAX_TABLE_BYTES:
        start += file.read(16)
        what = next((text for magic, text in IMPOSTORS.items() if start.startswith(magic)), None)
        if what is None and length < size:
            what = f"a header of {length:,} bytes, more than the {MAX_TABLE_BYTES:,} accepted"
        raise ModelError(f"{path}: {what or 'not a model: this is no safetensors file'}")
    text = file.read(length)
    if len(text) < length:
        raise ModelError(f"{path}: cut short within its header")
    table = _object(path, text, "the header")
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_KEY), str):
        raise ModelError(f"{path}: no {METADATA_KEY!r} in its metadata: not a SimpleOCR model")
    if len(metadata) > 1:
        raise ModelError(f"{path}: unknown metadata {sorted(metadata.keys() - {METADATA_KEY})[:5]}")
    header = _object(path, metadata[METADATA_KEY], "the model header")
    if type(header.get("format")) is not int or header["format"] != FORMAT:
        raise ModelError(f"{path}: format {header.get('format')!r}, this version of simpleocr reads format {FORMAT}")
    if not re.fullmatch("[0-9a-f]{64}", str(header.get("sha256"))):
        raise ModelError(f"{path}: no checksum in the model header")
    return header, _shapes(path, table, size - 8 - length)


def _shapes(path: Path, table: dict[str, Any], size: int) -> dict[str, tuple[int, ...]]:
    """Shapes by name of the tensors of a table, proved to lie one behind the other and to fill `size` bytes."""
    if len(table) > MAX_TENSORS:
        raise ModelError(f"{path}: {len(table):,} tensors, more than the {MAX_TENSORS:,} accepted")
    shapes: dict[str, tuple[int, ...]] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in table.items():
        match entry:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]} if len(entry) == 3:
                if dtype not in DTYPES:
                    raise ModelError(f"{path}: tensor {name!r} is {dtype}, accepted are {list(DTYPES)}")
                if not all(type(side) is int and 0 <= side <= MAX_FILE_BYTES for side in shape) or (
                    end - start != math.prod(shape) * DTYPES[dtype].itemsize
                ):
                    raise ModelError(f"{path}: damaged: {end - start} bytes for tensor {name!r} of shape {shape}")
            case _:
                raise ModelError(f"{path}: damaged: tensor {name!r} is described by {str(entry)[:80]}")
        shapes[name] = tuple(shape)
        spans.append((start, end))
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise ModelError(f"{path}: damaged: tensors overlap or leave gaps")
        position = end
    if position != size:
        fault = f"cut short by {position - size:,}" if position > size else f"followed by {size - position:,} unknown"
        raise ModelError(f"{path}: damaged: {fault} bytes")
    return shapes


def _object(path: Path, text: str | bytes, what: str) -> dict[str, Any]:
    """The one JSON object of `text`: no key twice, no number that is not finite."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a key comes twice")
        return found

    try:
        value = json.loads(text.decode() if isinstance(text, bytes) else text, object_pairs_hook=unique)
        _dumps(value).encode()  # refuses NaN and infinity, lone surrogates
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: damaged: {what} is not JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: damaged: {what} is not a JSON object")
    return value


def _dumps(value: Any) -> str:
    """The one JSON text of a value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_non_finite(path: Path, tensors: Mapping[str, Array]) -> None:
    for name, tensor in tensors.items():
        if not bool(np.isfinite(tensor).all()):
            raise ModelError(f"{path}: tensor {name!r} has values that are not finite")

"""simpleocr.modelfile: what is written comes back, and nothing else is ever believed."""

import json
import os
import pickle
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from simpleocr import modelfile
from simpleocr.modelfile import Array, ModelError, checksum, read_header, read_tensors, write_model

HEADER: dict[str, Any] = {"vocabulary": 'aé€"\\ 한', "preprocessing": {"height": 32}, "calibration": {"t": 1.25}}
SHAPES = {"a.weight": (3, 5), "a.bias": (5,), "scale": (), "none": (0, 4)}


def tensors(dtype: str = "float32") -> dict[str, Array]:
    random = np.random.default_rng(1)
    return {name: np.asarray(random.standard_normal(shape)).astype(dtype) for name, shape in SHAPES.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good model file."""
    write_model(tmp_path / "model.safetensors", HEADER, tensors())
    return tmp_path / "model.safetensors"


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Table and tensor bytes of a safetensors file."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def join(table: Any, data: bytes) -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table, ensure_ascii=False).encode()
    return len(text).to_bytes(8, "little") + text + data


def signed(header: dict[str, Any], content: dict[str, Array]) -> bytes:
    """A file with a valid checksum around content that write_model() refuses."""
    text = json.dumps({**header, "sha256": checksum(header, content)})
    return save(content, metadata={"simpleocr": text})


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_written_comes_back_and_is_written_the_same(tmp_path: Path, dtype: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_model(first, HEADER, tensors(dtype))
    header, content = read_header(first), read_tensors(first, SHAPES)
    assert {k: header[k] for k in HEADER} == HEADER
    for name, expected in tensors(dtype).items():
        assert content[name].dtype == np.float32
        np.testing.assert_array_equal(content[name], expected)
    write_model(second, header, {name: tensor.astype(dtype) for name, tensor in reversed(content.items())})
    assert first.read_bytes() == second.read_bytes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(min_size=1), json_values, max_size=4))
def test_any_json_header_comes_back(tmp_path_factory: pytest.TempPathFactory, header: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    write_model(path, header, {})
    read = read_header(path)
    assert {k: v for k, v in read.items() if k not in ("format", "sha256")} == {
        k: v for k, v in header.items() if k not in ("format", "sha256")
    }
    assert read_tensors(path, {}) == {}


def test_the_file_may_be_read_by_others_as_far_as_the_umask_goes(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_model(tmp_path / "m", HEADER, tensors())
    finally:
        os.umask(before)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o644


def change_table(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def damage(good: bytes) -> bytes:
        table, data = split(good)
        change(table)
        return join(table, data)

    return damage


def change_header(**changes: object) -> Callable[[bytes], bytes]:
    def change(table: dict[str, Any]) -> None:
        header = {**json.loads(table["__metadata__"]["simpleocr"]), **changes}
        table["__metadata__"]["simpleocr"] = json.dumps({k: v for k, v in header.items() if v is not None})

    return change_table(change)


def with_metadata(text: str) -> Callable[[bytes], bytes]:
    return change_table(lambda table: table.update(__metadata__={"simpleocr": text}))


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
NAN = {**tensors(), "a.bias": np.array([0, 1, np.nan, 3, 4], dtype=np.float32)}
INF = {**tensors(), "scale": np.array(-np.inf, dtype=np.float32)}
INTEGER = {**tensors(), "a.bias": np.arange(5)}
DOUBLE = {**tensors(), "a.bias": np.zeros(5)}
RENAMED = {("b.bias" if name == "a.bias" else name): tensor for name, tensor in tensors().items()}
TRANSPOSED = {**tensors(), "a.weight": np.zeros((5, 3), dtype=np.float32)}

DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "zero bytes": (lambda good: b"", "only 0 bytes"),
    "seven bytes": (lambda good: good[:7], "only 7 bytes"),
    "only a length": (lambda good: good[:8], "cut short within its header"),
    "half the header": (lambda good: good[:100], "cut short within its header"),
    "99 percent": (lambda good: good[: len(good) * 99 // 100], "cut short by"),
    "trailing bytes": (lambda good: good + b"\0", "followed by 1 unknown bytes"),
    "header of 2^63": (
        lambda good: (2**63).to_bytes(8, "little") + good[8:],
        "not a model: this is no safetensors file",
    ),
    "header of 200 MB": (lambda good: (200 * 2**20).to_bytes(8, "little") + good[8:], "not a model"),
    "header of nothing": (lambda good: bytes(8) + good[8:], "the header is not JSON"),
    "Git LFS pointer": (lambda good: LFS_POINTER, "Git LFS pointer, not the file itself"),
    "web page": (lambda good: b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "text": (lambda good: b"# A readme\n", "not a model: this is no safetensors file"),
    "random bytes": (lambda good: random.Random(1).randbytes(5000), "not a model"),
    "not JSON": (lambda good: join(b"{oops", b""), "the header is not JSON"),
    "not UTF-8": (lambda good: join(b'{"\xff": 1}', b""), "the header is not JSON"),
    "a JSON list": (lambda good: join([], b""), "the header is not a JSON object"),
    "deep JSON": (lambda good: join(b"[" * 500_000, b""), "the header is not JSON"),
    "duplicate tensor": (lambda good: join(b'{"a":{},"a":{}}', b""), "a key comes twice"),
    "duplicate header key": (with_metadata('{"format":2,"format":2}'), "a key comes twice"),
    "NaN in the header": (with_metadata('{"format":2,"x":NaN}'), "the model header is not JSON"),
    "1e999 in the header": (with_metadata('{"format":2,"x":1e999}'), "the model header is not JSON"),
    "huge integer in the header": (with_metadata('{"format":' + "9" * 5000 + "}"), "the model header is not JSON"),
    "surrogate in the header": (with_metadata('{"format":2,"x":"\\ud800"}'), "the model header is not JSON"),
    "header not JSON": (with_metadata("format 2"), "the model header is not JSON"),
    "header a list": (with_metadata("[1]"), "the model header is not a JSON object"),
    "no metadata": (change_table(lambda t: t.pop("__metadata__")), "not a SimpleOCR model"),
    "foreign metadata": (change_table(lambda t: t.update(__metadata__={"format": "pt"})), "not a SimpleOCR model"),
    "metadata a list": (change_table(lambda t: t.update(__metadata__=[])), "not a SimpleOCR model"),
    "more metadata": (change_table(lambda t: t["__metadata__"].update(x="y")), "unknown metadata ['x']"),
    "no format": (change_header(format=None), "format None"),
    "earlier format": (change_header(format=1), "format 1, this version of simpleocr reads format 2"),
    "later format": (change_header(format=3), "format 3, this version of simpleocr reads format 2"),
    "format true": (change_header(format=True), "format True"),
    "no checksum": (change_header(sha256=None), "no checksum"),
    "another vocabulary": (change_header(vocabulary="abc"), "does not match its checksum"),
    "another height": (change_header(preprocessing={"height": 33}), "does not match its checksum"),
    "tensor of no dtype": (change_table(lambda t: t["scale"].pop("dtype")), "tensor 'scale' is described by"),
    "tensor a list": (change_table(lambda t: t.update(scale=[])), "tensor 'scale' is described by"),
    "tensor with more keys": (change_table(lambda t: t["scale"].update(x=1)), "tensor 'scale' is described by"),
    "unknown dtype": (change_table(lambda t: t["scale"].update(dtype="Q9")), "tensor 'scale' is Q9"),
    "negative side": (change_table(lambda t: t["a.weight"].update(shape=[-3, -5])), "60 bytes for tensor 'a.weight'"),
    "float side": (change_table(lambda t: t["a.bias"].update(shape=[5.0])), "20 bytes for tensor 'a.bias'"),
    "petabytes": (change_table(lambda t: t["a.bias"].update(shape=[2**50])), "20 bytes for tensor 'a.bias'"),
    "overlap": (change_table(lambda t: t["a.weight"].update(data_offsets=[0, 60])), "overlap or leave gaps"),
    "exabytes": (
        change_table(lambda t: t["a.bias"].update(shape=[2**29, 2**29], data_offsets=[0, 2**60])),
        "overlap or leave gaps",
    ),
    "10,001 tensors": (
        lambda good: signed({"format": 2}, {str(i): np.zeros(0, dtype=np.float32) for i in range(10_001)}),
        "10,001 tensors, more than the 10,000 accepted",
    ),
    "NaN": (lambda good: signed({"format": 2}, NAN), "tensor 'a.bias' has values that are not finite"),
    "infinity": (lambda good: signed({"format": 2}, INF), "tensor 'scale' has values that are not finite"),
    "integers": (lambda good: signed({"format": 2}, INTEGER), "tensor 'a.bias' is I64, accepted are"),
    "doubles": (lambda good: signed({"format": 2}, DOUBLE), "tensor 'a.bias' is F64, accepted are"),
    "missing": (lambda good: signed({"format": 2}, {"scale": INF["scale"]}), "3 tensors are missing: ['a.bias',"),
    "renamed": (lambda good: signed({"format": 2}, RENAMED), "1 tensors are missing: ['a.bias']"),
    "more": (lambda good: signed({"format": 2}, tensors() | RENAMED), "1 tensors are unknown to this network: ['b."),
    "transposed": (
        lambda good: signed({"format": 2}, TRANSPOSED),
        "tensor 'a.weight' is (5, 3), this network needs (3, 5)",
    ),
}


def load_both(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    return read_header(path), read_tensors(path, SHAPES)


def refusal(path: Path) -> str:
    """The message of the one error that loading `path` raises, soon, and beginning with the path."""
    start = time.process_time()
    with pytest.raises(ModelError) as caught:
        load_both(path)
    assert time.process_time() - start < 1
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    return message


@pytest.mark.parametrize(("damage", "fault"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(path: Path, damage: Callable[[bytes], bytes], fault: str) -> None:
    path.write_bytes(damage(path.read_bytes()))
    assert fault in refusal(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "missing")
    assert "is a folder" in refusal(tmp_path)
    assert "pipe" in refusal(Path("/dev/zero"))
    os.mkfifo(tmp_path / "fifo")
    assert "pipe" in refusal(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert "no such file" in refusal(tmp_path / "dangling")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read" in refusal(tmp_path / "loop")
    assert "not a model" in refusal(Path("/etc/passwd"))
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))
    with pytest.raises(ModelError, match="not the name of a file"):
        read_header(Path("a\0b"))
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 2**40)
    assert "1,099,511,627,776 bytes, more than" in refusal(tmp_path / "huge")

    def denied(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied")  # tests may run as root, whom no mode keeps out

    monkeypatch.setattr(Path, "open", denied)
    assert "cannot be read: Permission denied" in refusal(path)


def test_a_flipped_byte_never_loads_as_something_else(path: Path) -> None:
    good, (header, content) = path.read_bytes(), load_both(path)
    chance = random.Random(7)
    refused = 0
    for _ in range(300):
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        try:
            read_header_, read_content = load_both(path)
        except ModelError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - a flip may also hit white space and be harmless
        else:
            assert read_header_ == header
            assert all(np.array_equal(read_content[name], content[name]) for name in SHAPES)
    assert refused > 285


def test_the_shapes_are_compared_before_tensors_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfile, "load", lambda data: pytest.fail("read"))
    with pytest.raises(ModelError, match="this network needs"):
        read_tensors(path, {**SHAPES, "scale": (1,)})


@pytest.mark.parametrize(
    ("header", "content", "fault"),
    [
        ({}, NAN, "tensor 'a.bias' has values that are not finite"),
        ({}, {"x": np.array(np.inf, dtype=np.float16)}, "tensor 'x' has values that are not finite"),
        ({}, INTEGER, "tensor 'a.bias' is I64"),
        ({}, {"x": np.zeros((4, 2), dtype=np.int32)}, "is I32, accepted are"),
        ({}, {str(i): np.zeros(0, dtype=np.float32) for i in range(10_001)}, "10,001 tensors"),
        ({"x": float("nan")}, {}, "cannot be stored"),
        ({"x": "\ud800"}, {}, "cannot be stored"),
        ({"x": {1, 2}}, {}, "cannot be stored"),
        ({"x": "y" * 2**20}, {}, "a header of 1,048"),
    ],
)
def test_what_could_not_be_read_is_not_written(path: Path, header: Any, content: Any, fault: str) -> None:
    before = path.read_bytes()
    with pytest.raises(ModelError) as caught:
        write_model(path, header, content)
    assert str(caught.value).startswith(f"{path}: ")
    assert fault in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_all_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(failing, fail)
    with pytest.raises((ModelError, KeyboardInterrupt)) as caught:
        write_model(path, {"new": 1}, tensors())
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere/m: cannot be written: No such file"):
        write_model(tmp_path / "nowhere" / "m", HEADER, tensors())
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=r"folder: cannot be written"):
        write_model(tmp_path / "folder", HEADER, tensors())
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


IN_A_PROCESS_OF_ITS_OWN = """
import resource, sys
from pathlib import Path
import numpy as np
from simpleocr.modelfile import ModelError, read_header, read_tensors, write_model

opened = []
def watch(event, arguments):
    if event.startswith("pickle") or event in ("marshal.loads", "os.system", "exec"):
        opened.append((event, arguments))
sys.addaudithook(watch)
for name in sys.argv[2:]:
    for read in (read_header, lambda path: read_tensors(path, {})):
        try:
            read(Path(name))
        except ModelError as error:
            print(error)
assert not opened, opened

resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))  # the disk is full
try:
    write_model(Path(sys.argv[1]), {}, {"x": np.zeros(10_000, dtype=np.float32)})
except ModelError as error:
    print(error)
"""


def test_no_pickle_is_opened_and_a_full_disk_keeps_the_old_file(tmp_path: Path, path: Path) -> None:
    trap = tmp_path / "trap"
    model = {"weight": torch.zeros(2)}
    torch.save(model, tmp_path / "zip")
    torch.save(model, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    (tmp_path / "raw").write_bytes(pickle.dumps(Trap(trap)))
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Trap(trap)))
    names = ["zip", "legacy", "raw", "archive"]
    before, files = path.read_bytes(), set(tmp_path.iterdir())
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, *map(str, [path, *(tmp_path / name for name in names)])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(names) + 1
    assert all("pickle, which is never opened" in line for line in lines[:-1])
    assert lines[-1] == f"{path}: cannot be written: File too large"
    assert path.read_bytes() == before
    assert set(tmp_path.iterdir()) == files
    assert not trap.exists()


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_an_array_in_another_order_is_stored_in_its_own(tmp_path: Path) -> None:
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_model(tmp_path / "m", {}, {"x": turned})
    np.testing.assert_array_equal(read_tensors(tmp_path / "m", {"x": (3, 2)})["x"], turned)

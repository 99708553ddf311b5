"""simpleocr.pretrained and simpleocr.hub: models saved, loaded, pushed to a Hub and fetched from it.

The Hub is tests/fakehub.py; the client is a process of its own, because huggingface_hub reads its environment when it
is imported, and there it is the real one.
"""

import io
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from huggingface_hub import ModelHubMixin
from torch import nn

import simpleocr
from simpleocr import CRNN, OCR, models
from simpleocr import hub as hub_module
from simpleocr.modelfile import ModelError, read_header, read_tensors, write_model
from simpleocr.pretrained import PretrainedModel
from tests.fakehub import TOKEN, FakeHub

MODEL = "model.safetensors"


class Tiny(nn.Module, PretrainedModel, tags=["ctc"]):
    """A network with all that is easy to lose: BatchNorm, LSTM, buffers that the file holds and that it does not."""

    architecture = "tiny"

    def __init__(self, hidden: int = 4, scale: float = 2.0) -> None:
        super().__init__()
        self.hidden, self.scale = hidden, scale
        self.convolution = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.lstm = nn.LSTM(3, hidden, bidirectional=True, batch_first=True)
        self.register_buffer("scales", torch.arange(1.0, 2 * hidden + 1) * scale, persistent=False)
        self.register_buffer("order", torch.arange(2 * hidden).flip(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.convolution(x)).mean(2).transpose(1, 2)  # (B, W, 3)
        x = self.lstm(x)[0][..., self.get_buffer("order")]
        return x * self.get_buffer("scales")

    def to_header(self) -> dict[str, Any]:
        architecture = {"name": "tiny", "hidden": self.hidden}
        return {"architecture": architecture, "preprocessing": {"scale": self.scale}, "vocabulary": "ab€"}

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        if unknown := header.keys() - {"architecture", "preprocessing", "vocabulary"}:
            raise ValueError(f"unknown keys {sorted(unknown)}")
        if not 1 <= (hidden := header["architecture"]["hidden"]) <= 2**40:
            raise ValueError(f"hidden is {hidden}, accepted is 1 and up")
        return cls(hidden, header["preprocessing"]["scale"])


class Other(Tiny):
    architecture = "other"


def trained(seed: int = 1) -> Tiny:
    """A network with weights and running statistics that no constructor makes."""
    generator = torch.Generator().manual_seed(seed)
    model = Tiny(5, 3.0)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator))
    return model.eval()


def outputs(model: Tiny) -> list[float]:
    image = torch.linspace(0, 1, 64).reshape(1, 1, 4, 16)
    with torch.inference_mode():
        result = model(image).flatten().tolist()
    return [float(value) for value in result]


def load_error(name: str | Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        Tiny.from_pretrained(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# on this machine


def test_a_saved_model_loads_as_it_was(tmp_path: Path) -> None:
    model = trained().train()
    random_state = torch.random.get_rng_state()
    with redirect_stdout(io.StringIO()) as printed:
        model.save_pretrained(tmp_path / "new" / "folder")
        loaded = Tiny.from_pretrained(tmp_path / "new" / "folder")
    assert printed.getvalue() == ""
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert model.training
    assert not loaded.training
    assert isinstance(loaded, ModelHubMixin)
    assert outputs(loaded) == outputs(model.eval())
    for name, tensor in [*loaded.named_parameters(), *loaded.named_buffers()]:
        assert tensor.device.type == "cpu", name
        assert tensor.dtype == (torch.int64 if name in ("order", "norm.num_batches_tracked") else torch.float32)
        assert tensor.requires_grad == isinstance(tensor, nn.Parameter)
    assert torch.equal(loaded.get_buffer("scales"), model.get_buffer("scales"))
    assert int(loaded.get_buffer("norm.num_batches_tracked")) == 0
    loaded.train()
    loaded(torch.rand(2, 1, 4, 8)).sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_save_load_save_gives_the_same_bytes(tmp_path: Path, dtype: torch.dtype) -> None:
    trained().save_pretrained(tmp_path / "first", dtype=dtype)
    loaded = Tiny.from_pretrained(tmp_path / "first")
    assert loaded.storage_dtype == dtype
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    loaded.save_pretrained(tmp_path / "second")
    for name in (MODEL, "config.json", "README.md"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        assert (tmp_path / "first" / name).stat().st_mode & 0o444 == 0o444


def test_float16_halves_the_file_and_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    model = Tiny(64)
    model.save_pretrained(tmp_path / "16", dtype=torch.float16)
    model.save_pretrained(tmp_path / "32")
    sizes = [(tmp_path / name / MODEL).stat().st_size for name in ("16", "32")]
    assert sizes[0] < 0.6 * sizes[1]
    with torch.no_grad():
        model.convolution.bias[1] = 1e6  # type: ignore[index]
    with pytest.raises(ModelError, match=r"'convolution.bias' has values that are not finite"):
        model.save_pretrained(tmp_path / "16", dtype=torch.float16)
    with pytest.raises(ModelError, match=r"cannot be stored as torch.float64, accepted are \['float16', 'float32'\]"):
        model.save_pretrained(tmp_path / "64", dtype=torch.float64)
    assert outputs(Tiny.from_pretrained(tmp_path / "16"))
    assert not (tmp_path / "64").exists()


def test_config_and_card_describe_and_are_never_read(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config == {"format": 2, "dtype": "float32", **trained().to_header()}
    assert "€" in (tmp_path / "config.json").read_text(encoding="utf-8")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith(
        "---\nlibrary_name: simpleocr\npipeline_tag: image-to-text\ntags: [ctc, model_hub_mixin, ocr, tiny]\n---\n"
    )
    assert f"- parameters: {sum(p.numel() for p in trained().parameters())}\n- vocabulary: 3 characters" in card
    code = card.partition("```python\n")[2].partition("```")[0].replace("path/to/this/folder", str(tmp_path))
    variables: dict[str, Any] = {}
    exec(code, variables)
    assert outputs(variables["model"]) == outputs(trained())

    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "config.json").write_text("{oops")
    Tiny.from_pretrained(tmp_path).save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    trained().save_pretrained(tmp_path, card="yours")
    assert (tmp_path / "README.md").read_text() == "yours"
    for name in ("README.md", "config.json"):
        (tmp_path / name).unlink()
    assert outputs(Tiny.from_pretrained(str(tmp_path / MODEL))) == outputs(trained())


def test_every_way_to_name_a_model_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*args: object, **options: object) -> None:
        pytest.fail("a local name went to the Hub")

    monkeypatch.setattr(hub_module, "fetch", asked)
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "weights")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(["weights/english", "here", "sub/here", "english"]):
        trained(seed).save_pretrained(tmp_path / name)
    names: dict[str | Path, int] = {"english": 0, Path("english"): 3, "./english": 3, "here": 1, "sub/here": 2}
    names |= {"../" + tmp_path.name + "/here": 1, "~/here": 1, "here/model.safetensors": 1, str(tmp_path / "here"): 1}
    for known, seed in names.items():
        assert outputs(Tiny.from_pretrained(known)) == outputs(trained(seed)), known

    assert load_error("klingon").startswith("'klingon': no such model or folder; the models that come with")
    assert load_error("klingon").endswith("are ['english']")
    for missing in ["./nowhere", str(tmp_path / "nowhere"), "~/nowhere", "nowhere.safetensors", "..\\x", "C:\\x"]:
        assert load_error(missing).endswith(": no such file"), missing
    assert load_error("~nobody-here/x") == "~nobody-here/x: no such file"
    assert load_error("") == "'': no such model or folder; the models that come with simpleocr are ['english']"
    for nonsense in ["a\0b", "x" * 1000]:
        assert "no such model or folder" in load_error(nonsense)
    assert "cannot be read" in load_error("./" + "x" * 1000)
    (tmp_path / "pickles").mkdir()
    torch.save({}, tmp_path / "pickles" / "pytorch_model.bin")
    assert load_error("pickles") == "pickles/model.safetensors: no such file"
    assert "never opened" in load_error("pickles/pytorch_model.bin")


def test_headers_that_do_not_describe_the_network(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    path = tmp_path / MODEL
    good = read_header(path)
    shapes = {k: tuple(v.shape) for k, v in Tiny(5).state_dict().items() if v.is_floating_point()}
    content = read_tensors(path, shapes)

    def error(**changes: Any) -> str:
        write_model(path, {**good, **changes}, content)
        return load_error(path)

    with pytest.raises(ModelError, match=r"holds the architecture 'tiny', where 'other' is needed"):
        Other.from_pretrained(path)
    assert "holds the architecture None, where 'tiny' is needed" in error(architecture=None)
    assert "does not describe a Tiny: unknown keys ['more']" in error(more=1)
    assert "hidden is 0, accepted is 1 and up" in error(architecture={"name": "tiny", "hidden": 0})
    assert "does not describe a Tiny: '<='" in error(architecture={"name": "tiny", "hidden": "5"})
    assert "does not describe a Tiny" in error(architecture={"name": "tiny"})
    assert "this network needs (400000, 3)" in error(architecture={"name": "tiny", "hidden": 100_000})
    assert "does not describe a Tiny" in error(architecture={"name": "tiny", "hidden": 2**40})
    assert "dtype 'float8', accepted are ['float16', 'float32']" in error(dtype="float8")
    write_model(path, good, {k: v for k, v in content.items() if k != "norm.running_var"})
    assert load_error(path) == f"{path}: 1 tensors are missing: ['norm.running_var']"


# through the Hub


class Client:
    """Calls functions in one process that was started with the environment of one Hub."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("HF_")]:
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            self.pool.submit(os.getpid)  # starts the process, with this environment

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.pool.submit(function, *args, **options).result(timeout=60)

    def error(self, function: Callable[..., Any], *args: Any, **options: Any) -> str:
        """The one line of the ModelError that the call ends in."""
        with pytest.raises(ModelError) as caught:
            self.call(function, *args, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)


def push(repo_id: str, seed: int, **options: Any) -> str:
    """Run by the client: pushes the network of a seed, prints nothing, and returns the address of the commit."""
    with redirect_stdout(io.StringIO()) as printed:
        url = trained(seed).push_to_hub(repo_id, **options)
    assert printed.getvalue() == ""
    return url


def pull(repo_id: str, **options: Any) -> list[float]:
    """Run by the client: what the network of a repository answers."""
    with redirect_stdout(io.StringIO()) as printed:
        model = Tiny.from_pretrained(repo_id, **options)
    assert printed.getvalue() == ""
    return outputs(model)


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's cache."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(hub: FakeHub, home: Path) -> Iterator[Client]:
    with running(hub.environment(home)) as started:
        yield started


@contextmanager
def running(environment: Mapping[str, str]) -> Iterator[Client]:
    client = Client(environment)
    try:
        yield client
    finally:
        client.pool.shutdown()


@pytest.mark.slow
def test_push_and_pull(hub: FakeHub, client: Client) -> None:
    url = client.call(push, "tester/ocr", 1)
    assert url.startswith(f"{hub.endpoint}/tester/ocr/commit/")
    assert client.call(pull, "tester/ocr") == outputs(trained(1))
    files = hub.files("tester/ocr")
    assert files.keys() == {".gitattributes", MODEL, "config.json", "README.md"}
    assert b'Tiny.from_pretrained("tester/ocr")' in files["README.md"]

    # the same again: no commit; the name without its user is the same repository
    commits = len(hub.repos["models/tester/ocr"].commits)
    assert client.call(push, "ocr", 1).endswith(hub.repos["models/tester/ocr"].refs["main"])
    assert len(hub.repos["models/tester/ocr"].commits) == commits
    assert hub.files("tester/ocr") == files

    # another: overwrites, and is fetched although the first one is in the cache
    client.call(push, "tester/ocr", 2, card="---\nlicense: mit\n---\nmine", commit_message="better")
    assert client.call(pull, "tester/ocr") == outputs(trained(2))
    assert hub.files("tester/ocr")["README.md"].endswith(b"mine")
    assert client.call(pull, "tester/ocr", revision=url.rpartition("/")[2]) == outputs(trained(1))


def push_shipped(repo_id: str) -> None:
    """Run by the client: pushes the recognizer that comes with the package."""
    CRNN.from_pretrained("english").push_to_hub(repo_id)


def read_with(repo_id: str, picture: str) -> tuple[str, float]:
    """Run by the client: what the model of a repository reads in a picture, and how surely its first line."""
    page = OCR.from_pretrained(repo_id)(picture)
    return page.text, page.lines[0].confidence


def test_a_recognizer_that_was_pushed_reads(hub: FakeHub, client: Client) -> None:
    picture = str(Path(simpleocr.__file__).parent / "examples" / "photo.jpg")
    client.call(push_shipped, "tester/english")
    assert client.call(read_with, "tester/english", picture) == client.call(read_with, "english", picture)


def test_branches_and_pull_requests(hub: FakeHub, client: Client) -> None:
    client.call(push, "tester/branches", 1)
    for seed in (2, 3):  # the branch is made, then is there
        client.call(push, "tester/branches", seed, revision="feature/small")
    client.call(push, "tester/branches", 4, create_pr=True)
    assert client.call(pull, "tester/branches") == outputs(trained(1))
    assert client.call(pull, "tester/branches", revision="feature/small") == outputs(trained(3))
    assert client.call(pull, "tester/branches", revision="refs/pr/1") == outputs(trained(4))
    assert hub.repos["models/tester/branches"].refs.keys() == {"main", "feature/small", "refs/pr/1"}


def test_private_repositories_and_tokens(hub: FakeHub, client: Client, tmp_path: Path) -> None:
    client.call(push, "tester/secret", 1, private=True)
    assert hub.repos["models/tester/secret"].private
    assert client.call(pull, "tester/secret", token=TOKEN) == outputs(trained(1))
    closed = "no such repository on the Hub, or a private one that the token does not open"
    assert closed in client.error(pull, "tester/secret", token=False, cache_dir=tmp_path)
    assert closed in client.error(pull, "tester/secret", token="hf_wrong", cache_dir=tmp_path)
    assert client.error(push, "tester/ocr", 1, token="hf_wrong") == "'tester/ocr': the Hub refuses the token (401)"


def test_what_a_repository_lacks(hub: FakeHub, client: Client) -> None:
    client.call(push, "tester/lacking", 1)
    repo = hub.repos["models/tester/lacking"]
    repo.commit("pickles", {"pytorch_model.bin": next(iter(repo.commits.values()))[".gitattributes"]})
    assert "'tester/nothing': no such folder, and no such repository" in client.error(pull, "tester/nothing")
    assert client.error(pull, "tester/lacking", revision="v9") == (
        "'tester/lacking': the repository has no revision 'v9'"
    )
    assert client.error(pull, "tester/lacking", revision="pickles") == (
        "'tester/lacking': the repository has no model.safetensors, and nothing else is ever loaded"
    )
    assert not [path for _, path, _ in hub.log if "pytorch_model" in path]
    for nonsense in ["a/b/c", "user/na me", "user/", "user/x--y", "user/" + "x" * 200, "http://host/x"]:
        assert "neither a file or folder that exists nor the id" in client.error(pull, nonsense), nonsense
    assert "neither a file or folder" in client.error(push, "user/na me", 1)
    broken = client.error(push_broken, "tester/broken")
    assert "values that are not finite" in broken
    assert "models/tester/broken" not in hub.repos


def push_broken(repo_id: str) -> None:
    model = trained()
    nn.init.constant_(model.norm.weight, torch.nan)
    model.push_to_hub(repo_id)


def test_damaged_downloads_are_refused_until_fetched_again(hub: FakeHub, client: Client) -> None:
    client.call(push, "tester/damaged", 1)
    good = hub.files("tester/damaged")[MODEL]
    try:
        hub.corrupt = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        for _ in range(2):  # the damaged copy stays in the cache
            error = client.error(pull, "tester/damaged")
            assert "damaged: its content does not match its checksum" in error
            assert error.endswith("(from 'tester/damaged' on the Hub; force_download=True fetches it again)")
        hub.corrupt = lambda data: b"<html>busy</html>".ljust(len(good))
        assert "web page" in client.error(pull, "tester/damaged", force_download=True)
        hub.corrupt = lambda data: data[:-10]
        assert "Consistency check failed" in client.error(pull, "tester/damaged", force_download=True)
    finally:
        hub.corrupt = bytes
    assert client.call(pull, "tester/damaged", force_download=True) == outputs(trained(1))


def test_a_hub_that_stumbles(hub: FakeHub, client: Client, tmp_path: Path) -> None:
    hub.flaky = {"PUT /_lfs/": [503], "HEAD /tester/flaky/resolve": [500]}
    client.call(push, "tester/flaky", 9)  # weights that no other test has uploaded
    assert client.call(pull, "tester/flaky") == outputs(trained(9))
    assert not any(hub.flaky.values())
    hub.flaky = {"POST /api/repos/create": [500], "GET /_lfs/": [500]}
    assert client.error(push, "tester/flaky", 1).startswith("'tester/flaky': the Hub answered 500")
    assert client.error(pull, "tester/flaky", cache_dir=tmp_path).startswith("'tester/flaky': the Hub answered 500")
    assert not any(hub.flaky.values())


def test_too_large_a_file_is_not_downloaded(hub: FakeHub, client: Client) -> None:
    client.call(push, "tester/large", 1)
    assert "bytes, more than the 100 accepted" in client.error(pull_under_a_limit, "tester/large")
    assert not [path for method, path, _ in hub.log if method == "GET" and "tester/large/resolve" in path]


def pull_under_a_limit(repo_id: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub_module, "MAX_FILE_BYTES", 100)
        pull(repo_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"HF_HUB_OFFLINE": "1"}, id="offline"),
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, id="no network"),
    ],
)
def test_without_a_hub(hub: FakeHub, client: Client, home: Path, environment: dict[str, str]) -> None:
    client.call(push, "tester/cached", 1)
    client.call(pull, "tester/cached")
    requests = len(hub.log)
    unreachable = "not in the cache, and the Hub cannot be reached or must not be asked"
    with running({**hub.environment(home), **environment}) as offline:
        assert offline.call(pull, "tester/cached") == outputs(trained(1))
        start = time.perf_counter()
        assert offline.error(pull, "tester/uncached") == f"'tester/uncached': {unreachable}"
        assert "'tester/cached': " in offline.error(pull, "tester/cached", force_download=True)
        assert "'tester/cached': the Hub " in offline.error(push, "tester/cached", 1)
        assert time.perf_counter() - start < 5
    assert client.call(pull, "tester/cached", local_files_only=True) == outputs(trained(1))
    assert unreachable in client.error(pull, "tester/uncached", local_files_only=True)
    assert len(hub.log) == requests

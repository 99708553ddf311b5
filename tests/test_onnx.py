"""onnx_graph, onnx_runtime, export: the same reading from the same file, with torch or without."""

import copy
import json
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from simpleocr import OCR, CRNNConfig, LineNetConfig, ModelError, cli, onnx_graph
from simpleocr.config import BACKBONES, SIZES
from simpleocr.crnn import CRNN
from simpleocr.export import export_onnx, export_torchscript
from simpleocr.inference import for_inference
from simpleocr.linenet import LineNet
from simpleocr.modelfile import read_header, read_tensors, write_model
from simpleocr.models import locate
from simpleocr.onnx_graph import activations, crnn_graph, linenet_graph
from simpleocr.onnx_runtime import OnnxCRNN, OnnxLineNet, measured_ranges, session
from simpleocr.preprocessing import Lines, Preprocessing
from simpleocr.reader import DEFAULT_MODEL
from simpleocr.runtimes import RUNTIMES
from simpleocr.shapes import crnn_shapes, linenet_shapes
from simpleocr.vocabulary import VOCABULARIES
from tests.test_inference import trained
from training import ranges, runtimes
from training.data import DataError
from training.language import count_ngrams, estimate
from training.ranges import with_ranges

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "simpleocr/examples/screenshot.png"
WIDTHS = [8, 9, 15, 16, 17, 63, 64, 65, 200, 511, 1000, 2048, 4095, 4096]


def line(width: int, height: int = 32) -> Lines:
    return np.random.default_rng(width).standard_normal((1, height, width), dtype=np.float32)


def stored(tmp_path: Path, network: CRNN | LineNet) -> Path:
    network.save_pretrained(tmp_path / "stored", dtype=torch.float32)
    return tmp_path / "stored" / "model.safetensors"


def any_line_net(size: str) -> LineNet:
    torch.manual_seed(1)
    network = LineNet(LineNetConfig(size))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            assert module.running_mean is not None
            module.running_mean.uniform_(-0.3, 0.3)
    return network.eval()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_names_and_shapes_are_those_of_the_network(backbone: str) -> None:
    network = CRNN(CRNNConfig(VOCABULARIES["english"], backbone))
    network.set_language(estimate(count_ngrams([[1, 2], [1, 3]], 2), 10))
    found = {k: tuple(v.shape) for k, v in network.state_dict().items() if v.is_floating_point()}
    assert crnn_shapes(network.config) == found


@pytest.mark.parametrize("size", SIZES)
def test_names_and_shapes_are_those_of_the_line_net(size: str) -> None:
    network = LineNet(LineNetConfig(size))
    found = {k: tuple(v.shape) for k, v in network.state_dict().items() if v.is_floating_point()}
    assert linenet_shapes(network.config) == found


@pytest.mark.parametrize("backbone", ["tiny", "small", pytest.param("base", marks=pytest.mark.slow)])
def test_every_width_reads_as_with_torch(backbone: str, tmp_path: Path) -> None:
    network = trained(backbone)
    other = OnnxCRNN.load(stored(tmp_path, network))
    for width in WIDTHS if backbone == "tiny" else (8, 97, 640):
        (expected,), (found,) = network.log_probs([line(width)]), other.log_probs([line(width)])
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-4, width


@pytest.mark.slow
@pytest.mark.usefixtures("exact")
def test_every_width_from_8_to_4096_reads_as_with_torch() -> None:
    # prepared as OCR does it, for that leaves out what float16 added to convolutions of low rank, too
    network, other = for_inference(CRNN.from_pretrained(DEFAULT_MODEL)), OnnxCRNN.load(locate(DEFAULT_MODEL))
    for width in [*range(8, 200), *range(200, 4097, 41), 4096]:
        (expected,), (found,) = network.log_probs([line(width)]), other.log_probs([line(width)])
        assert np.abs(found - expected).max() < 1e-4, width


@pytest.mark.parametrize("size", SIZES)
def test_a_page_is_seen_as_with_torch(size: str, tmp_path: Path) -> None:
    network = any_line_net(size)
    other = OnnxLineNet.load(stored(tmp_path, network))
    assert other.threshold == network.threshold
    for shape in ((32, 32), (64, 160), (320, 96)):
        pixels = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        assert np.abs(other.cell_probs(pixels) - network.cell_probs(pixels)).max() < 1e-5


def test_a_batch_of_one_width_and_the_metadata(tmp_path: Path) -> None:
    network = trained("tiny")
    network.config = CRNNConfig(network.vocabulary, "tiny", Preprocessing(stretch=1.25), 1.7)
    export_onnx(stored(tmp_path, network), tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    header = json.loads({entry.key: entry.value for entry in model.metadata_props}["simpleocr"])
    assert header == network.config.to_header()
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    lines = np.stack([line(80), line(81)[..., :80], line(82)[..., :80]])
    (found,) = session.run(None, {"image": lines})
    for one, row in zip(lines, found, strict=True):
        assert np.abs(network.log_probs([one])[0] - row).max() < 1e-4


def test_whole_numbers_need_ranges_and_read_nearly_the_same(tmp_path: Path) -> None:
    path = stored(tmp_path, trained("tiny"))
    with pytest.raises(ModelError, match=r"training\.calibrate|training\.ranges"):
        OnnxCRNN.load(path, quantized=True)
    with pytest.raises(ModelError, match="ranges"):
        export_onnx(path, tmp_path / "m.onnx", quantized=True)
    folder = tmp_path / "set"
    folder.mkdir()
    rows = ["file_name,text"]
    for i in range(8):
        noise = np.random.default_rng(i).integers(0, 255, (30, 60 + 9 * i), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
        rows.append(f"{i}.png,a")
    (folder / "metadata.csv").write_text("\n".join(rows))
    given = ["--model", str(path), "--dataset", str(folder), "--split", "train"]
    ranges.main([*given, "--out", str(tmp_path / "whole")])
    whole = tmp_path / "whole" / "model.safetensors"
    assert CRNN.from_pretrained(tmp_path / "whole").config.ranges
    floats, wholes = OnnxCRNN.load(whole), OnnxCRNN.load(whole, quantized=True)
    far = [np.abs(floats.log_probs([line(w)])[0] - wholes.log_probs([line(w)])[0]).mean() for w in (40, 90, 300)]
    assert 0 < max(far) < 0.3
    export_onnx(whole, tmp_path / "8.onnx", quantized=True)
    assert single_numbers(onnx.load(tmp_path / "8.onnx")) > 10
    with pytest.raises(SystemExit, match="no such"):
        ranges.main(["--model", str(tmp_path / "no"), "--dataset", str(folder), "--out", str(tmp_path / "x")])


def test_ranges_of_nothing_are_not_stored(tmp_path: Path) -> None:
    network = trained("tiny")
    with pytest.raises(ValueError, match="no picture"):
        with_ranges(network, [])
    assert not network.config.ranges
    (tmp_path / "metadata.csv").write_text("file_name,text\nnot_there.png,a\n")
    given = ["--model", str(stored(tmp_path, network)), "--dataset", str(tmp_path), "--split", "train"]
    with pytest.raises(SystemExit, match=r"training\.ranges: no picture"):
        ranges.main([*given, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_ranges_of_pages_that_are_files_and_the_row_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "page.png")
    rows = [{"image": {"bytes": None, "path": str(tmp_path / "page.png")}}, {"image": None}]
    monkeypatch.setattr(ranges, "open_pages", lambda *_: rows[:1])
    path = stored(tmp_path, any_line_net("tiny"))
    assert ranges.of_pages(path, ["pages"], "train", 5).config.ranges
    monkeypatch.setattr(ranges, "open_pages", lambda *_: rows)
    with pytest.raises(DataError, match="pages, row 1: the row has no picture"):
        ranges.of_pages(path, ["pages"], "train", 5)


def test_a_first_convolution_of_four_rows_at_once_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained("tiny")
    random = np.random.default_rng(0)
    with_ranges(network, [Image.fromarray(random.integers(0, 255, (30, 60), dtype=np.uint8))])
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    four = session(crnn_graph(network.config, tensors, quantized=True).SerializeToString(), 1)

    def plain(graph: Any, image: str, _: int) -> str:
        return str(graph.convolution(image, "stem", stride=(2, 2), relu=True))

    monkeypatch.setattr(onnx_graph._Graph, "line_stem", plain)
    one = session(crnn_graph(network.config, tensors, quantized=True).SerializeToString(), 1)
    for width in (1, 2, 3, 4, 5, 6, 7, 8, 31, 33, 90):
        images = random.standard_normal((3, 1, 32, width)).astype(np.float32)
        (wanted,), (found,) = one.run(None, {"image": images}), four.run(None, {"image": images})
        assert np.array_equal(wanted, found), width


def single_numbers(model: Any) -> int:
    """How many scales and zeros of activations there are; each must be a number, for ONNX Runtime adds no others as they are."""
    shapes = {one.name: list(one.dims) for one in model.graph.initializer}
    names = [name for node in model.graph.node if node.op_type == "QuantizeLinear" for name in node.input[1:]]
    assert all(shapes[name] == [] for name in names)
    return len(names)


def test_a_pyramid_stays_in_whole_numbers() -> None:
    network = LineNet(LineNetConfig("small"))
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    wanted = len(activations(linenet_graph(network.config, tensors)))
    config = replace(network.config, ranges=((0.0, 1.0),) * wanted)
    model = linenet_graph(config, tensors, quantized=True)
    assert single_numbers(model) > 10
    makers = {name: node for node in model.graph.node for name in node.output}
    users = {name: node for node in model.graph.node for name in node.input}
    enlarged = [node for node in model.graph.node if node.op_type == "Concat"]
    assert len(enlarged) == 6, "along and across, three times"
    for node in enlarged:
        before, after = makers[node.input[0]], users[node.output[0]]
        while before.op_type in ("Transpose", "Reshape", "Concat"):
            before = makers[before.input[0]]
        while after.op_type in ("Transpose", "Reshape", "Concat"):
            after = users[after.output[0]]
        assert [before.op_type, after.op_type] == ["QuantizeLinear", "DequantizeLinear"]
        assert before.input[1:] == after.input[1:], "as it was before it was enlarged"
    taken = {name for node in model.graph.node for name in node.input} | {output.name for output in model.graph.output}
    assert all(taken.intersection(node.output) for node in model.graph.node), "nothing is computed for nothing"
    assert all(constant.name in taken for constant in model.graph.initializer)


@pytest.mark.parametrize("shape", [(32, 32), (64, 160), (96, 32)])
def test_a_page_in_whole_numbers_is_seen_nearly_as_in_floats(shape: tuple[int, int]) -> None:
    torch.manual_seed(3)
    network = LineNet(LineNetConfig("tiny")).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.stem.weight.normal_()  # whose nine weights all count
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    pages = [np.random.default_rng(seed).standard_normal((1, 1, *shape)).astype(np.float32) for seed in range(4)]
    floats = linenet_graph(network.config, tensors)
    config = replace(network.config, ranges=measured_ranges(floats, pages))
    exact, whole = OnnxLineNet(config, tensors), OnnxLineNet(config, tensors, quantized=True)
    for page in pages:
        seen, wanted = whole.cell_probs(page[0, 0]), exact.cell_probs(page[0, 0])
        assert seen.shape == wanted.shape == (2, shape[0] // 4, shape[1] // 4)
        assert np.allclose(seen, wanted, atol=0.06)
        assert np.abs(seen - wanted).mean() < 0.2 * wanted.std()


def test_torchscript_of_any_width_with_its_header(tmp_path: Path) -> None:
    network = trained("tiny")
    export_torchscript(stored(tmp_path, network), tmp_path / "m.pt")
    extra = {"simpleocr.json": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but what C++ and phones load
        traced = torch.jit.load(tmp_path / "m.pt", _extra_files=extra)  # type: ignore[no-untyped-call]
    assert json.loads(extra["simpleocr.json"])["vocabulary"] == network.vocabulary.characters
    for width in (8, 33, 160, 700):
        with torch.inference_mode():
            found = traced(torch.from_numpy(line(width))[None])[0].numpy()
        assert np.abs(found - network.log_probs([line(width)])[0]).max() < 1e-4
    pages = any_line_net("tiny")
    export_torchscript(stored(tmp_path, pages), tmp_path / "l.pt")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        seen = torch.jit.load(tmp_path / "l.pt")(torch.ones(1, 1, 64, 96))[0].numpy()  # type: ignore[no-untyped-call]
    assert np.abs(seen - pages.cell_probs(np.ones((64, 96), dtype=np.float32))).max() < 1e-5


def test_the_reader_reads_the_same_with_either_runtime() -> None:
    with_torch, without = OCR(retry=False), OCR(retry=False, runtime="onnx")
    pages = [reader(EXAMPLE) for reader in (with_torch, without)]
    assert pages[0].text == pages[1].text != ""
    with pytest.raises(ValueError, match="no runtime 'magic': there are torch, onnx, onnx-int8"):
        OCR(runtime="magic")


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # as if it were not installed
from simpleocr import OCR
page = OCR.from_pretrained("english", runtime="onnx", language_weight=0.2)(sys.argv[1])
print(page.text)
assert not any(name == "torch" or name.startswith(("torch.", "huggingface_hub")) for name in sys.modules if sys.modules[name])
"""


def test_it_reads_without_torch_and_without_asking_the_hub() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(EXAMPLE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.strip()


def test_memory_of_every_width_is_not_kept(tmp_path: Path) -> None:
    network = OnnxCRNN.load(stored(tmp_path, trained("tiny")))
    for running in (network._session, network._single):
        assert running.get_session_options().enable_cpu_mem_arena is False


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_package_that_is_not_installed_is_one_clear_error(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, trained("tiny"))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModelError, match="pip install onnx onnxruntime") as caught:
        OnnxCRNN.load(path)
    assert str(path) not in str(caught.value), "the file is not at fault"
    with pytest.raises(ModelError, match="pip install onnx onnxruntime"):
        OnnxLineNet.load(stored(tmp_path, any_line_net("tiny")))
    if missing == "onnx":
        with pytest.raises(ModelError, match="pip install onnx onnxruntime"):
            export_onnx(path, tmp_path / "m.onnx")


def test_a_damaged_file_is_refused_without_torch_as_with_it(tmp_path: Path) -> None:
    path = stored(tmp_path, trained("tiny"))
    good = path.read_bytes()
    path.write_bytes(good[:-5])
    with pytest.raises(ModelError, match="cut short"):
        OnnxCRNN.load(path)
    path.write_bytes(good)
    header, tensors = read_header(path), read_tensors(path, crnn_shapes(trained("tiny").config))
    own = {k: v for k, v in header.items() if k not in ("format", "sha256")}
    changes: list[dict[str, Any]] = [
        {"preprocessing": {}},
        {"architecture": {"name": "crnn", "backbone": "huge"}},
        {"more": 1},
        {"calibration": {"temperature": 10**400}},
    ]
    for change in changes:
        write_model(path, {**own, **change}, tensors)
        with pytest.raises(ModelError, match="does not describe"):
            OnnxCRNN.load(path)
    bad_ranges: list[Any] = [[[0, 0]], [[1, 2]], [["a", 1]], "x", [[0, 1, 2]], [[-1e9, 0]]]
    for bad in bad_ranges:
        write_model(path, {**own, "calibration": {"temperature": 1.0, "ranges": bad}}, tensors)
        with pytest.raises(ModelError, match="ranges"):
            OnnxCRNN.load(path)
        with pytest.raises(ModelError, match="ranges"):
            CRNN.from_pretrained(path)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_of_the_wrong_kind_is_called_what_it_is(runtime: str) -> None:
    with pytest.raises(ModelError, match=r"holds the architecture 'linenet', where 'crnn' is needed"):
        RUNTIMES[runtime].recognizer("lines")
    with pytest.raises(ModelError, match=r"holds the architecture 'crnn', where 'linenet' is needed"):
        RUNTIMES[runtime].detector("english")


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_libraries_that_are_not_installed_are_named(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, trained("tiny"))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModelError, match=r"^ONNX needs two libraries: pip install onnx onnxruntime$"):
        OnnxCRNN.load(path)
    with pytest.raises(ModelError, match=r"^ONNX needs two libraries: pip install onnx onnxruntime$"):
        OnnxLineNet.load(locate("lines"))
    if missing == "onnx":
        with pytest.raises(ModelError, match=r"^ONNX needs two libraries"):
            export_onnx(path, tmp_path / "m.onnx")


def test_too_few_ranges_are_no_crash(tmp_path: Path) -> None:
    network = trained("tiny")
    network.config = CRNNConfig(network.vocabulary, "tiny", ranges=((-1.0, 1.0), (0.0, 2.0)))
    with pytest.raises(ModelError, match="ranges"):
        OnnxCRNN.load(stored(tmp_path, network), quantized=True)


@pytest.fixture
def one_line(tmp_path: Path) -> Path:
    """A corpus of one picture."""
    folder = tmp_path / "set"
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 60), dtype=np.uint8)).save(folder / "0.png")
    (folder / "metadata.csv").write_text("file_name,text\n0.png,a\n")
    return folder


def test_a_runtime_is_measured(one_line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runtimes.main(["--dataset", str(one_line), "--runtime", "onnx", "--threads", "1"])
    found = json.loads(capsys.readouterr().out)
    assert found["set, alphanumeric"] in (0, 1)
    assert found["ms a line, median"] > 0


def test_a_set_of_pages_needs_one_to_warm_up_and_one_to_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (60, 30), 255).save(tmp_path / "a.png")
    page = '{"file_name": "a.png", "boxes": []}\n'
    given = ["--pages", str(tmp_path), "--runtime", "onnx", "--threads", "1"]
    (tmp_path / "pages.jsonl").write_text(page)
    with pytest.raises(SystemExit, match=r"training\.runtimes: .* has fewer than two pages"):
        runtimes.main(given)
    (tmp_path / "pages.jsonl").write_text(2 * page)
    runtimes.main(given)
    assert json.loads(capsys.readouterr().out)[f"{tmp_path.name}, s a page, median"] > 0


@pytest.mark.slow  # each runtime in processes of its own
def test_runtimes_are_compared_side_by_side(one_line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--dataset", str(one_line), "--runtimes", "onnx", "--threads", "1", "--out", str(tmp_path / "t.json")]
    runtimes.main(given)
    (found,) = json.loads((tmp_path / "t.json").read_text()).values()
    assert found["set, alphanumeric"] in (0, 1)
    assert found["s to the first text"] > 0
    assert found["CPU s to the first text"] > 0
    assert "ms a line, median" in capsys.readouterr().out


def test_the_command_exports_and_says_how_large_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = stored(tmp_path, trained("tiny"))
    with pytest.raises(SystemExit, match="0"):
        cli.main(["export", str(path), "--onnx", str(tmp_path / "m.onnx"), "--torchscript", str(tmp_path / "m.pt")])
    said = capsys.readouterr().out
    assert f"{(tmp_path / 'm.onnx').stat().st_size:,} bytes" in said
    assert "m.pt" in said
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", str(path), "--onnx", str(tmp_path / "8.onnx"), "--int8"])
    assert "ranges" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", str(path)])


@pytest.mark.parametrize(
    "runtime", ["onnx-int8", *(pytest.param(n, marks=pytest.mark.slow) for n in RUNTIMES if n != "onnx-int8")]
)
def test_a_reader_goes_to_another_process(runtime: str, tmp_path: Path) -> None:
    """As `datasets.map(num_proc=2)` sends it; it reads the same there and as a copy."""
    reader = OCR(runtime=runtime)
    page = Image.new("L", (200, 60), 255)
    ImageDraw.Draw(page).text((12, 12), "Bakery", 0, font=ImageFont.load_default(30))
    page.save(tmp_path / "page.png")
    expected = reader(page)
    assert expected.text == "Bakery"
    assert copy.deepcopy(reader)(page) == expected
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(sys.argv[1]).text)"
    command = [sys.executable, "-c", script, str(tmp_path / "page.png")]
    done = subprocess.run(command, input=pickle.dumps(reader), capture_output=True, check=True)
    assert done.stdout == b"Bakery\n"

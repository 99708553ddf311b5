"""runtimes: which of them reads where none is named."""

from pathlib import Path

import pytest
from PIL import Image

from simpleocr import CRNN, OCR, VOCABULARIES, CRNNConfig, LineNet, ModelError, runtimes
from simpleocr.config import LineNetConfig
from simpleocr.models import SHIPPED
from simpleocr.runtimes import fastest

ENGLISH, LINES = (SHIPPED / name / "model.safetensors" for name in ("english", "lines"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recognizer and a detector that nobody measured ranges of."""
    folder = tmp_path_factory.mktemp("plain")
    CRNN(CRNNConfig(VOCABULARIES["digits"], "tiny")).save_pretrained(folder / "digits")
    LineNet(LineNetConfig("tiny")).save_pretrained(folder / "pages")
    return folder


def test_whole_numbers_where_all_models_are_made_for_them(plain: Path) -> None:
    assert fastest(ENGLISH, LINES) == fastest() == "onnx-int8"
    assert fastest(ENGLISH, plain / "pages" / "model.safetensors") == "torch"


def test_a_reader_says_what_it_reads_with(plain: Path) -> None:
    assert OCR().runtime == OCR.from_pretrained("english").runtime == "onnx-int8"
    assert OCR(runtime="torch").runtime == "torch"
    assert OCR.from_pretrained(plain / "digits").runtime == "torch"
    assert OCR(detector=plain / "pages").runtime == "torch"
    assert OCR(CRNN.from_pretrained("english")).runtime == "torch", "which is there already"
    assert OCR(OCR().network).runtime == "onnx-int8"
    assert OCR(OCR(runtime="onnx").network, runtime="onnx").runtime == "onnx"


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_torch_where_onnx_is_not_installed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None if name == missing else name)
    reader = OCR()
    assert reader.runtime == "torch"
    assert reader(Image.new("L", (60, 30), 255)).text == ""


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no model")
    with pytest.raises(ModelError, match=str(tmp_path)):
        OCR.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        OCR(detector=tmp_path)

"""The suite of simple pictures: the same everywhere, of every kind that is promised; and the shipped model reads it."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from simpleocr import OCR, VOCABULARIES, load_image, normalize
from training import simple
from training.crops import open_samples
from training.peers import Peer

PICTURES = list(simple.suite())


def test_it_has_what_is_promised() -> None:
    count = Counter(picture.category for picture in PICTURES)
    assert len(count) >= 20
    assert min(count.values()) >= 7
    assert count["digit"] == 30
    assert min(len(p.text) for p in PICTURES if p.category == "line") >= 60
    assert max(len(p.text) for p in PICTURES if p.category == "line") > 180
    assert {p.image.mode for p in PICTURES} == {"L", "RGBA", "I;16", "1"}
    small = [p.image.height for p in PICTURES if p.category == "8 pixels"]
    assert max(small) <= 12


def test_texts_can_be_written_and_compared() -> None:
    for picture in PICTURES:
        assert picture.text == normalize(picture.text)
        assert not VOCABULARIES["english"].unknown(picture.text)


def test_it_is_the_same_each_time() -> None:
    for one, other in zip(PICTURES, simple.suite(), strict=True):
        assert one.image.tobytes() == other.image.tobytes()


def test_it_is_written_as_a_corpus(tmp_path: Path) -> None:
    assert simple.write_suite(tmp_path) == len(PICTURES)
    samples = open_samples(str(tmp_path))
    assert samples.count == len(PICTURES)
    for sample, picture in zip(samples.stream, PICTURES, strict=True):
        assert sample.target == picture.text
        assert sample.image is not None
        assert sample.image.size == picture.image.size


def test_letters_are_on_the_pictures() -> None:
    for picture in PICTURES:
        low, high = load_image(picture.image).convert("L").getextrema()
        assert (picture.category == "empty") or high - low >= 20  # type: ignore[operator]


def test_a_tall_picture_keeps_its_letters_when_it_is_set_right() -> None:
    (upwards,) = [p for p in PICTURES if (p.category, p.text) == ("upwards", "Hello")]
    (downwards,) = [p for p in PICTURES if (p.category, p.text) == ("downwards", "Hello")]
    assert upwards.image.transpose(Image.Transpose.ROTATE_180).tobytes() == downwards.image.tobytes()


def test_the_command_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simple, "suite", lambda: iter(PICTURES[:30:6]))
    simple.main(["--out", str(tmp_path), "--model", "english"])
    assert [row.split(":")[0] for row in capsys.readouterr().out.splitlines() if "of 5 exact" in row] == [
        "simpleocr english torch",
        "simpleocr english torch, as pages",
    ]
    with pytest.raises(SystemExit, match="no such"):
        simple.main(["--out", str(tmp_path), "--model", "/nowhere/at/all"])


def test_systems_stand_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simple, "suite", lambda: iter([PICTURES[0], PICTURES[100], PICTURES[-1]]))
    monkeypatch.setattr(simple, "others", lambda count: [Peer("silent", lambda image: " \n", None)])
    simple.main(["--out", str(tmp_path), "--model", "english", "--peers"])
    rows = capsys.readouterr().out.splitlines()
    assert next(row for row in rows if row.startswith("empty ") and "of" not in row).split()[-1] == "1.000"
    assert next(row for row in rows if row.startswith("all ")).split()[-1] == "0.333"
    with pytest.raises(SystemExit):
        simple.main(["--out", str(tmp_path), "--peers"])


@pytest.mark.quality
def test_the_shipped_model_reads_it(tmp_path: Path) -> None:
    simple.write_suite(tmp_path)
    ocr = OCR()
    found = simple.read_suite(tmp_path, lambda images: [line.text for line in ocr.recognize(list(images))])
    wrong = [(c, t, r) for c, pairs in found.items() for t, r in pairs if t != r]
    assert len(wrong) <= 0.03 * len(PICTURES), wrong

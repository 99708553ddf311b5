"""faces: every family counts the same, its lines can be told from the picture, and handwriting is told from print."""

import json
from pathlib import Path
from random import Random

import matplotlib as mpl
import numpy as np
import pytest

from simpleocr import OCR
from simpleocr.vocabulary import VOCABULARIES
from training import faces
from training.corpus import load_corpus
from training.faces import Line, clean_lines, figures, plain_line, running_text
from training.fonts import Face, family
from training.peers import Peer
from training.render import Source

# not by find_fonts(), which takes the system's files of the same names where they come last
OWN = [
    file
    for file in sorted(Path(mpl.get_data_path(), "fonts", "ttf").glob("DejaVuS*.ttf"))
    if "Display" not in file.name
]


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(load_corpus(), OWN, [], VOCABULARIES["english"], 0.0)


def test_every_family_has_as_many_lines(source: Source) -> None:
    lines = list(clean_lines(source, 5, seed=1))
    families = sorted({family(file) for file in OWN})
    assert len(families) < len(OWN)
    assert [line.family for line in lines] == [name for name in families for _ in range(5)]
    again = list(clean_lines(source, 5, seed=1))
    assert [(a.text, a.image.tobytes()) for a in lines] == [(b.text, b.image.tobytes()) for b in again]
    assert {line.text for line in lines}.isdisjoint(line.text for line in clean_lines(source, 5, seed=2))


@pytest.mark.parametrize("text", ["Quay", "fjord", "W", "the quick brown fox"])
@pytest.mark.parametrize("pixels", [8, 40, 111])
def test_a_plain_line_is_black_on_white_and_whole(text: str, pixels: int) -> None:
    image = np.asarray(plain_line(text, OWN[0], pixels))
    room = round(0.2 * pixels)
    assert image.min() < 60
    rows, columns = np.nonzero(image < 255)
    # antialiasing may reach a pixel beyond what a font says of its letters
    assert min(rows.min(), columns.min()) >= room - 1
    assert image.shape[0] - 1 - rows.max() >= room - 1
    assert image.shape[1] - 1 - columns.max() >= room - 1
    assert image.shape[0] < 2.2 * pixels


def test_plain_lines_say_the_same_kind_of_text(source: Source) -> None:
    plain = list(clean_lines(source, 3, seed=1, plain=40))
    assert [line.family for line in plain] == [line.family for line in clean_lines(source, 3, seed=1)]
    read = OCR().recognize([line.image for line in plain])
    assert figures(plain, [line.text for line in read]).cer < 0.01
    for line in plain:
        assert np.asarray(line.image)[0].min() == 255


def test_a_text_is_drawn_as_it_is_written(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:

    face = Face(OWN[0], 32)
    assert len(running_text(source.corpus, face, Random(1)).split()) >= 3
    face.__dict__["capitals_only"] = True
    text = running_text(source.corpus, face, Random(1))
    assert text == text.upper()
    monkeypatch.setattr(Face, "draws", lambda *_: False)
    assert running_text(source.corpus, face, Random(1)) == ""


def test_figures_by_hand(source: Source) -> None:
    image = next(clean_lines(source, 1, seed=1)).image
    found = figures([Line("a", "abcd", image), Line("a", "ab", image), Line("b", "abcd", image)], ["abcd", "b", "abxd"])
    assert (found.families, found.lines) == (2, 3)
    assert found.cer == pytest.approx(2 / 10)
    assert found.exact == pytest.approx(1 / 3)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(faces, "find_fonts", lambda _: OWN[:2])
    monkeypatch.setattr(faces, "held_out", lambda _: True)
    faces.main(["--lines", "2", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert "print" in said
    assert "other" in said
    report = json.loads((tmp_path / "faces.json").read_text())
    assert report["figures"]["all"]["cer"] < 0.1
    assert (tmp_path / "faces.png").stat().st_size > 1000
    assert report["peers"] == {}
    monkeypatch.setattr(faces, "others", lambda _: [Peer("mute", lambda _: "", None)])
    faces.main(["--lines", "2", "--peers", "--out", str(tmp_path)])
    assert "\nmute\n" in capsys.readouterr().out
    report = json.loads((tmp_path / "faces.json").read_text())
    assert report["peers"]["mute"]["all"] == report["figures"]["all"] | {"cer": 1.0, "exact": 0.0}
    for bad in (["--lines", "0"], ["--plain", "-1"], ["--plain", "7"], ["--model", "/nowhere"]):
        with pytest.raises(SystemExit):
            faces.main(bad)
    monkeypatch.setattr(OCR, "recognize", None)  # not reached
    monkeypatch.setattr(faces, "held_out", lambda _: False)
    with pytest.raises(SystemExit, match="no family"):
        faces.main([])

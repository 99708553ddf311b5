"""training.hard: what a model reads surely is mostly left out, what it cannot see at all, too."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr.runtimes import RUNTIMES
from training import hard
from training.data import open_corpus, picture
from training.hard import judge

FONT = ImageFont.load_default(40)


def drawn(text: str) -> dict[str, Any]:
    """As a row of a corpus has it."""
    image = Image.new("L", (round(FONT.getlength(text)) + 24, 64), 255)
    ImageDraw.Draw(image).text((12, 6), text, fill=0, font=FONT)
    file = BytesIO()
    image.save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


ROWS: list[dict[str, Any]] = [
    {"image": drawn("Harbour"), "text": "Harbour"},
    {"image": drawn("Islip"), "text": "lslip"},  # nearly
    {"image": drawn("   "), "text": "Harbour"},  # says nothing
    {"image": drawn("Harbour"), "text": "H\u4e2d"},  # no character of the model's
    {"image": drawn("Harbour"), "text": None},
    {"image": drawn("Station"), "text": "Station"},
]


def test_lines_are_judged_by_what_the_model_sees() -> None:
    network = RUNTIMES["onnx-int8"].recognizer("english")
    assert judge(network, ROWS) == ["sure", "wrong", "unseen", "unusable", "unusable", "sure"]
    assert judge(network, []) == []


def test_a_text_that_is_read_right_but_doubted_is_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard, "SURE", 0.1)  # nobody is that sure
    assert judge(RUNTIMES["onnx-int8"].recognizer("english"), ROWS[:1]) == ["unsure"]


@pytest.mark.parametrize(("rest", "kept"), [("0", ["lslip"]), ("1", ["Harbour", "lslip", "Station"])])
def test_what_is_kept_is_a_corpus(
    rest: str, kept: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["image,text"]
    for i, row in enumerate(ROWS[:3] + ROWS[5:]):
        (tmp_path / f"{i}.png").write_bytes(row["image"]["bytes"])
        lines.append(f"{i}.png,{row['text']}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    hard.main(
        ["--dataset", str(tmp_path / "labels.csv"), "--rest", rest, "--workers", "1", "--out", str(tmp_path / "kept")]
    )
    for i in range(4):
        (tmp_path / f"{i}.png").unlink()  # the corpus has its pictures
    corpus = open_corpus(str(tmp_path / "kept"), "train")
    assert corpus["text"][:] == kept
    assert all(picture(corpus[i]).width == corpus[i]["width"] for i in range(len(kept)))
    assert f"2 sure, 1 wrong, 1 unseen; {len(kept)} kept" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--rest", "1.5"], ["--limit", "0"], ["--workers", "0"]])
def test_senseless_settings_are_refused(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        hard.main(["--dataset", "x", "--out", str(tmp_path / "out"), *wrong])


def test_no_corpus_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training\.hard: "):
        hard.main(["--dataset", str(tmp_path / "none"), "--out", str(tmp_path / "out")])


def test_no_model_is_one_sentence_and_no_worker_is_started(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(ROWS[0]["image"]["bytes"])
    (tmp_path / "labels.csv").write_text("image,text\n0.png,Harbour")
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match=r"training\.hard: .*nosuch"):
        hard.main(["--model", "nosuch", "--dataset", str(tmp_path / "labels.csv"), "--out", str(out)])
    assert not out.exists()


@pytest.mark.usefixtures("at_once")
def test_a_limit_reads_the_first_lines_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, row in enumerate(ROWS[:2]):
        (tmp_path / f"{i}.png").write_bytes(row["image"]["bytes"])
    (tmp_path / "labels.csv").write_text("image,text\n0.png,Harbour\n1.png,lslip")
    out = ["--rest", "1", "--limit", "1", "--workers", "1", "--out", str(tmp_path / "out")]
    hard.main(["--dataset", str(tmp_path / "labels.csv"), *out])
    assert "1 sure; 1 kept" in capsys.readouterr().out

"""training.labels: labels that may be wrong come first, pictures without one are read, the least sure first."""

import csv
import re
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from simpleocr import CRNN
from simpleocr.likelihood import NEVER, likelihoods
from simpleocr.preprocessing import line_to_tensor
from simpleocr.reader import DEFAULT_MODEL
from training import labels
from training.data import open_corpus, picture
from training.labels import check_labels, doubts, main

SAYS = ["Bakery", "open daily", "Receipt", "Total 42"]


def line(text: str) -> Image.Image:
    font = ImageFont.load_default(32)
    image = Image.new("RGB", (round(font.getlength(text)) + 20, 48), "white")
    ImageDraw.Draw(image).text((10, 4), text, "black", font=font)
    return image


@pytest.fixture(scope="module")
def english() -> CRNN:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = CRNN.from_pretrained(DEFAULT_MODEL)
    torch.set_num_threads(threads)
    return network


def test_the_gap_is_that_of_the_exact_likelihoods(english: CRNN) -> None:
    images = [line(text) for text in SAYS]
    found = doubts(english, ["a", "b", "c", "d"], images, ["Bakery", "open dolly", "Recipe", "Total ß"])
    assert {one.name: one.read for one in found} == {"b": SAYS[1], "c": SAYS[2], "d": SAYS[3]}
    assert [one.gap for one in found] == sorted((one.gap for one in found), reverse=True)
    assert found[0].name == "d"
    assert found[0].gap == -NEVER
    assert "cannot write" in str(found[0])
    (log_probs,) = english.log_probs([line_to_tensor(images[2], english.preprocessing)])
    texts = [english.vocabulary.encode(text) for text in ("Receipt", "Recipe")]
    right, wrong = likelihoods([log_probs] * 2, texts, english.vocabulary.space)
    gap = {one.name: one.gap for one in found}["c"]
    assert gap == pytest.approx(right.log_prob - wrong.log_prob, rel=0.01)  # read in bf16 where there is


def test_a_corpus_is_checked_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], english: CRNN) -> None:
    with (tmp_path / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file_name", "text"))
        for number, (says, label) in enumerate(zip(SAYS, ("Bakery", "closed <b>", "Receipt", "Total 42"), strict=True)):
            line(says).save(tmp_path / f"{number}.png")
            table.writerow((f"{number}.png", label))
        (tmp_path / "4.png").write_bytes(b"no picture")
        table.writerow(("4.png", "what"))
    found, count = check_labels(english, open_corpus(str(tmp_path), "train"))
    assert ([one.name for one in found], count) == (["1.png"], 4)
    main([str(tmp_path), "--out", str(tmp_path / "doubtful.html")])
    said = capsys.readouterr().out
    assert "4 labels, 1 of them" in said
    assert "1.png: labelled 'closed <b>', read 'open daily'" in said
    html = (tmp_path / "doubtful.html").read_text(encoding="utf-8")
    assert "<b>" not in html.split("<body>")[1].replace("<br/>", "")
    assert html.count("<img ") == 1


def test_each_of_one_name_is_shown_with_its_own_picture(tmp_path: Path, english: CRNN) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(b"no picture")
    line(SAYS[0]).save(tmp_path / "a" / "1.png")
    line(SAYS[1]).save(tmp_path / "b" / "1.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na/0.png,x\na/1.png,Wrong\nb/1.png,Label\n")
    corpus = open_corpus(str(tmp_path), "train")
    found, _ = check_labels(english, corpus)
    assert {one.read: picture(corpus[one.number]).size for one in found} == {t: line(t).size for t in SAYS[:2]}
    html = labels.page(found, corpus)
    assert len(set(re.findall('src="[^"]*"', html))) == 2


def test_the_pictures_of_a_corpus_are_not_all_held_and_the_order_is_that_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, english: CRNN
) -> None:
    wrong = ["Bakery", "open dolly", "Receipt", "Total ß"] * 3
    rows = "".join(f"{number}.png,{label}\n" for number, label in enumerate(wrong))
    (tmp_path / "metadata.csv").write_text(f"file_name,text\n{rows}", encoding="utf-8")
    for number in range(12):
        line(SAYS[number % 4]).save(tmp_path / f"{number}.png")
    corpus = open_corpus(str(tmp_path), "train")
    whole = check_labels(english, corpus)
    assert [one.number for one in whole[0]] == [3, 7, 11, 1, 5, 9]
    opened: list[weakref.ref[Image.Image]] = []
    held: list[int] = []

    def watched(row: dict[str, Any]) -> Image.Image:
        image = picture(row)
        opened.append(weakref.ref(image))
        held.append(sum(one() is not None for one in opened))
        return image

    monkeypatch.setattr(labels, "picture", watched)
    monkeypatch.setattr(labels, "CHUNK", 2)
    found, count = check_labels(english, corpus)
    assert count == 12
    assert [one.number for one in found] == [3, 7, 11, 1, 5, 9]
    assert max(held) <= 5, "of one chunk, and of the next that is opened"


def test_pictures_without_labels_are_read_the_least_sure_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "CHUNK", 2)
    for number, text in enumerate(SAYS):
        line(text).save(tmp_path / f"{number}.png")
    blurred = line("Illegible Il1|").resize((40, 8)).resize((200, 40))
    blurred.save(tmp_path / "blurred.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    main([str(tmp_path)])
    said = capsys.readouterr().out
    assert "5 pictures read" in said
    assert "1 cannot be read" in said
    assert "broken.png: " in said
    with (tmp_path / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["file_name"] == "blurred.png"
    assert {row["file_name"]: row["text"] for row in rows[1:]} == {f"{i}.png": text for i, text in enumerate(SAYS)}
    # once corrected the folder is a corpus, for training.finetune, too: it is checked and not written over
    corrected = (tmp_path / "labels.csv").read_text(encoding="utf-8").replace("Bakery", "Barkers")
    (tmp_path / "labels.csv").write_text(corrected, encoding="utf-8")
    assert "Barkers" in open_corpus(str(tmp_path), "train")["text"][:]
    main([str(tmp_path)])
    assert "5 labels, 1 of them" in capsys.readouterr().out
    assert (tmp_path / "labels.csv").read_text(encoding="utf-8") == corrected


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training\.labels: .*no such"):
        main([str(tmp_path / "nowhere")])
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match="no picture in"):
        main([str(tmp_path)])

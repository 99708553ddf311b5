"""training.finetune and training.teaching: one's own lines are learned, corrections kept, and nothing is lost unnoticed."""

import csv
import io
import json
import shlex
import sys
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from simpleocr import CRNN
from simpleocr.config import CRNNConfig
from simpleocr.onnx_runtime import OnnxCRNN
from simpleocr.vocabulary import VOCABULARIES, VocabularyError
from training import finetune, train
from training.data import DataError, open_corpus, picture
from training.finetune import blended, contents, lacking, split_own
from training.outcome import Figures, measured
from training.settings import parse
from training.teaching import Corrections, TeachingError, card, learn

FONT = ImageFont.load_default(28)


def line_picture(text: str) -> Image.Image:
    image = Image.new("RGB", (round(FONT.getlength(text)) + 16, 40), "white")
    ImageDraw.Draw(image).text((8, 2), text, "black", font=FONT)
    return image


def folder_of(path: Path, texts: list[str]) -> Path:
    path.mkdir(parents=True)
    with (path / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "text"])
        for i, text in enumerate(texts):
            line_picture(text).save(path / f"{i}.png")
            table.writerow([f"{i}.png", text])
    return path


def arguments(folder: Path, out: Path, init: str, *more: str) -> Namespace:
    small = [
        "--replay_lines",
        "40",
        "--general_lines",
        "20",
        "--max_steps",
        "3",
        "--batch_size",
        "4",
        "--processes",
        "1",
    ]
    return finetune.parse([str(folder), "--init", init, "--out", str(out), *small, *more])


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    torch.manual_seed(3)
    CRNN(CRNNConfig(VOCABULARIES["ascii"], "tiny")).save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


@pytest.mark.slow
@pytest.mark.usefixtures("apart", "at_once")
def test_the_way_from_a_folder_to_a_report(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "GENERAL", 24)
    folder = folder_of(tmp_path / "own", ["abc", "café", "ß 12", "no", "yes", "one two"])
    told: list[tuple[float, str]] = []
    outcome = finetune.finetune(arguments(folder, tmp_path / "out", tiny), lambda *now: told.append(now))
    assert outcome.characters == "éß"
    assert (outcome.own_before.samples, outcome.trained_on, outcome.own_held_out) == (2, 4, True)
    assert outcome.general_before.samples == 20
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (1.0, "done")
    assert any("learning, loss" in what for _, what in told)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["accepted"] == outcome.accepted == (tmp_path / "out" / "model").exists()
    assert ("accepted" in outcome.table()) or ("refused" in outcome.table())


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
def test_a_model_that_lost_too_much_is_mixed_with_the_old_or_refused(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "own", ["abc", "abd", "b", "c", "a"])
    network = CRNN.from_pretrained(tiny)

    def run(given: Namespace, _: object) -> CRNN:
        network.save_pretrained(given.out / "final")
        return network

    def mixed(old: CRNN, new: CRNN, share: float, known: int) -> CRNN:
        new.training_summary = {"share": share}
        return new

    def figures(one: CRNN, samples: list[tuple[object, str]]) -> Figures:
        share = one.training_summary.get("share", 0.0)
        if len(samples) == 1:
            return Figures(1, 0.5 - 0.3 * share * better, 0.5)
        return Figures(20, 0.1, 0.9 - 0.04 * max(0.0, share - 0.5))

    monkeypatch.setattr(train, "run", run)
    monkeypatch.setattr(finetune, "blended", mixed)
    monkeypatch.setattr(finetune, "measured", figures)
    monkeypatch.setattr(finetune, "GENERAL", 24)
    better = 1
    outcome = finetune.finetune(arguments(folder, tmp_path / "a", tiny))
    assert (outcome.accepted, outcome.share) == (True, 0.6)
    assert OnnxCRNN.load(tmp_path / "a" / "model" / "model.safetensors", quantized=True).config.ranges
    better = -1  # one's own lines are read worse, however much of the old is kept
    outcome = finetune.finetune(arguments(folder, tmp_path / "a", tiny))
    assert not outcome.accepted
    assert not (tmp_path / "a" / "model").exists(), "that of the run before"
    assert not json.loads((tmp_path / "a" / "report.json").read_text())["accepted"]
    with pytest.raises(SystemExit):
        finetune.main(
            [str(folder), "--out", str(tmp_path / "c"), "--init", tiny, "--max_steps", "1", "--replay_lines", "32"]
        )


def test_a_model_without_a_space_learns_it_from_texts_that_have_one() -> None:
    digits = VOCABULARIES["digits"]
    assert lacking(digits, "", ["1 2", "1\ue000", "é"]) == " é", "what no vocabulary can have is passed over in texts"
    assert lacking(digits, "ß é", ["12", "éa"]) == "ß éa"
    assert lacking(VOCABULARIES["ascii"], "a b", ["1 2"]) == ""
    with pytest.raises(VocabularyError, match="nothing to draw"):
        lacking(digits, "\ue000", [])


def test_where_all_is_read_already_it_ends_before_anything_is_rendered(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("lines are rendered")

    monkeypatch.setattr(finetune, "measured", lambda _, samples: Figures(len(samples), 0.0, 1.0))
    monkeypatch.setattr(finetune, "render_replay", refuse)
    for texts, what in (("abcdef", "all 2 held-out lines"), ("ab", "all 2 lines")):
        folder = folder_of(tmp_path / texts, list(texts))
        with pytest.raises(SystemExit) as caught:
            finetune.main([str(folder), "--init", tiny, "--out", str(tmp_path / "out")])
        assert str(caught.value).startswith(
            f"training.finetune: {tiny} reads {what} without an error: there is nothing"
        )
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("apart", "at_once")
def test_what_is_printed_while_it_learns_does_not_write_over_how_far_it_is(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(finetune, "GENERAL", 24)
    folder = folder_of(tmp_path / "own", ["abc", "abd", "b", "c", "a"])
    small = ["--replay_lines", "40", "--general_lines", "5", "--max_steps", "2", "--batch_size", "4"]
    with pytest.raises(SystemExit):
        finetune.main([str(folder), "--init", tiny, "--out", str(tmp_path / "out"), "--processes", "1", *small])
    shown = capsys.readouterr()
    assert "step/s" not in shown.err, "one bar"
    assert "% learning, loss" in shown.err
    assert "step 2: loss" in shown.out


def test_what_the_user_can_mend_is_one_sentence(tmp_path: Path, tiny: str) -> None:
    for bad in ([str(tmp_path / "nowhere")], [str(folder_of(tmp_path / "x", ["a"])), "--init", "nothing"]):
        with pytest.raises(SystemExit, match=r"training\.finetune: .*no such"):
            finetune.main([*bad, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="2"):
        finetune.main([str(tmp_path), "--out", str(tmp_path / "out"), "--max_steps", "0"])


@pytest.mark.usefixtures("apart")
def test_a_general_set_that_cannot_be_read_is_not_taken_for_one_without_validation(tmp_path: Path, tiny: str) -> None:
    folder = folder_of(tmp_path / "own", ["abc", "abd"])
    for split in ("train", "validation"):
        folder_of(tmp_path / "general" / split, ["a"])
    (tmp_path / "general" / "validation" / "metadata.csv").write_bytes(b"file_name,text\n0.png,\xfc\n")
    general = str(tmp_path / "general")
    with pytest.raises(DataError, match="is not UTF-8"):
        finetune.finetune(arguments(folder, tmp_path / "out", tiny, "--general", general, "--replay", general))


@pytest.mark.parametrize("own", [1, 100, 4000, 4001, 20_000, 60_000])
def test_however_many_lines_are_ones_own_the_rest_is_not_forgotten(own: int) -> None:
    own_weight, replay_weight = finetune.weights(own, 6000)
    assert own_weight * own / (own_weight * own + replay_weight * 6000) == pytest.approx(finetune.OWN_SHARE)
    assert min(own_weight, replay_weight) == 1


def test_the_weights_are_those_of_the_run(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "own", list("abcdefghij"))
    replay = folder_of(tmp_path / "replay", ["abc", "b"])

    class BegunError(Exception):
        pass

    def run(given: Namespace, _: object) -> CRNN:
        assert given.weights == [1.0, 6.0]
        raise BegunError

    monkeypatch.setattr(train, "run", run)
    with pytest.raises(BegunError):
        finetune.finetune(arguments(folder, tmp_path / "out", tiny, "--replay", str(replay)))


@pytest.mark.usefixtures("apart", "at_once")
def test_a_replay_of_other_settings_is_rendered_anew_and_the_same_is_kept(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "GENERAL", 4)
    network = CRNN.from_pretrained(tiny)

    def rendered(*more: str) -> dict[str, tuple[int, bytes]]:
        folder = finetune.render_replay(network, tmp_path, arguments(tmp_path, tmp_path, tiny, *more))
        files = sorted(Path(folder, "data").iterdir())
        return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}

    first = rendered()
    assert rendered() == first
    seeded = rendered("--seed", "1")
    assert seeded.keys() == first.keys()
    assert all(seeded[name] != first[name] for name in first)
    rendered("--replay_lines", "48")
    assert len(open_corpus(str(tmp_path / "replay"), "train")) == 48


def test_the_examples_of_the_module_are_commands() -> None:
    examples = [line for line in (finetune.__doc__ or "").splitlines() if line.startswith("    python -m ")]
    assert len(examples) == 2
    for example in examples:
        assert finetune.parse(shlex.split(example)[3:]).out == Path("runs/mine")


def test_of_an_earlier_run_only_a_model_that_is_begun_with_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = out / "model" / "model.safetensors"
    for init, stays in (
        ("english", False),
        (str(out / "model"), True),
        (f"{out}/work/../model/model.safetensors", True),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        (out / "report.json").touch()
        finetune.forget(arguments(tmp_path, out, init))
        assert file.exists() == stays
        assert not (out / "report.json").exists()


def test_a_blend_lies_between(tiny: str) -> None:
    old, new = CRNN.from_pretrained(tiny), CRNN.from_pretrained(tiny)
    with torch.no_grad():
        new.classifier.bias.add_(1.0)
    half = blended(old, new, 0.25)
    assert torch.allclose(half.classifier.bias, old.classifier.bias + 0.25)
    assert torch.equal(half.stem.weight, old.stem.weight)
    some = blended(old, new, 0.25, known=5).classifier.bias - old.classifier.bias
    assert torch.allclose(some[:5], torch.tensor(0.25))
    assert torch.allclose(some[5:], torch.tensor(1.0))  # what is new is not watered down


def test_own_lines_are_split_and_of_few_none_is_spared(tmp_path: Path) -> None:
    rows = open_corpus(str(folder_of(tmp_path / "many", list("abcdefgh"))), "train")
    _, train_part, kept = split_own(rows, tmp_path / "w")
    assert (train_part["text"][:], kept["text"][:]) == (list("bcdegh"), list("af"))
    rows = open_corpus(str(folder_of(tmp_path / "few", list("ab"))), "train")
    _, train_part, kept = split_own(rows, tmp_path / "w")
    assert len(train_part) == len(kept) == 2


def test_own_lines_are_written_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "OWN_SHARD", 2)
    held: list[int] = []

    def watched(cell: dict[str, Any]) -> dict[str, Any]:
        held.append(len([*(tmp_path / "w" / "own" / "data").iterdir()]))
        return contents(cell)

    monkeypatch.setattr(finetune, "contents", watched)
    rows = open_corpus(str(folder_of(tmp_path / "many", list("abcdefghijk"))), "train")
    folder, train_part, kept = split_own(rows, tmp_path / "w")
    assert held == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5], "files that are written before each picture is read"
    assert (train_part["text"][:], kept["text"][:]) == (list("bcdeghij"), list("afk"))
    assert {path.name[:-8] for path in (folder / "data").glob("validation*")} == {
        "validation-00000-of-00002",
        "validation-00001-of-00002",
    }
    assert picture(kept[2]).size == line_picture("k").size
    (tmp_path / "many" / "metadata.csv").write_text("file_name,text\n" + "0.png\n" * 6 + "1.png,b\n" * 6)
    _, train_part, kept = split_own(open_corpus(str(tmp_path / "many"), "train"), tmp_path / "w")
    assert train_part["text"][:] == [*[None] * 4, *["b"] * 5], "files without any text, too"


def test_measured_is_what_reading_says(tiny: str) -> None:
    figures = measured(CRNN.from_pretrained(tiny), [(line_picture("ab"), "ab"), (line_picture("c"), "")])
    assert figures.samples == 2


@pytest.mark.slow
def test_frozen_stages_stay_and_patience_ends_a_run(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "own", ["abc", "cab", "b c", "no"] * 2)
    before = CRNN.from_pretrained(tiny).state_dict()
    more = ["--max_steps", "9", "--freeze", "2", "--patience", "1", "--eval_every", "1", "--batch_size", "4"]
    args = parse(["--dataset", str(folder), "--init", tiny, "--out", str(tmp_path / "run"), *more, "--lr", "1e-9"])
    steps: list[int] = []
    monkeypatch.setattr(train, "measured", lambda *_: Figures(1, 0.5, 0.0))
    train.run(args, lambda step, *_: steps.append(step))
    assert steps == [1, 2]  # the second validation is no better than the first
    after = CRNN.from_pretrained(tmp_path / "run" / "final").state_dict()
    for name, tensor in before.items():
        if name.startswith(("stem", "stages.0", "stages.1")) and tensor.is_floating_point():
            assert torch.equal(after[name].half(), tensor.half()), name


def test_corrections_are_kept_listed_exported_and_deleted(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / "kept")
    assert corrections.all() == []
    first = corrections.keep(line_picture("a"), '  comma, "quote"\n', "comma", 0.25)
    second = corrections.keep(line_picture("b"), "é", "e", 0.5)
    assert first is not None
    assert second is not None
    assert first.text == 'comma, "quote"'
    assert corrections.keep(line_picture("a"), 'comma, "quote"', "comma", 0.25) is None  # kept already
    assert corrections.all() == [first, second]
    assert all((tmp_path / "kept" / one.file_name).is_file() for one in (first, second))
    rows = open_corpus(str(tmp_path / "kept"), "train")
    assert rows["text"][:] == ['comma, "quote"', "é"]
    corrections.export(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert sorted(archive.namelist()) == sorted([first.file_name, second.file_name, "metadata.csv"])
        table = list(csv.DictReader(io.StringIO(archive.read("metadata.csv").decode())))
    assert [row["read"] for row in table] == ["comma", "e"]
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"x")
    corrections.delete([first.file_name, "../outside.png", str(outside)])
    assert outside.exists()
    assert corrections.all() == [second]
    assert not (tmp_path / "kept" / first.file_name).exists()
    (tmp_path / "kept" / "metadata.csv").write_text("a,b\n")
    with pytest.raises(TeachingError, match="columns"):
        corrections.all()


def test_of_a_kept_line_another_text_is_kept_and_the_same_again_once_its_picture_is_gone(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path)
    first = corrections.keep(line_picture("a"), "a", "o", 0.25)
    other = corrections.keep(line_picture("a"), "á", "o", 0.25)
    assert first is not None
    assert corrections.all() == [first, other]
    (tmp_path / first.file_name).unlink()
    assert corrections.keep(line_picture("a"), "a", "o", 0.25) is not None


def test_a_kept_line_whose_picture_was_taken_away_is_not_exported(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / "kept")
    first, second = (corrections.keep(line_picture(text), text, "o", 0.25) for text in "ab")
    assert first is not None
    assert second is not None
    (corrections.folder / first.file_name).unlink()
    corrections.export(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert sorted(archive.namelist()) == sorted([second.file_name, "metadata.csv"])
        assert first.file_name not in archive.read("metadata.csv").decode()


def test_a_table_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path)
    first = corrections.keep(line_picture("a"), "é", "e", 0.25)
    table = tmp_path / "metadata.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert corrections.all() == [first]
    second = corrections.keep(line_picture("b"), "b", "o", 0.5)
    assert corrections.all() == [first, second]


def test_nothing_is_deleted_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / "none")
    corrections.delete([])
    corrections.delete(["a.png"])
    assert not corrections.folder.exists()


@pytest.mark.slow
def test_learning_in_a_process_tells_how_it_stands_and_what_went_wrong(tmp_path: Path, tiny: str) -> None:
    (last,) = list(learn(tmp_path / "nothing", tmp_path / "out", init=tiny))[-1:]
    assert last.report is None
    assert "no such corpus" in last.what


def test_learning_is_not_kept_waiting_by_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talks = tmp_path / "python"
    talks.write_text("#!/bin/sh\nhead -c 300000 /dev/zero\necho 'training.finetune: no more' >&2\nexit 2\n")
    talks.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(talks))
    (last,) = list(learn(tmp_path, tmp_path / "out", init="english"))
    assert last.what == "no more"


def test_the_card_says_what_was_measured(tiny: str) -> None:
    figures = {"samples": 5, "cer": 0.25, "accuracy": 0.5}
    report = {f"{kind}_{when}": figures for kind in ("own", "general") for when in ("before", "after")}
    text = card(CRNN.from_pretrained(tiny), {**report, "own_held_out": True, "trained_on": 20}, "user/mine")
    assert "corrected lines, held out | 5 | 0.2500" in text
    assert "not measured" not in text
    assert "Taught by 20 corrected lines." in text
    assert "not measured" in CRNN.from_pretrained(tiny).model_card()

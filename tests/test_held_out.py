"""training.train: what validates is never trained on, and what cannot be read of it is counted."""

from pathlib import Path
from typing import Any

import pytest
import torch

from simpleocr.crnn import CRNN
from tests.runs import (
    BASE,
    DIGITS,
    EIGHT,
    MANY,
    SHORT,
    TEXTS,
    arguments,
    draw,
    png,
    refusal,
    write_lines,
    write_parquet,
)
from training import train
from training.batches import Batch
from training.checkpoint import read_state
from training.outcome import Figures
from training.train import main
from training.trainee import ctc_loss

pytestmark = pytest.mark.usefixtures("no_pickle")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """What runs are told to validate on, and what they train on."""
    seen: dict[str, set[str]] = {"validated": set(), "trained": set()}

    def measured(_: CRNN, samples: list[tuple[Any, str]]) -> Figures:
        seen["validated"].update(target for _, target in samples)
        return Figures(len(samples), 1.0, 0.0)

    def loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        ids = torch.split(batch.targets, batch.target_lengths.tolist())
        seen["trained"].update(DIGITS.decode(row.tolist()) for row in ids)
        return ctc_loss(logits, batch)

    monkeypatch.setattr(train, "measured", measured)
    monkeypatch.setattr(train, "ctc_loss", loss)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "held"),
    [
        ([], MANY[::10]),
        (["--eval_samples", "2"], MANY[::20]),
        (["--batch_size", "3", "--seed", "5", "--weights", "1.5"], MANY[::10]),
    ],
    ids=["a tenth", "at most --eval_samples", "whatever the batches"],
)
def test_what_validates_is_not_trained_on_where_there_is_no_split(
    tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str], more: list[str], held: list[str]
) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    main(arguments(lines, tmp_path / "out", "--epochs", "2", *more))
    assert watched["validated"] == set(held)
    assert watched["trained"] == set(MANY) - set(held)
    printed = capsys.readouterr().out
    assert f"{lines} has no validation split: {len(held)} of its 40 usable lines" in printed
    assert "40 rows, 40 used" in printed
    assert read_state(tmp_path / "out" / "last.safetensors")["held_out"] == len(held)


def test_of_few_lines_one_validates_and_that_is_said(
    tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write_lines(tmp_path / "lines", EIGHT[:2])
    main(arguments(lines, tmp_path / "out", "--max_steps", "2"))
    assert (watched["validated"], watched["trained"]) == ({EIGHT[0]}, {EIGHT[1]})
    assert "1 of its 2 usable lines" in (printed := capsys.readouterr().out)
    assert "the CER of so few says little" in printed
    assert "--validation" in refusal(arguments(write_lines(tmp_path / "one", ["1"]), tmp_path / "b", *SHORT))


def test_a_corpus_that_is_named_to_validate_on_or_given_twice_spares_its_lines(
    corpus: Path, tmp_path: Path, watched: dict[str, set[str]]
) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    argv = [
        "--dataset",
        str(corpus),
        f"{lines}/",
        str(lines),
        "--validation",
        str(lines),
        "--out",
        str(tmp_path / "out"),
    ]
    main([*argv, *BASE, "--epochs", "1"])
    assert watched["validated"] == set(MANY[::10])
    assert watched["trained"] == {*TEXTS, *MANY} - set(MANY[::10])


@pytest.mark.slow
@pytest.mark.parametrize("spelled", ["/lines", "./lines/", "elsewhere", "lines/metadata.csv"])
def test_lines_that_are_trained_on_validate_nothing_however_their_path_is_spelled(
    tmp_path: Path, watched: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    (tmp_path / "elsewhere").symlink_to(lines)
    monkeypatch.chdir(tmp_path)
    name = f"{tmp_path}{spelled}" if spelled.startswith("/") else spelled
    main(["--dataset", "lines", "--validation", name, "--out", str(tmp_path / "out"), *BASE, "--epochs", "1"])
    assert watched["validated"] == set(MANY[::10])
    assert watched["trained"] == set(MANY) - set(MANY[::10])


def test_a_validation_split_leaves_every_line_to_train_on(
    parquet: Path, tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(parquet, tmp_path / "out", "--epochs", "1"))
    assert (watched["validated"], watched["trained"]) == (set(EIGHT[:3]), set(TEXTS))
    assert "no validation split" not in capsys.readouterr().out


def test_a_validation_split_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_lines(tmp_path / "lines" / split, EIGHT)
    (tmp_path / "lines" / "validation" / "metadata.csv").write_bytes("file_name,text\n0.png,für\n".encode("latin-1"))
    assert "is not UTF-8" in refusal(arguments(tmp_path / "lines", tmp_path / "out", *SHORT))


@pytest.mark.parametrize("validation", [True, False], ids=["--validation", "a split"])
def test_of_many_lines_to_validate_on_those_are_read_that_are_spread_over_them(
    corpus: Path, tmp_path: Path, watched: dict[str, set[str]], validation: bool
) -> None:
    more = ["--eval_samples", "4", "--max_steps", "1"]
    if validation:
        main(arguments(corpus, tmp_path / "out", *more, "--validation", str(write_lines(tmp_path / "lines", MANY))))
    else:
        for split, texts in (("train", TEXTS), ("validation", MANY)):
            write_lines(tmp_path / "lines" / split, texts)
        main(arguments(tmp_path / "lines", tmp_path / "out", *more))
    assert watched["validated"] == set(MANY[::10])


def test_a_stream_without_a_validation_split_asks_for_one(corpus: Path, tmp_path: Path) -> None:
    message = refusal(arguments(corpus, tmp_path / "out", "--streaming", *SHORT))
    assert "has no validation split" in message
    assert message.endswith("give --validation")
    given = refusal(arguments(corpus, tmp_path / "out", "--streaming", "--validation", str(corpus), *SHORT))
    assert given.endswith("--validation must be a corpus that is not trained on")


def test_a_broken_line_that_is_held_out_is_counted(
    tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [png(draw(text)) for text in MANY]
    pictures[10] = b"nonsense"
    path = write_parquet(tmp_path / "lines.parquet", MANY, pictures, [draw(text).size for text in MANY])
    main(arguments(path, tmp_path / "out", "--epochs", "1", "--max_bad", "0.1"))
    assert watched["validated"] == {MANY[0], MANY[20], MANY[30]}
    assert watched["trained"] == set(MANY) - set(MANY[::10])
    printed = capsys.readouterr().out
    assert "40 rows, 39 used" in printed
    assert "no readable picture: corpus 0 row 10 '1010': " in printed
    assert "no line that can be read to validate on" in refusal(
        arguments(tmp_path / "lines.parquet", tmp_path / "b", *SHORT, "--validation", str(nothing_readable(tmp_path)))
    )


def nothing_readable(folder: Path) -> Path:
    return write_parquet(folder / "nothing.parquet", ["1"], [b"nonsense"])

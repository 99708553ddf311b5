"""training.settings: numbers that mean nothing, and what does not go together, are one sentence and status 2."""

from pathlib import Path

import pytest

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.modelfile import ModelError
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES, Vocabulary
from training.settings import RANGES, parse

NONSENSE = [
    *(f"--{name} {number}" for name in ("lr", "eps", "clip", "minutes") for number in ("nan", "inf", "-1", "0")),
    *(
        f"--{name} {number}"
        for name in ("weight_decay", "head_rate", "auxiliary", "attention")
        for number in ("nan", "inf", "-1")
    ),
    *(
        f"--{name} {number}"
        for name in ("max_bad", "ema", "strength", "join")
        for number in ("nan", "-0.1", "1.1", "7")
    ),
    *(f"--{name} {number}" for name in ("batch_size", "epochs", "max_steps", "max_columns") for number in ("0", "-4")),
    *(f"--{name} 0" for name in ("eval_samples", "eval_every", "save_every", "renderers")),
    *("--weights nan", "--weights inf", "--weights -1", "--weights 0"),
    *("--render nan", "--render 2", "--render -1"),
    *("--freeze 5", "--freeze -1", "--patience -1", "--threads -1", "--seed -1", f"--seed {2**64}"),
    *("--height 0", "--height -32", "--stretch nan", "--stretch 9"),
    *("--batch_size 1.5", "--lr fast", "--max_steps nan", f"--seed {10**400}"),
]


@pytest.mark.parametrize("given", NONSENSE)
def test_a_number_that_means_nothing_is_one_sentence(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, number = given.split(" ")
    with pytest.raises(SystemExit) as caught:
        parse([f"{name}={number}"])
    assert caught.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in message
    assert name in message


@pytest.mark.parametrize(
    "given",
    [
        "--lr 1e-9 --eps 1e6 --clip 1e9 --weight_decay 0 --head_rate 0 --auxiliary 0 --attention 0",
        "--max_bad 0 --ema 0 --patience 0 --threads 0 --freeze 4 --seed 0",
        "--max_bad 1 --ema 1 --batch_size 1 --epochs 1 --max_steps 1 --max_columns 1",
        f"--max_steps {10**400}",
        "--dataset a b --weights 0 0.5",
        "--render 1 --strength 0 --minutes 0.1 --renderers 1",
    ],
)
def test_numbers_at_the_edge_are_taken(given: str) -> None:
    parse(given.split(" "))


def test_every_number_has_its_range() -> None:
    args = vars(parse(["--dataset", "a"]))
    numbers = {name for name, value in args.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    assert numbers - {"height", "stretch"} <= set(RANGES), "those two are Preprocessing's"
    assert set(RANGES) <= set(args)


@pytest.mark.parametrize("other", ["--streaming", "--render 0.5"])
def test_lines_are_joined_only_where_all_of_them_are_known(other: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--dataset", "a", "--max_steps", "1", "--join", "0.5", *other.split(" ")])
    assert "--join goes with neither" in capsys.readouterr().err


def test_what_a_model_that_is_started_from_brings_cannot_be_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessing = Preprocessing(height=24, stretch=2.0)
    CRNN(CRNNConfig(VOCABULARIES["digits"], "tiny", preprocessing)).save_pretrained(tmp_path / "a")
    CRNN(CRNNConfig(Vocabulary("xyz"), "tiny", preprocessing)).save_pretrained(tmp_path / "b")
    init = ["--init", str(tmp_path / "a")]
    agreeing = ["--backbone", "tiny", "--vocabulary", "digits", "--height", "24", "--stretch", "2"]
    assert parse([*init, *agreeing]).height == 24
    parse(init)
    for given, own in (
        ("--backbone small", "tiny"),  # as by default: it was asked for
        ("--vocabulary=english", "digits"),
        ("--height 32", "24"),
        ("--stretch 1.5", "2.0"),
    ):
        with pytest.raises(SystemExit):
            parse([*init, *given.split(" ")])
        said = capsys.readouterr().err
        assert f"{given.replace('=', ' ')} contradicts --init" in said
        assert f"its own: {own}" in said
    with pytest.raises(SystemExit):
        parse(["--init", str(tmp_path / "b"), "--vocabulary", "digits"])
    assert "its own: another" in capsys.readouterr().err
    with pytest.raises(ModelError):
        parse(["--init", str(tmp_path / "none"), "--height", "32"])

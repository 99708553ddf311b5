"""training.train, resumed: a run can be killed at any step and goes on bit for bit, with its own settings and corpus."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.preprocessing import Preprocessing
from tests.runs import DIGITS, EIGHT, MANY, SHORT, arguments, assert_same_run, log_of, refusal, run_to, write_lines
from training import synth, train
from training.checkpoint import read_state
from training.settings import parse
from training.train import main

pytestmark = pytest.mark.usefixtures("no_pickle")
KILLED = """
import os, signal, sys
from training import train
rate = train.learning_rate
def kill(step, *rest):
    if step == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return rate(step, *rest)
train.learning_rate = kill
train.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(corpus: Path, tmp_path: Path, unbroken: Path) -> None:
    argv = arguments(corpus, tmp_path / "out", *SHORT)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *argv], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 8
    main([*argv, "--resume"])
    assert_same_run(tmp_path / "out", unbroken)


@pytest.mark.slow
def test_a_run_stopped_again_and_again_goes_on_bit_for_bit(
    corpus: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints in the middle of an epoch; no step is made twice differently."""
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "12", "--eval_every", "4", "--save_every", "1")
    for step in (5, 6, 11):
        run_to(step, [*argv, *(["--resume"] if step != 5 else [])])
    main([*argv, "--resume"])
    weights = [load_file(out / "last.safetensors") for out in (tmp_path / "out", unbroken)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    without_loss = [
        [{k: v for k, v in row.items() if k != "loss"} for row in log_of(out)] for out in (tmp_path / "out", unbroken)
    ]
    assert without_loss[0] == without_loss[1]


@pytest.mark.slow
def test_the_loss_in_the_log_is_that_of_the_unbroken_run(
    corpus: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "12", "--eval_every", "4", "--save_every", "3")
    run_to(7, argv)
    main([*argv, "--resume"])
    assert log_of(tmp_path / "out") == log_of(unbroken)


def test_resuming_a_finished_run_changes_nothing(corpus: Path, tmp_path: Path) -> None:
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "2")
    main(argv)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    main([*argv, "--resume"])
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.slow
def test_a_run_is_not_overwritten(corpus: Path, unbroken: Path) -> None:
    before = (unbroken / "last.safetensors").read_bytes()
    message = refusal(arguments(corpus, unbroken, *SHORT))
    assert "--resume" in message
    assert str(unbroken) in message
    assert (unbroken / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (["--batch_size", "8"], ["batch_size: 4 then, 8 now"]),
        (["--lr", "0.5", "--seed", "3"], ["lr: 0.001 then, 0.5 now", "seed: 0 then, 3 now"]),
        (["--vocabulary", "ascii"], ["vocabulary: digits then, ascii now"]),
        (["--height", "40"], ["height: 32 then, 40 now"]),
        (["--stretch", "2"], ["stretch: 1.5 then, 2.0 now"]),
        (["--unknown", "strip"], ["unknown"]),
        (["--max_columns", "500"], ["max_columns: None then, 500 now"]),
        (["--weights", "2"], ["weights: [1.0] then, [2.0] now"]),
        (["--backbone", "small"], ["backbone"]),
    ],
)
def test_another_run_is_not_gone_on_with(corpus: Path, unbroken: Path, given: list[str], keys: list[str]) -> None:
    message = refusal([*arguments(corpus, unbroken, *SHORT, "--resume"), *given])
    assert "another run" in message
    for key in keys:
        assert key in message
    if len(keys) == 1:
        assert "processes" not in message


def test_another_corpus_is_not_gone_on_with(tmp_path: Path, unbroken: Path) -> None:
    other = write_lines(tmp_path / "other", EIGHT)
    assert "dataset" in refusal(arguments(other, unbroken, *SHORT, "--resume"))


@pytest.mark.parametrize(
    "given",
    [
        ["--weight_decay", "0.5"],
        ["--clip", "1"],
        ["--ema", "0.5"],
        ["--auxiliary", "0"],
        ["--attention", "1"],
        ["--streaming"],
    ],
    ids=" ".join,
)
def test_settings_of_the_optimizer_are_settings_of_the_run(corpus: Path, unbroken: Path, given: list[str]) -> None:
    refusal([*arguments(corpus, unbroken, *SHORT, "--resume"), *given])


def test_resuming_without_a_checkpoint_names_it(corpus: Path, tmp_path: Path) -> None:
    message = refusal(arguments(corpus, tmp_path / "none", *SHORT, "--resume"))
    assert str(tmp_path / "none" / "last.safetensors") in message


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9999])
def test_a_cut_checkpoint_is_one_sentence(corpus: Path, tmp_path: Path, unbroken: Path, share: float) -> None:
    data = (unbroken / "last.safetensors").read_bytes()
    (tmp_path / "last.safetensors").write_bytes(data[: int(len(data) * share)])
    message = refusal(arguments(corpus, tmp_path, *SHORT, "--resume"))
    assert "last.safetensors is not a checkpoint" in message
    assert "\n" not in message


def test_a_checkpoint_without_settings_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "last.safetensors", {"checkpoint": "{}"})
    refusal(arguments(corpus, tmp_path, *SHORT, "--resume"))


@pytest.mark.slow  # joined lines are decided by seed and epoch, which test_joining shows at once
def test_a_run_with_joined_lines_goes_on_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    more = [*SHORT, "--join", "0.5", "--vocabulary", "ascii"]
    main(arguments(corpus, tmp_path / "whole", *more))
    run_to(10, arguments(corpus, tmp_path / "out", *more))
    main(arguments(corpus, tmp_path / "out", *more, "--resume"))
    assert_same_run(tmp_path / "out", tmp_path / "whole")
    message = refusal([*arguments(corpus, tmp_path / "out", *more, "--resume"), "--join", "0"])
    assert "join: 0.5 then, 0.0 now" in message


def test_a_model_started_from_belongs_to_the_run(parquet: Path, tmp_path: Path) -> None:
    config = CRNNConfig(DIGITS, "tiny", Preprocessing(stretch=2.0))
    CRNN(config).save_pretrained(tmp_path / "first")
    CRNN(config).save_pretrained(tmp_path / "other")
    argv = arguments(parquet, tmp_path / "out", "--max_steps", "2", "--save_every", "1")
    main([*argv, "--init", str(tmp_path / "first")])
    assert "first then" in refusal([*argv, "--resume", "--init", str(tmp_path / "other")])


def test_a_run_goes_on_with_the_settings_of_its_checkpoint(
    corpus: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a corpus is rendered")

    monkeypatch.setattr(synth, "main", refuse)
    run_to(10, arguments(corpus, tmp_path / "out", *SHORT))
    main(["--resume", "--out", str(tmp_path / "out")])
    assert_same_run(tmp_path / "out", unbroken)


def test_what_contradicts_a_run_is_named_before_anything_else(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a run began")

    monkeypatch.setattr(train, "run", refuse)
    message = refusal(["--resume", "--out", str(unbroken), "--dataset", "a", "b", "--lr", "0.5"])
    assert "is of another run: dataset: [" in message
    assert "then, ['a', 'b'] now; lr: 0.001 then, 0.5 now" in message
    assert "strength: 1.0 then, 0.5 now" in refusal(["--resume", "--out", str(unbroken), "--strength", "0.5"])


def test_what_may_change_may_change_and_another_end_takes_the_place_of_the_old(unbroken: Path) -> None:
    def now(*more: str) -> Any:
        return parse(["--resume", "--out", str(unbroken), *more])

    kept = now()
    assert (kept.max_steps, kept.eval_every, kept.threads, kept.fonts) == (12, 4, 1, [])
    changed = now("--save_every", "2", "--threads", "2", "--max_bad", "0.5")
    assert (changed.save_every, changed.threads, changed.max_bad, changed.max_steps) == (2, 2, 0.5, 12)
    longer = now("--epochs", "5")
    assert (longer.epochs, longer.max_steps, longer.minutes) == (5, None, None)
    assert (now("--minutes", "5").max_steps, now("--minutes", "5").minutes) == (None, 5.0)


def test_other_lines_held_out_are_another_run(corpus: Path, parquet: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    main(arguments(lines, tmp_path / "out", "--max_steps", "2", "--save_every", "1"))
    for more in (["--validation", str(corpus)], ["--eval_samples", "2"]):
        message = refusal(["--resume", "--out", str(tmp_path / "out"), *more])
        assert "4 lines of --dataset were held out then" in message
        assert more[0] in message


@pytest.mark.slow
def test_a_kill_while_saving_leaves_the_last_checkpoint(corpus: Path, tmp_path: Path, unbroken: Path) -> None:
    killed = """
import os, signal, sys
from training import train
calls = 0
sync = os.fsync
def kill(descriptor):
    global calls
    calls += 1
    if calls == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    sync(descriptor)
os.fsync = kill
train.main(sys.argv[2:])
"""
    for number in (9, 12, 15):  # while a model, its configuration or a checkpoint is written
        out = tmp_path / str(number)
        argv = arguments(corpus, out, *SHORT)
        done = subprocess.run(
            [sys.executable, "-c", killed, str(number), *argv], capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        main([*argv, *(["--resume"] if (out / "last.safetensors").exists() else [])])
        assert_same_run(out, unbroken)

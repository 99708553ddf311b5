"""training.train in two processes: one model, in step whatever happens to one, and killed both go on bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import arguments, assert_same_run, log_of, refusal
from tests.test_resume import KILLED
from training.checkpoint import read_state

pytestmark = pytest.mark.usefixtures("no_pickle")


# gloo's threads, alive while Python ends, have aborted runs that were over ("terminate called without an active exception")
TIDY = """
import sys, torch
from training.train import main
main(sys.argv[1:])
assert not torch.distributed.is_initialized(), "the process group outlives the run"
"""


@pytest.mark.slow
def test_two_processes_train_one_model(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "tidy.py"
    script.write_text(TIDY)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    more = [
        "--max_steps",
        "120",
        "--eval_every",
        "40",
        "--save_every",
        "40",
        "--lr",
        "0.01",
        "--ema",
        "0.9",
        "--seed",
        "0",
    ]
    argv = arguments(corpus, tmp_path / "out", *more)
    done = subprocess.run([*command, *argv], capture_output=True, text=True, timeout=400, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    rows = log_of(tmp_path / "out")
    assert [row["step"] for row in rows] == ["40", "80", "120"]
    assert float(rows[2]["loss"]) < float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert done.stdout.count("14 rows, 14 used") == 1, "one of them speaks"
    assert read_state(tmp_path / "out" / "last.safetensors")["settings"]["processes"] == 2
    assert "processes: 2 then, 1 now" in refusal([*argv, "--resume"])


@pytest.mark.slow
def test_two_processes_stay_in_step_where_one_has_only_a_broken_picture(
    broken: Path, corpus: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    more = ["--batch_size", "1", "--epochs", "2", "--validation", str(corpus), "--max_bad", "0.2"]
    argv = [*command, "-m", "training.train", *arguments(broken, tmp_path / "out", *more)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("14 rows, 12 used") == 1, "one of them speaks for both"
    assert "2 dropped: no readable picture" in done.stdout
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 14


@pytest.mark.slow
def test_two_processes_killed_go_on_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    more = ["--max_steps", "12", "--eval_every", "4", "--save_every", "4"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}

    def launched(what: list[str], out: Path, *flags: str) -> int:
        argv = [*command, *what, *arguments(corpus, out, *more, *flags)]
        return subprocess.run(argv, capture_output=True, timeout=400, check=False, env=environment).returncode

    assert launched(["-m", "training.train"], tmp_path / "whole") == 0
    assert launched([str(script)], tmp_path / "out") != 0
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 8
    assert launched(["-m", "training.train"], tmp_path / "out", "--resume") == 0
    assert_same_run(tmp_path / "out", tmp_path / "whole")

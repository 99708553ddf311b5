"""training.load: the demo is started, and never kept waiting by what it says."""

import sys
import tempfile

import pytest

from training.load import started

TALKS = """
import sys
print("ready", flush=True)
for stream in (sys.stdout, sys.stderr):
    stream.write("x" * 300_000)  # several times what a pipe holds
    stream.flush()
"""


def test_a_program_that_says_much_is_not_kept_waiting() -> None:
    with tempfile.TemporaryFile("w+") as stderr:
        with started([sys.executable, "-c", TALKS], stderr) as process:
            assert process.wait(timeout=30) == 0
        stderr.seek(0)
        assert len(stderr.read()) == 300_000


def test_a_program_is_ended_whatever_happens() -> None:
    waits = "import time; print('ready', flush=True); time.sleep(600)"
    with (
        tempfile.TemporaryFile("w+") as stderr,
        pytest.raises(KeyboardInterrupt),
        started([sys.executable, "-c", waits], stderr) as process,
    ):
        raise KeyboardInterrupt
    assert process.poll() is not None


def test_one_that_does_not_start_says_why() -> None:
    with (
        tempfile.TemporaryFile("w+") as stderr,
        pytest.raises(SystemExit, match="did not start: no such port"),
        started([sys.executable, "-c", "import sys; sys.exit('no such port')"], stderr),
    ):
        pass

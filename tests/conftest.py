"""Fixtures that tests of several modules share."""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes run the tests: more threads would wait for one another
# containers like to set it; but tests start dozens of processes, each of which would compile the project anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from hypothesis import settings

from simpleocr import inference

pytest_plugins = ("tests.runs",)  # fixtures of training runs

sys.dont_write_bytecode = False  # as in the environment of those processes

# what lets a change land must not be a matter of luck; without CI in the environment every run tries other examples
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


LONGEST = ("test_browser", "test_train", "test_resume", "test_hub", "test_app", "test_requests", "test_finetune")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules first: one that comes last is waited for by an idle process."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.fixture(autouse=True)
def own_accelerator() -> Iterator[None]:
    """Each test may train in a precision of its own: Accelerate keeps the first for as long as the process lives."""
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` with no cache outside, and no network to fall back on."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # 5 s after every stream


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Render in a thread of this process: starting others takes seconds."""
    import cv2

    from training import synth

    class Context:
        Pool = staticmethod(ThreadPool)

    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Context)
    monkeypatch.setattr(synth, "_worker", {})
    threads = cv2.getNumThreads()
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading in float32 whatever the processor: in bfloat16 a random network's near ties fall one way or the other."""
    monkeypatch.setattr(inference, "has_bf16", lambda: False)

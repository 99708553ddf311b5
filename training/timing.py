"""Timing: calls repeated for a while, a number of threads for a while, and the machine they ran on."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from simpleocr.inference import has_bf16

T = TypeVar("T")


def repeated(function: Callable[[], T], seconds: float) -> Iterator[T]:
    """Results of calls until the time is over, at least one."""
    end = time.perf_counter() + seconds
    yield function()
    while time.perf_counter() < end:
        yield function()


def durations(function: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call; the first, which allocates and chooses kernels, is not counted."""

    def timed() -> float:
        started = time.perf_counter()
        function()
        return time.perf_counter() - started

    timed()
    return list(repeated(timed, seconds))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch computes with so many threads inside, and what is loaded there for ONNX Runtime for good."""
    before, said = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if said is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = said


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "bf16": has_bf16(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }

"""Memory: what was freed of the heap is given back to the system; in a server, threads share one heap.

Pictures of every size, read by several threads, leave holes behind them, in a heap for each thread; without this a server
grows by the day, though it holds no object more.
"""

import ctypes
import mmap
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

M_ARENA_MAX = -8  # of glibc's malloc.h


def share_heap() -> bool:
    """One heap for all threads to come; False where the C library is not glibc, which alone can be told."""
    mallopt = _of_c_library("mallopt")
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, 1))


def give_back() -> bool:
    """Give free memory back to the system; False where the C library is not glibc."""
    trim = _of_c_library("malloc_trim")
    if trim is None:
        return False
    trim(0)
    return True


class NowAndThen:
    """Gives memory back when it is called, unless it has just done so and little has been freed since.

    Args:
        every: seconds that lie between two times, unless `holes` says otherwise; what was given back takes a while to be
            got again.
        holes: bytes by which the process may have grown since the last time; from there it is given back at once. None:
            however many.
    """

    def __init__(self, every: float, holes: int | None = None) -> None:
        self._every, self._holes = every, holes
        self._last = -every
        self._left = 0

    def __call__(self) -> None:
        """Give it back, or not yet."""
        grown = self._holes is not None and resident() > self._left + self._holes
        if (now := time.monotonic()) - self._last >= self._every or grown:
            self._last = now
            give_back()
            if self._holes is not None:
                self._left = resident()


def resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell it as Linux does."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def keep_given_back(every: float) -> Event:
    """Give it back again and again, so many seconds apart, in a thread of its own, until the returned event is set."""
    done = Event()

    def run() -> None:
        while not done.wait(every) and give_back():
            pass

    Thread(target=run, name="memory", daemon=True).start()
    return done


def _of_c_library(name: str) -> Any:
    """A function of the C library that this process runs with; None where there is none of that name."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # Windows has no such library
        return None

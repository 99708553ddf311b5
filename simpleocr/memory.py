"""Memory: what was freed of the heap is given back to the system; in a server, threads share one heap.

Pictures of every size, read by several threads, leave holes behind them, in a heap for each thread; without this a server
grows by the day, though it holds no object more.
"""

import ctypes
import time
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
    """Gives memory back when it is called, unless it has just done so.

    Args:
        every: seconds that lie between two times at least; what was given back takes a while to be got again.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._last = -every

    def __call__(self) -> None:
        """Give it back, or not yet."""
        if (now := time.monotonic()) - self._last >= self._every:
            self._last = now
            give_back()


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

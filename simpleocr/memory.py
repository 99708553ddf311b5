"""Memory: in a process that lives long, threads share one heap, and what was freed of it is given back to the system.

Pictures of every size, read by several threads, leave holes behind them, in a heap for each thread; without this a server
grows by the day, though it holds no object more.
"""

import ctypes
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

"""Memory: what the C library keeps of memory that was freed is given back to the system, in a process that lives long.

Pictures of every size, read by several threads, leave holes behind them; without this a server grows by the day, though it
holds no object more.
"""

import ctypes
from threading import Event, Thread


def give_back() -> bool:
    """Give free memory back to the system; False where the C library cannot (only glibc can be told)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
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

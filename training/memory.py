"""Memory: the most that this process has had, since it began or since it was last asked to forget."""

from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory() -> float:
    """The most memory this process has had, in MiB; 0 where the kernel does not say."""
    try:
        return int(STATUS.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        return 0.0


def forget_peak() -> bool:
    """Count from what the process has now; whether the kernel allows that."""
    try:
        FORGET.write_text("5")
    except OSError:
        return False
    return True

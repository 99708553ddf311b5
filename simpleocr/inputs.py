"""Inputs: files, folders and patterns of the command line -> what is read, and under which name it is written."""

import glob
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".pdf"}
"""What is taken from folders; a file that is named is read whatever it is called."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Input:
    """One file to read.

    Args:
        source: its path; "-" is standard input.
        name: of what is written of it, relative to the output folder and without a suffix.
    """

    source: str
    name: Path


def find_inputs(given: Sequence[str]) -> list[Input]:
    """Files in the order given; folders are searched with all that is below them, patterns expanded; both sorted.

    A file that is not there is one all the same: it is told of when it is read.

    Raises:
        ValueError: a folder without pictures, a pattern that fits nothing, or an empty name.
    """
    found: list[tuple[str, Path]] = []
    for name in given:
        path = Path(name)
        if not name:  # often a variable that is not set; a Path would take it for the current folder
            raise ValueError("an input without a name")
        if name == "-":
            found.append((name, Path("stdin")))
        elif path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not files:
                raise ValueError(f"no pictures in the folder {name}")
            found += [(str(file), file.relative_to(path)) for file in files]
        elif not path.exists() and glob.has_magic(name):
            # not Path.glob: a pattern may be absolute
            matches = sorted(m for m in glob.glob(name, recursive=True) if Path(m).is_file())  # noqa: PTH207
            if not matches:
                raise ValueError(f"nothing fits {name}")
            found += [(match, Path(Path(match).name)) for match in matches]
        else:
            found.append((name, Path(path.name)))
    stems = Counter(place.with_suffix("") for _, place in found)
    # a.png and a.jpg keep their suffixes; files of one name from several folders are numbered
    places = [place.with_suffix("") if stems[place.with_suffix("")] == 1 else place for _, place in found]
    taken = set(places)
    names = {place: _names(place, taken) for place in taken}
    return [Input(source, next(names[place])) for (source, _), place in zip(found, places, strict=True)]


def _names(place: Path, taken: Set[Path]) -> Iterator[Path]:
    """A name, and for others that have it the same with numbers, as long as nothing is called so already."""
    yield place
    for number in count(2):
        if (name := place.with_name(f"{place.name}-{number}")) not in taken:
            yield name


def with_suffix(path: Path, suffix: str) -> Path:
    """A dot and `suffix` behind the whole name, whatever dots are in it."""
    return path.with_name(f"{path.name}.{suffix}")


def in_order(pool: Executor, tasks: Iterable[Callable[[], Result]], at_once: int) -> Iterator[Result]:
    """What tasks give, in their order; no more than twice `at_once` are begun ahead, so that results do not pile up."""
    waiting: deque[Future[Result]] = deque()
    for task in tasks:
        waiting.append(pool.submit(task))
        if len(waiting) >= 2 * at_once:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()

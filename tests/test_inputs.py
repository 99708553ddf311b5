"""simpleocr.inputs: files, folders, patterns; no two inputs are written under one name."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from simpleocr.inputs import find_inputs, in_order, with_suffix


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "a.jpg", "b.TIF", "notes.txt", "sub/a.png", "sub/deep/c.pdf", "other/a.png", "none/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*given: str) -> list[str]:
    return [one.name.as_posix() for one in find_inputs(given)]


def test_files_are_taken_as_they_are_named(tree: Path) -> None:
    assert names("b.TIF", "notes.txt", "missing.png", "-") == ["b", "notes", "missing", "stdin"]
    assert [one.source for one in find_inputs(["missing.png", "-"])] == ["missing.png", "-"]
    assert [one.source for one in find_inputs([str(tree / "b.TIF")])] == [str(tree / "b.TIF")]


def test_folders_are_searched_and_keep_their_shape(tree: Path) -> None:
    assert names("sub") == ["a", "deep/c"]
    assert names(str(tree)) == ["a.jpg", "a.png", "b", "other/a", "sub/a", "sub/deep/c"]


def test_patterns_are_expanded(tree: Path) -> None:
    assert names("*.png") == ["a"]
    assert names("**/*.png") == ["a.png", "a.png-2", "a.png-3"]
    assert names(str(tree / "sub" / "*")) == ["a"]


def test_no_two_have_one_name(tree: Path) -> None:
    found = names("a.png", "a.jpg", "sub/a.png", "other/a.png", "sub", "other")
    assert len(found) == len(set(found)) == 7
    for folder in ("p", "q", "r"):
        (tree / folder).mkdir()
    given = ["p/a.png", "q/a.png", "r/a.png-2", "r/a.png"]  # the third is called as the second would be
    assert names(*given) == ["a.png", "a.png-3", "a.png-2", "a.png-4"]


@pytest.mark.parametrize(("given", "says"), [("none", "no pictures in"), ("*.gif", "nothing fits")])
def test_what_gives_nothing_is_said(tree: Path, given: str, says: str) -> None:
    assert tree
    with pytest.raises(ValueError, match=says):
        find_inputs([given])


def test_an_empty_name_is_not_the_current_folder(tree: Path) -> None:
    assert tree
    with pytest.raises(ValueError, match="without a name"):
        find_inputs(["b.TIF", ""])
    assert names(".")


def test_a_name_with_brackets_that_is_there_is_no_pattern(tree: Path) -> None:
    (tree / "scan[1].png").write_bytes(b"")
    assert names("scan[1].png") == ["scan[1]"]


def test_dots_in_names_stay() -> None:
    assert with_suffix(Path("x/v1.2"), "txt") == Path("x/v1.2.txt")


def test_results_come_in_order_and_not_all_at_once() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def task(number: int) -> int:
        with lock:
            begun.append(number)
        return number

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, (partial(task, i) for i in range(50)), 2)
        assert next(results) == 0
        assert len(begun) <= 4
        assert list(results) == list(range(1, 50))

"""training.checking: bad rows are counted and named, good ones kept."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from simpleocr.crnn import CRNN
from simpleocr.image import InputError
from simpleocr.preprocessing import Preprocessing
from tests.test_data import ENGLISH, PLAIN, pictures_into, png, table
from training.batches import Lines
from training.checking import Checker, Report, columns_needed
from training.data import DataError, open_corpus, picture
from training.streaming import StreamedLines

pytestmark = pytest.mark.usefixtures("apart")


def check(
    text: Any, data: bytes | None, checker: Checker = PLAIN, **more: Any
) -> tuple[tuple[str, int] | None, Report]:
    report = Report()
    return checker.check({"image": {"bytes": data, "path": None}, "text": text, **more}, 5, report), report


def test_a_good_row_gives_its_target_and_its_width() -> None:
    assert check(" e\u0301a  b ", png())[0] is None, "not in this vocabulary"
    found, report = check(" a  b ", png())
    assert found == ("a b", 180)
    assert report.seen == 1
    assert not report.dropped


def test_an_empty_label_is_kept_and_counted() -> None:
    found, report = check("  ", png())
    assert found == ("", 180)
    assert report.empty == 1


BAD_ROWS: dict[str, tuple[Any, bytes | None, str]] = {
    "None": (None, png(), "no text"),
    "number": (7, png(), "no text"),
    "list": (["a"], png(), "no text"),
    "unknown": ("aΩ漢", png(), "unknown characters"),
    "no bytes": ("a", None, "no readable picture"),
    "empty file": ("a", b"", "no readable picture"),
    "nonsense": ("a", b"nonsense", "no readable picture"),
    "cut": ("a", png("a picture of some size", (400, 40))[:-60], "no readable picture"),
    "long": ("a" * 46, png(), "label too long for its picture"),
    "repeats": ("1" * 24, png(), "label too long for its picture"),
    "wide": ("a", png("", (30_000, 20)), "too wide"),
}


@pytest.mark.parametrize("bad", list(BAD_ROWS))
def test_a_bad_row_is_dropped_for_its_reason(bad: str) -> None:
    text, data, reason = BAD_ROWS[bad]
    found, report = check(text, data)
    assert found is None
    assert report.dropped == {reason: 1}
    assert report.seen == 1
    assert "row 5" in report.examples[reason][0]
    assert "\n" not in report.examples[reason][0]
    assert reason in str(report)


def test_the_longest_labels_that_fit_are_kept() -> None:
    assert check("ab" * 22 + "a", png())[0] == ("ab" * 22 + "a", 180)  # 45 timesteps
    assert check("1" * 23, png())[0] == ("1" * 23, 180)
    assert check("1111", png("", (16, 32)))[0] is None, "24 columns, 25 needed"
    assert check("1111", png("", (17, 32)))[0] == ("1111", 26)
    assert check("1234", png("", (9, 32)))[0] == ("1234", 16)


def test_sizes_are_believed_where_they_are_given_and_pictures_not_opened() -> None:
    assert check("a", b"never opened", width=100, height=50)[0] == ("a", 96)
    assert check("a", png(), width=None, height=None)[0] == ("a", 180)
    assert check("a", png(), width=0, height=10)[0] == ("a", 180), "a size that is none"


@pytest.mark.parametrize(
    "width", ["120px", "", float("nan"), float("inf"), 120.0, None, -4, 0, [120], b"120"], ids=repr
)
def test_a_size_that_is_no_whole_number_is_asked_of_the_picture(width: Any) -> None:
    for more in ({"width": width, "height": 40}, {"width": 40, "height": width}):
        assert check("a", png(), **more)[0] == check("a", png())[0]


@pytest.mark.parametrize("widths", [["120px", "9"], [float("nan"), 180.0], [None, 120]], ids=str)
def test_a_corpus_whose_sizes_are_no_whole_numbers_can_be_trained_on(widths: list[Any]) -> None:
    lines = Lines([table(["a", "b"]).add_column("width", widths).add_column("height", [32, 32])], PLAIN)
    assert lines.widths.tolist() == [180, 180]


def test_unknown_characters_are_named_or_stripped() -> None:
    strip = Checker(ENGLISH, Preprocessing(), unknown="strip")
    found, report = check("a漢 Ωb", png(), strip)
    assert found == ("a b", 180)
    assert not report.dropped
    assert check("漢", png(), strip)[0] == ("", 180)
    _, report = check("a漢 Ωb", png())
    assert "U+6F22" in str(report)
    assert "U+03A9" in str(report)


def test_too_wide_for_this_run_is_no_fault() -> None:
    found, report = check("a", png(), Checker(ENGLISH, Preprocessing(), max_columns=179))
    assert found is None
    assert report.left_out == 1
    assert not report.dropped
    assert check("a", png(), Checker(ENGLISH, Preprocessing(), max_columns=180))[0] == ("a", 180)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    pictures_into(tmp_path, 1)
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,a\ngone.png,b\n,c\n")
    report = Report()
    kept = [PLAIN.check(row, i, report) for i, row in enumerate(open_corpus(str(tmp_path), "train"))]
    assert [found is not None for found in kept] == [True, False, False]
    assert "gone.png" in str(report)


def test_a_row_without_a_picture_is_an_input_error() -> None:
    for cell in (None, {"bytes": None, "path": None}):
        with pytest.raises(InputError):
            picture({"image": cell})


def test_a_corpus_is_refused_over_one_per_cent() -> None:
    report = Report(seen=1000)
    for i in range(10):
        report.drop("a reason", f"example {i}")
    report.refuse_over(0.01)
    report.drop("another", "example")
    with pytest.raises(DataError, match=r"11 of 1000 rows cannot be used, more than 1.0% \(--max_bad\)") as caught:
        report.refuse_over(0.01)
    assert "example 4" in str(caught.value)
    assert "example 5" not in str(caught.value), "the first five of a reason"
    report.refuse_over(0.5)
    with pytest.raises(DataError):
        Report().refuse_over(0.5)
    everything = Report(seen=1)
    everything.drop("a reason", "x")
    with pytest.raises(DataError):
        everything.refuse_over(1.0)


def test_a_hundred_rows_with_two_bad_ones_are_refused() -> None:
    with pytest.raises(DataError, match="2 of 100 rows"):
        Lines([table(["a"] * 98 + ["漢"] * 2)], PLAIN)
    lines = Lines([table(["a"] * 98 + ["漢"] * 2)], PLAIN, max_bad=0.02)
    assert len(lines) == 98
    with pytest.raises(DataError, match="2 of 100 rows"):
        list(StreamedLines([table(["a"] * 98 + ["漢"] * 2).to_iterable_dataset()], PLAIN).batches(8, 0, 0, [1.0]))


def test_no_line_narrow_enough_is_a_data_error() -> None:
    with pytest.raises(DataError):
        Lines([table(["a"] * 5)], Checker(ENGLISH, Preprocessing(), max_columns=32)).steps(4, 0, [1.0])


def test_ctc_can_write_a_text_on_the_columns_needed_and_on_none_fewer() -> None:
    for length in range(6):
        for letters in itertools.product("ab", repeat=length):
            text = "".join(letters)
            least = length + sum(a == b for a, b in itertools.pairwise(text))
            widths = torch.arange(1, 60)
            feasible = widths[CRNN.timesteps(widths) >= max(1, least)]
            assert columns_needed(text) == int(feasible[0]), text
    # and the loss itself agrees
    for text in ("a", "aa", "ab", "aab", "aaa"):
        columns = torch.tensor([columns_needed(text), max(1, columns_needed(text) - 1)])
        steps = CRNN.timesteps(columns)
        log_probs = torch.zeros(int(steps.max()), 2, 3).log_softmax(-1)
        ids = torch.tensor(["ab".index(c) + 1 for c in text] * 2)
        loss = torch.nn.functional.ctc_loss(log_probs, ids, steps, torch.tensor([len(text)] * 2), reduction="none")
        assert torch.isfinite(loss[0])
        assert len(text) == 1 or torch.isinf(loss[1])

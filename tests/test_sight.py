"""sight: a page is read the way it lies; what reads badly every way stays as it lies."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import simpleocr
from simpleocr import OCR, load_image, sight
from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS
from simpleocr.document import Char, Line
from simpleocr.geometry import Polygon, Transform, box_to_polygon, skew
from simpleocr.sight import Sight, mean_confidence, see, see_page
from tests.test_document import make_line

RECEIPT = load_image(Path(simpleocr.__file__).parent / "examples" / "receipt.jpg")
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR(retry=False)


@pytest.mark.parametrize("degrees", TURNS)
def test_a_page_is_read_whichever_way_it_lies(degrees: int, ocr: OCR) -> None:
    upright, lying = ocr(RECEIPT), ocr(RECEIPT.transpose(TURNS[degrees]))
    assert lying.text == upright.text
    assert abs(skew([one.polygon for one in lying.lines])) == pytest.approx(min(degrees, 360 - degrees), abs=1)


@pytest.mark.parametrize("degrees", [-8, 5])
def test_a_skewed_page_is_read(degrees: float) -> None:
    ocr = OCR()
    skewed = RECEIPT.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(246, 245, 239))
    # without case: a lone "x" is told from "X" by the room around it, which a turn changes
    assert ocr(skewed).text.lower().split() == ocr(RECEIPT).text.lower().split()


PLACES: list[Polygon] = [box_to_polygon((0, 20.0 * i, 100.0 + i, 20.0 * i + 10)) for i in range(9)]


@pytest.mark.parametrize(
    ("confidences", "way"),
    [
        ((0.9,), None),  # sure as it lies: nothing else is tried
        ((0.5, 0.5, 0.8, 0.9, 0.6), DOWNWARDS),
        ((0.5, 0.5, 0.2, 0.3, 0.8), UPWARDS),
        ((0.2, 0.2, 0.31, 0.1, 0.1), UPSIDE_DOWN),
        ((0.5, 0.5, 0.7, 0.7, 0.7), None),  # not so much surer
        ((0.008, 0.008, 0.018, 0.02, 0.2), None),  # rows of dashes, nonsense every way
    ],
)
def test_the_surest_way_wins(confidences: tuple[float, ...], way: object, monkeypatch: pytest.MonkeyPatch) -> None:
    said, looked, turned = iter(confidences), [], []
    sights = [Sight(place, RECEIPT, Transform.identity(), None) for place in PLACES]  # type: ignore[arg-type]

    def look(_: object, __: object, polygons: list[Polygon], ___: object) -> list[Sight]:
        looked.append(len(polygons))
        return sights[: len(polygons)]

    def find(_: object, __: object, turn: object) -> list[Polygon]:
        turned.append(turn)
        return PLACES[:1]

    ways = [(turn, PLACES) for turn in (UPSIDE_DOWN, DOWNWARDS, UPWARDS)]
    for name, stand_in in {
        "find_turned_lines": find,
        "other_ways": lambda *_: iter(ways),
        "see": look,
        "_some_tell": lambda _: True,
        "_confidence": lambda _: next(said),
        "_surer_half": lambda _: next(said),
    }.items():
        monkeypatch.setattr(sight, name, stand_in)
    see_page(None, object(), RECEIPT, PLACES, None)  # type: ignore[arg-type]
    assert turned == ([] if way is None else [way])
    assert looked == [9, *([9] * (3 if len(confidences) > 1 else 0)), *([1] if way is not None else [])]


@pytest.mark.parametrize(("once", "lines", "turns"), [(True, 1, True), (False, 1, False), (False, 2, True)])
def test_a_line_by_itself_is_not_turned_over_before_its_second_look(
    once: bool, lines: int, turns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "www" is a surer "MMM", and few lines are upside down, which a second look takes into account."""
    sights = [Sight(place, RECEIPT, Transform.identity(), None) for place in PLACES[:lines]]  # type: ignore[arg-type]
    found: list[object] = []
    surest = iter([0.4, 0.97])

    def find(_: object, __: object, turn: object) -> list[Polygon]:
        found.append(turn)
        return PLACES[:lines]

    for name, stand_in in {
        "find_turned_lines": find,
        "other_ways": lambda *_: iter([(UPSIDE_DOWN, PLACES[:lines])]),
        "see": lambda *_: sights,
        "_some_tell": lambda _: True,
        "_confidence": lambda _: 0.4,
        "_surer_half": lambda _: next(surest),
    }.items():
        monkeypatch.setattr(sight, name, stand_in)
    see_page(None, object(), RECEIPT, PLACES[:lines], None, once=once)  # type: ignore[arg-type]
    assert found == [UPSIDE_DOWN] * turns


@pytest.mark.parametrize(
    ("tells", "as_it_lies", "turned_over", "turns"),
    [
        (True, 0.8, 0.99, False),  # sure enough
        (False, 0.8, 0.96, True),  # but not where all lines are a letter or two
        (False, 0.8, 0.94, False),
        (False, 0.96, 0.99, False),
        (True, 0.5, 0.7, False),
        (False, 0.5, 0.7, False),
        (False, 0.5, 0.8, True),
    ],
)
def test_letters_by_themselves_do_not_tell_how_a_page_lies(
    tells: bool, as_it_lies: float, turned_over: float, turns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sights = [Sight(place, RECEIPT, Transform.identity(), None) for place in PLACES[:2]]  # type: ignore[arg-type]
    surest = iter([0.0, turned_over])
    found: list[object] = []

    def find(_: object, __: object, turn: object) -> list[Polygon]:
        found.append(turn)
        return PLACES[:2]

    for name, stand_in in {
        "find_turned_lines": find,
        "other_ways": lambda *_: iter([(DOWNWARDS, PLACES[:2])]),
        "see": lambda *_: sights,
        "_some_tell": lambda _: tells,
        "_confidence": lambda _: as_it_lies,
        "_surer_half": lambda _: next(surest),
    }.items():
        monkeypatch.setattr(sight, name, stand_in)
    see_page(None, object(), RECEIPT, PLACES[:2], None)  # type: ignore[arg-type]
    assert found == [DOWNWARDS] * turns


def test_mean_confidence_by_hand(ocr: OCR) -> None:
    assert mean_confidence([]) == 0
    assert see(ocr.network, RECEIPT, [], ocr.decoder) == []
    one = make_line("ab c")
    weighed = sum(len(word.chars) * word.confidence for word in one.words)
    assert mean_confidence([one, one]) == pytest.approx(weighed / 3)


def seen(text: str) -> Any:
    """A line of a page that says that."""
    chars = tuple(Char(c, 0.9 ** (1 / len(text)), "", 0.0, PLACES[0]) for c in text)
    return SimpleNamespace(reading=SimpleNamespace(line=Line(chars, PLACES[0], 0.9)))


def test_one_line_of_three_characters_tells() -> None:
    for texts, tells in (([], False), (["ab", "c"], False), (["ab", "abc", "a"], True)):
        assert sight._some_tell([seen(text) for text in texts]) is tells


@pytest.mark.parametrize(
    ("telling", "others", "expected"), [(1, 11, 0.3), (3, 9, 0.9), (1, 0, 0.9), (0, 2, 0.0), (0, 0, 0.0)]
)
def test_a_single_line_that_reads_well_does_not_say_how_a_page_lies(telling: int, others: int, expected: float) -> None:
    """As a number up the margin does, where the page lies on its side."""

    found = sight._surer_half([seen("81310636")] * telling + [seen("H")] * others)
    assert found == pytest.approx(expected)

"""retry: what is sure is left alone, what is not is read from other sides, and the places stay in the picture given."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from simpleocr import retry
from simpleocr.consensus import agreed
from simpleocr.constraints import lexicon
from simpleocr.crnn import CRNN
from simpleocr.decoding import constrained
from simpleocr.geometry import Transform
from simpleocr.likelihood import likelihoods
from simpleocr.metrics import edit_distance
from simpleocr.patterns import pattern
from simpleocr.reader import OCR
from simpleocr.recognition import Place, Reading, recognize
from simpleocr.retry import recognize_carefully
from simpleocr.sides import TURNS, Turn, Turned
from simpleocr.vocabulary import Vocabulary
from tests.test_consensus import reading, spelled
from tests.test_crnn import random_network
from tests.test_recognition import InkNetwork, bars, noise

pytestmark = pytest.mark.usefixtures("exact")


@pytest.fixture(scope="module")
def network() -> CRNN:
    return random_network()


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR()


@pytest.mark.parametrize("text", ["x 130 w", "www 906", "w031 x", "wxw", "wow", "w12 x", "web", "sosos"])
@pytest.mark.parametrize("size", [24, 48])
def test_what_stands_upright_is_not_read_on_its_head(text: str, size: int, ocr: OCR) -> None:
    """Whether its letters are small is doubtful, so that no text is likely; upside down there is one that is."""
    font = ImageFont.load_default(size)
    image = Image.new("L", (round(font.getlength(text)) + 16, size + 16), 255)
    ImageDraw.Draw(image).text((8, 6), text, 0, font=font)
    (line,) = ocr.recognize([image])
    assert "".join(line.text.split()).casefold() == "".join(text.split())


def test_a_sure_reading_costs_nothing_more() -> None:
    network = InkNetwork()
    images = [bars((200, 30), (30, 60), (120, 160)), bars((90, 30), (30, 50))]
    plain = recognize(network, images)
    assert min(line.confidence for line in plain) > retry.DOUBT
    before = len(network.batches)
    assert recognize_carefully(network, images) == plain
    assert len(network.batches) == before + 1


def test_only_the_doubtful_are_read_again(network: CRNN) -> None:
    images = [noise(40 + 9 * i, 20, seed=i) for i in range(6)]
    plain = recognize(network, images)
    between = sorted(line.confidence for line in plain)[3]
    careful = recognize_carefully(network, images, doubt=between)
    for before, after, image in zip(plain, careful, images, strict=True):
        if before.confidence >= between:
            assert after == before
        assert 0 <= after.confidence <= 1
        assert np.prod([word.confidence for word in after.words]) == pytest.approx(after.confidence, rel=1e-6) or (
            not after.words
        )
        for char in after.chars:
            left, top, right, bottom = char.box
            assert -1e-6 <= left <= right <= image.width + 1e-6
            assert -1e-6 <= top <= bottom <= image.height + 1e-6


def test_together_as_alone(network: CRNN) -> None:
    images = [noise(30 + 20 * i, 16 + i, seed=i) for i in range(5)] + [noise(12, 60, seed=9)]
    together = recognize_carefully(network, images, doubt=1.1)
    for image, line in zip(images, together, strict=True):
        (alone,) = recognize_carefully(network, [image], doubt=1.1)
        assert alone.text == line.text
        assert alone.confidence == pytest.approx(line.confidence, abs=1e-4)
    assert recognize_carefully(network, []) == []


def turned(reading: Reading, odds: float = 1.0) -> tuple[Turned, Reading]:
    """A reading of a picture that was turned; how is of no account."""
    turn = Turn(TURNS["upside down"].turn, odds)
    return Turned(turn, Image.new("L", (40, 20)), Transform.identity()), reading


def test_one_letter_lying_or_on_its_head_is_none() -> None:
    vocabulary = Vocabulary("ab")
    seen = [reading((0.3, 0.4, 0.3), (1.0, 1e-9, 1e-9))]
    one = reading((0.01, 0.01, 0.98), (1.0, 1e-9, 1e-9))
    two = reading((0.01, 0.01, 0.98), (0.01, 0.98, 0.01))
    assert retry._decided(vocabulary, 0, seen, [turned(one)])[0].line.text == "a", "however sure that is"
    assert retry._decided(vocabulary, 0, seen, [turned(one), turned(two)])[0].line.text == "ba"


@pytest.mark.parametrize(("both_ways", "odds"), [(True, retry.BOTH_WAYS), (False, 0.12)])
def test_letters_that_are_others_on_their_heads_have_lower_odds(
    both_ways: bool, odds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "reads_both_ways", lambda text, other: both_ways and (text, other) == ("a", "ba"))
    seen = [reading((0.3, 0.4, 0.3), (1.0, 1e-9, 1e-9))]
    other = reading((0.0005, 0.0005, 0.999), (0.0005, 0.999, 0.0005))
    look, lies = retry._decided(Vocabulary("ab"), 0, seen, [turned(other, odds=0.12)])
    assert look.line.text == "ba"
    assert lies is not None
    assert lies.turn.odds == odds


def test_a_turned_picture_that_is_hardly_legible_itself_is_none() -> None:
    """Where no text is likely, one that is a little less unlikely upside down is no reason to turn it."""
    vocabulary = Vocabulary("ab")
    seen = [reading(*[(0.5, 0.05, 0.45)] * 12, (0.3, 0.4, 0.3))]
    for sure, text in ((0.51, "a"), (0.8, "ba")):
        other = reading((1 - sure, 0.0001, sure), (1 - sure, sure, 0.0001))
        assert other.decoded.text == "ba"
        assert retry._decided(vocabulary, 0, seen, [turned(other)])[0].line.text == text


def test_that_nothing_stands_level_does_not_speak_against_text_that_lies() -> None:
    """But what turned looks like nothing, too, is nothing."""
    vocabulary = Vocabulary("ab")
    nothing = [reading((0.96, 0.02, 0.02), (0.98, 0.01, 0.01))]
    text = reading((0.2, 0.1, 0.7), (0.2, 0.7, 0.1))
    assert agreed(vocabulary, nothing).decoded.text == ""
    look, picture = retry._decided(vocabulary, 0, nothing, [turned(text, odds=0.5)])
    assert (look.line.text, picture is not None) == ("ba", True)
    faint = reading((0.38, 0.01, 0.61), (0.38, 0.61, 0.01))
    assert faint.decoded.text == "ba"
    look, picture = retry._decided(vocabulary, 0, nothing, [turned(faint, odds=0.15)])
    assert (look.line.text, picture) == ("", None)


def test_a_picture_that_was_cut_and_says_less_is_no_better() -> None:
    vocabulary = Vocabulary("ab")
    level = reading((0.1, 0.8, 0.1), (0.1, 0.1, 0.8))
    assert level.decoded.text == "ab"
    rest = (1.0, 1e-9, 1e-9)
    one, same, more = reading((0.01, 0.01, 0.98), rest), spelled("ab", 0.98, 3), spelled("aba", 0.98, 4)
    cut = Turn(TURNS["rising by 0.1"].turn, 1.0, cuts=True)
    picture = Turned(cut, Image.new("L", (40, 20)), Transform.identity())
    for other, text in ((one, "ab"), (same, "ab"), (more, "aba")):
        look, lies = retry._decided(vocabulary, 0, [level], [(picture, other)])
        assert (look.line.text, lies is not None) == (text, other is more)


@pytest.mark.parametrize(
    ("text", "level", "more"), [("25", ".25", False), ("W 31", "w31", False), ("35", "25", True), ("", "a", False)]
)
def test_what_is_read_after_cutting_must_say_more(text: str, level: str, more: bool) -> None:
    assert retry._says_more(text, level) is more


@pytest.mark.parametrize("text", [".25", "-1.5", ".75", "3,500.", "'tis"])
@pytest.mark.parametrize("margin", [3, 6])
def test_marks_are_not_cut_off_to_be_surer_of_the_rest(text: str, margin: int, ocr: OCR) -> None:
    font = ImageFont.load_default(32)
    left, top, right, bottom = (round(v) for v in font.getbbox(text))
    image = Image.new("L", (right - left + 8, bottom - top + 2 * margin), 255)
    ImageDraw.Draw(image).text((4 - left, margin - top), text, 0, font=font)
    (line,) = ocr.recognize([image])
    assert line.text == text or line.confidence < 0.9


@pytest.mark.parametrize("slope", [0.5, -0.5])
@pytest.mark.parametrize("text", ["Harbour", "EXPERIENCE"])
def test_a_word_that_climbs_in_its_box_is_read_where_it_lies(text: str, slope: float, ocr: OCR) -> None:
    """Boxes of words on signs are drawn upright around them, and hold their neighbours in part, too."""
    font = ImageFont.load_default(30)
    width = round(font.getlength(text)) + 8
    sheet = Image.new("L", (width, 400), 235)
    draw = ImageDraw.Draw(sheet)
    for y, line in ((162, "Welcome"), (200, text), (238, "Saturday")):
        draw.text((4, y), line, 20, font=font, anchor="lm")
    climbing = (1, 0, 0, slope, 1, -slope * width / 2)
    seen = sheet.transform(sheet.size, Image.Transform.AFFINE, climbing, Image.Resampling.BICUBIC, fillcolor=235)
    half = (36 + abs(slope) * width) / 2
    (read,) = ocr.recognize([seen.crop((0, round(200 - half), width, round(200 + half)))])
    assert read.text == text
    (_, left), (_, right) = read.chars[0].polygon[0], read.chars[-1].polygon[1]
    assert 0.5 < (right - left) / width / -slope < 1.2


def _on_a_sheet(text: str) -> Image.Image:
    """The word amid a sheet, between others."""
    font = ImageFont.load_default(30)
    sheet = Image.new("L", (500, 500), 235)
    draw = ImageDraw.Draw(sheet)
    for y, line in ((212, "Welcome"), (250, text), (288, "Saturday")):
        draw.text((250, y), line, 20, font=font, anchor="mm")
    return sheet


@pytest.mark.parametrize("degrees", [30, 45, 60, -30, -45, -60])
@pytest.mark.parametrize("text", ["Harbour", "EXPERIENCE"])
def test_a_word_that_runs_from_corner_to_corner_is_read(text: str, degrees: float, ocr: OCR) -> None:
    sheet = _on_a_sheet(text).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=235)
    length, height = ImageFont.load_default(30).getlength(text) + 8, 36
    cos, sin = math.cos(math.radians(degrees)), abs(math.sin(math.radians(degrees)))
    width, tall = length * cos + height * sin, length * sin + height * cos
    left, top = round(250 - width / 2), round(250 - tall / 2)
    (read,) = ocr.recognize([sheet.crop((left, top, left + round(width), top + round(tall)))])
    assert read.text == text
    (x, y), (right, below) = read.chars[0].polygon[0], read.chars[-1].polygon[1]
    assert math.degrees(math.atan2(y - below, right - x)) == pytest.approx(degrees, abs=8)


@pytest.mark.parametrize("slope", [0.8, -0.8])
def test_a_short_word_that_climbs_steeply_with_upright_letters_is_read(slope: float, ocr: OCR) -> None:
    """As on signs that are seen from beside."""
    text, width = "CHANEL", 116
    climbing = (1, 0, 0, slope, 1, -slope * 250)
    sheet = _on_a_sheet(text).transform((500, 500), Image.Transform.AFFINE, climbing, Image.Resampling.BICUBIC)
    half = round((36 + abs(slope) * width) / 2)
    (read,) = ocr.recognize([sheet.crop((250 - width // 2, 250 - half, 250 + width // 2, 250 + half))])
    assert read.text == text


@pytest.mark.parametrize("ink", [(210, 60, 60), (0, 126, 126)])
def test_letters_as_light_as_their_ground_are_read_by_their_colours(ink: tuple[int, int, int], ocr: OCR) -> None:
    """In grey there is nothing to see, and of that the network is sure."""
    light = int(np.asarray(Image.new("RGB", (1, 1), ink).convert("L"))[0, 0])
    image = Image.new("RGB", (150, 44), (light, light, light))
    ImageDraw.Draw(image).text((8, 4), "Harbour", ink, font=ImageFont.load_default(30))
    (in_grey,) = ocr.recognize([image.convert("L")])
    assert in_grey.text == ""
    (line,) = ocr.recognize([image])
    assert line.text == "Harbour"


def test_a_line_of_other_odds_is_as_likely_as_its_letters_together() -> None:
    line = spelled("ab", 0.8, 2).line
    half = retry._weighted(line, 0.5)
    assert line.confidence == pytest.approx(0.64)
    assert half.confidence == pytest.approx(0.32 / 0.68)
    assert np.prod([char.confidence for char in half.chars]) == pytest.approx(half.confidence)
    assert [char.polygon for char in half.chars] == [char.polygon for char in line.chars]
    for sure in (0.0, 1.0):
        assert retry._weighted(replace(line, confidence=sure), 0.5).confidence == sure
    assert retry.weighted(1.0, 0.5) == 1


@pytest.mark.parametrize("length", [60, 120])
def test_a_long_line_is_not_given_up_for_a_mark(length: int) -> None:
    """Turned a little, a long line is a thin streak; whatever is read there must not win."""
    reader = OCR()
    text = (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of light " * 2
    )[:length]
    font = ImageFont.load_default(20)
    image = Image.new("L", (round(font.getlength(text)) + 8, 28), 255)
    ImageDraw.Draw(image).text((4, 2), text, 0, font=font)
    small = image.resize((image.width // 3, image.height // 3)).resize(image.size)
    (once,) = recognize(reader.network, [small])
    (again,) = recognize_carefully(reader.network, [small])
    assert len(again.text) > 0.7 * length
    assert edit_distance(prediction=again.text, target=text) <= edit_distance(prediction=once.text, target=text) + 5


def test_a_constraint_holds_in_every_view() -> None:
    network = InkNetwork(temperature=2.0)
    decoder = constrained(lexicon(["aa", "aaaaa"], network.vocabulary))
    images = [bars((200, 30), (20, 60), (120, 160)), noise(80, 20, seed=1)]
    for line in recognize_carefully(network, images, decoder, doubt=1.1):
        assert line.text in {"aa", "aaaaa"}
    (nothing,) = recognize_carefully(network, [bars((20, 30))], constrained(lexicon(["a" * 99], network.vocabulary)))
    assert (nothing.text, nothing.confidence) == ("", 1), "there is nothing in it"


def test_letters_keep_their_own_doubt_when_views_are_weighed() -> None:
    vocabulary = Vocabulary("A348")
    seen = []
    for three in (0.6, 0.8):
        rows = np.full((3, 5), 1e-9)
        rows[0, [1, 3]], rows[1, 0], rows[2, [2, 4]] = (0.001, 0.999), 1.0, (three, 1 - three)
        log_probs = np.log(rows).astype(np.float32)
        decoded = constrained(pattern("[A-Z][0-9]", vocabulary))(log_probs, vocabulary)
        (likelihood,) = likelihoods([log_probs], [vocabulary.encode(decoded.text)])
        seen.append(
            Reading(decoded, likelihood, log_probs, np.ones(8, np.float32), Place((40, 20), (0, 20), range(0, 45, 5)))
        )
    best = agreed(vocabulary, seen)
    confidence = best.line.confidence
    assert best.line.text == "A3"
    assert confidence == pytest.approx(0.7, abs=1e-3)
    assert [char.confidence for char in best.line.chars] == pytest.approx([1.0, 0.7], abs=1e-3)


@pytest.mark.parametrize(
    ("empty", "text", "confidence"), [(1, "a", 1.0), (3, "a", 1.0), (4, "a", 0.8), (5, "", 0.9), (8, "", 0.9)]
)
def test_views_that_see_nothing_are_heard_if_they_are_the_most(empty: int, text: str, confidence: float) -> None:
    """Under a constraint that does not allow it, no text would else be likelier than all that is allowed."""
    vocabulary = Vocabulary("ab")
    decoder, seen = constrained(lexicon(["a", "ab"], vocabulary)), []
    for number in range(8):
        rows = (
            [(0.9, 0.02, 0.08), (1.0, 1e-9, 1e-9)] if number >= 8 - empty else [(0.05, 0.02, 0.93), (1.0, 1e-9, 1e-9)]
        )
        log_probs = np.log(np.array(rows, dtype=np.float32))
        decoded = decoder(log_probs, vocabulary)
        (likelihood,) = likelihoods([log_probs], [vocabulary.encode(decoded.text)])
        seen.append(
            Reading(decoded, likelihood, log_probs, np.ones(8, np.float32), Place((40, 20), (0, 20), range(0, 45, 5)))
        )
    best = agreed(vocabulary, seen)
    found = best.line.confidence
    assert best.decoded.text == text
    assert found == pytest.approx(confidence, abs=0.01)


def test_a_view_that_would_be_too_wide_is_left_out() -> None:
    network = InkNetwork()
    widest = int(network.config.preprocessing.max_width / network.config.preprocessing.stretch)
    image = bars((widest, 32), (20, 60))
    (line,) = recognize_carefully(network, [image], doubt=1.1)
    assert line.box == (0, 0, widest, 32)

"""simpleocr.live: what frames say together, and when that has settled."""

import string
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from simpleocr.decoding import greedy
from simpleocr.geometry import Polygon, Transform, box_to_polygon
from simpleocr.image import InputError
from simpleocr.likelihood import likelihoods
from simpleocr.live import FORGOTTEN, REMEMBERED, SETTLED, Live, Track, followed
from simpleocr.preprocessing import COLUMN_STRIDE
from simpleocr.reader import OCR
from simpleocr.recognition import Place, Reading
from simpleocr.vocabulary import BLANK, VOCABULARIES
from training.simple import line

VOCABULARY = VOCABULARIES["english"]
PLACE = box_to_polygon((10, 10, 110, 40))


def reading(text: str, doubtful: dict[int, str] | None = None) -> Reading:
    """A line that a network saw surely but for some letters, of which it saw another a little more clearly."""
    log_probs = np.full((4 * len(text) + 4, VOCABULARY.num_classes), 1e-6)
    log_probs[:, BLANK] = 1.0
    for i, letter in enumerate(text):
        row = log_probs[4 * i + 2]
        row[BLANK] = 0.01
        if doubtful and i in doubtful:
            row[VOCABULARY.encode(letter)[0]], row[VOCABULARY.encode(doubtful[i])[0]] = 0.42, 0.55
        else:
            row[VOCABULARY.encode(letter)[0]] = 0.97
    logs = np.log(log_probs / log_probs.sum(axis=1, keepdims=True)).astype(np.float32)
    decoded = greedy(logs, VOCABULARY)
    (likelihood,) = likelihoods([logs], [VOCABULARY.encode(decoded.text)], VOCABULARY.space)
    columns = COLUMN_STRIDE * len(logs)
    place = Place((100, 30), (0, 30), [100 * i / columns for i in range(columns + 1)])
    return Reading(decoded, likelihood, logs, np.ones(columns, np.float32), place)


def seen_at(
    text: str, polygon: Polygon = PLACE, doubtful: dict[int, str] | None = None
) -> tuple[Polygon, Reading, Transform]:
    return polygon, reading(text, doubtful), Transform.translate(*polygon[0])


def after(*frames: list[tuple[Polygon, Reading, Transform]]) -> tuple[Track, ...]:
    tracks: tuple[Track, ...] = ()
    for frame in frames:
        tracks = followed(VOCABULARY, tracks, frame)
    return tracks


def test_a_letter_wrong_elsewhere_in_each_frame_comes_out_right() -> None:
    text, rng = "Invoice 4711", Random(1)
    frames = [[seen_at(text, doubtful={at: rng.choice(string.ascii_lowercase)})] for at in (0, 5, 9)]
    assert all(frame[0][1].decoded.text != text for frame in frames)
    (track,) = after(*frames)
    assert track.line.text == text


def test_it_settles_when_the_same_text_has_won_often_enough() -> None:
    frames = [[seen_at("Exit")]] * SETTLED
    assert not after(*frames[:-1])[0].settled
    assert after(*frames)[0].settled


def test_a_change_is_followed_within_two_frames() -> None:
    before, now = [[seen_at("Platform 4")]] * 10, [[seen_at("Departures")]] * 2
    assert after(*before, *now[:1])[0].line.text == "Platform 4"  # one frame may be a slip
    (track,) = after(*before, *now)
    assert track.line.text == "Departures"
    assert not track.settled
    assert after(*before, *now, now[0])[0].settled


def test_lines_are_told_apart_by_their_place_while_the_camera_moves() -> None:
    def frame(shift: float) -> list[tuple[Polygon, Reading, Transform]]:
        places = [box_to_polygon((10 + shift, y + shift, 110 + shift, y + 30 + shift)) for y in (10, 50, 90)]
        return [seen_at(text, place) for text, place in zip(("one", "two", "three"), places, strict=True)]

    tracks = after(*[frame(12.0 * i) for i in range(5)])
    assert [track.line.text for track in tracks] == ["one", "two", "three"]
    assert all(track.settled for track in tracks)
    assert tracks[0].line.polygon[0] == pytest.approx((10 + 48, 10 + 48))


def test_another_picture_is_no_motion_that_carries_lines_away() -> None:
    stays = box_to_polygon((10, 10, 110, 40))
    before = [seen_at("one", stays), *(seen_at("two", box_to_polygon((10, y, 110, y + 30))) for y in (110, 210))]
    now = [seen_at("one", stays), *(seen_at("six", box_to_polygon((310, y, 410, y + 30))) for y in (110, 210))]
    tracks = after(before, now)
    assert [(track.line.text, track.wins, track.missed) for track in tracks] == [
        ("one", 2, 0),
        *[("two", 1, 1)] * 2,
        *[("six", 1, 0)] * 2,
    ]


def test_what_is_gone_is_given_up_and_memory_is_bounded() -> None:
    many = after(*[[seen_at("Exit")]] * 50)
    assert len(many[0].seen) == REMEMBERED
    assert len(after([seen_at("Exit")], *[[]] * FORGOTTEN)) == 1
    assert after([seen_at("Exit")], *[[]] * (FORGOTTEN + 1)) == ()


@pytest.fixture(scope="module")
def ocr() -> OCR:
    return OCR(retry=False)


def test_frames_of_a_camera_are_read_together(ocr: OCR) -> None:
    live, rng = Live(ocr), np.random.default_rng(3)
    page = Image.new("L", (640, 360), 235)
    page.paste(line("Harbour Street 12", size=34, ground=235), (120, 140))
    for number in range(4):
        noisy = np.asarray(page.filter(ImageFilter.GaussianBlur(0.5 + 0.5 * (number % 2))), dtype=np.float32)
        noisy = np.clip(np.roll(noisy, number, axis=1) + rng.normal(0, 8, noisy.shape), 0, 255)
        now = live.see(Image.fromarray(noisy.astype(np.uint8)))
    assert now.page.text == "Harbour Street 12"
    assert now.stable
    assert now.page.size == (640, 360)


def test_frames_of_any_kind(ocr: OCR) -> None:
    live = Live(ocr)
    assert live.see(Image.new("RGB", (1, 1))).page.lines == ()
    assert not live.see(Image.new("RGB", (320, 240), "white")).stable
    assert live.see(np.zeros((2000, 3000, 3), dtype=np.uint8)).page.size == (1280, 853)
    with pytest.raises(InputError):
        live.see(b"")


def test_a_frame_may_be_as_large_as_the_reader_allows() -> None:
    live = Live(OCR(retry=False, max_pixels=100 * 100))
    assert live.see(Image.new("RGB", (100, 100), "white")).page.size == (100, 100)
    with pytest.raises(InputError, match="too large"):
        live.see(Image.new("RGB", (100, 101), "white"))

"""Live: the frames of a camera, one after the other -> one page that settles.

Each frame is read at one look. What the last frames read of a line is weighed as the views of one picture are (consensus.py):
every text that one of them proposes, under the posteriors of all. So a letter that is blurred here and clear there comes
out right, and no texts are ever compared letter by letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from simpleocr.consensus import agreed, weigh
from simpleocr.document import Line, Page
from simpleocr.geometry import Point, Polygon, Transform, polygon_to_box
from simpleocr.image import ImageSource, load_image
from simpleocr.reader import NO_TEXT, OCR
from simpleocr.reading_order import reading_order
from simpleocr.recognition import Reading
from simpleocr.sight import mean_confidence
from simpleocr.vocabulary import Vocabulary, normalize

LONGEST_SIDE = 1280  # pixels of a frame: a camera's letters are no finer
REMEMBERED = 6  # frames whose readings of a line are weighed together
SETTLED = 3  # times in a row that a text must win to be shown as settled
FORGOTTEN = 2  # frames in which a line may be missing before it is given up
STRANGE, SURE = (
    1e-3,
    0.3,
)  # a new frame finds what was read so unlikely, and is so sure of something else: it has changed
NEAR = 0.8  # heights by which a line may move from frame to frame, beside what all lines move


@dataclass(frozen=True)
class Track:
    """One line through the frames in which it was seen.

    Args:
        polygon: where it was last, in the frame's pixels.
        seen: its readings, the newest first.
        to_frame: from the newest crop's pixels to the frame's.
        line: what they say together, there.
        wins: frames in a row in which that was the text.
        doubts: frames in a row that contradict it.
        missed: frames since it was last seen.
    """

    polygon: Polygon
    seen: tuple[Reading, ...]
    to_frame: Transform
    line: Line
    wins: int = 1
    doubts: int = 0
    missed: int = 0

    @property
    def settled(self) -> bool:
        """Whether the same text has won often enough."""
        return self.wins >= SETTLED


@dataclass(frozen=True)
class Seen:
    """What the frames until now say.

    Args:
        page: together, in the newest frame's pixels.
        stable: whether every line of it has settled; never before there is one.
    """

    page: Page
    stable: bool


@dataclass
class Live:
    """Watches one camera; each user has one.

    A line's confidence is what consensus.py says of several views: the mean probability of its text in those frames that
    favour it most.

    Args:
        ocr: reads the frames; shared by any number of these.
    """

    ocr: OCR
    tracks: tuple[Track, ...] = field(default=(), init=False)

    def see(self, frame: ImageSource) -> Seen:
        """Read one more frame.

        Args:
            frame: as for OCR; of any size, which may differ from the one before.

        Raises:
            InputError: the frame cannot be read; what was seen until then is kept.
        """
        image = load_image(frame, max_pixels=self.ocr.max_pixels)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        seen = [sight for sight in self.ocr.look_once(image) if sight.reading.decoded.text]
        found = [(sight.polygon, sight.reading, sight.back) for sight in seen]
        self.tracks = followed(self.ocr.network.vocabulary, self.tracks, found)
        shown = [track for track in self.tracks if mean_confidence([track.line]) >= NO_TEXT]
        order = reading_order([track.polygon for track in shown])
        lines = tuple(shown[i].line for i in order)
        return Seen(Page(lines, image.size), bool(shown) and all(track.settled for track in shown))


def followed(
    vocabulary: Vocabulary, tracks: Sequence[Track], found: Sequence[tuple[Polygon, Reading, Transform]]
) -> tuple[Track, ...]:
    """The tracks after one more frame.

    Args:
        vocabulary: of the readings.
        tracks: after the frame before.
        found: polygon, reading and transform from its crop to the frame, of each line of the new frame.
    """
    polygons = [polygon for polygon, _, _ in found]
    partners = _partners([track.polygon for track in tracks], polygons)
    after = []
    for i, track in enumerate(tracks):
        if i in partners:
            after.append(_updated(vocabulary, track, *found[partners[i]]))
        elif track.missed < FORGOTTEN:
            after.append(replace(track, missed=track.missed + 1))
    taken = set(partners.values())
    after += [_begun(vocabulary, *one) for k, one in enumerate(found) if k not in taken]
    return tuple(after)


def _begun(vocabulary: Vocabulary, polygon: Polygon, reading: Reading, to_frame: Transform) -> Track:
    return _fused(vocabulary, polygon, (reading,), to_frame)


def _fused(vocabulary: Vocabulary, polygon: Polygon, seen: tuple[Reading, ...], to_frame: Transform) -> Track:
    together = agreed(vocabulary, seen, [text for text in map(_second, seen) if not vocabulary.unknown(text)])
    return Track(polygon, seen, to_frame, together.line.moved(to_frame))


def _second(reading: Reading) -> str:
    """Its text with the most doubtful letter as the runner-up: right where each frame is wrong somewhere else."""
    spans = reading.decoded.spans
    if not spans:
        return ""
    at = max(range(len(spans)), key=lambda i: spans[i].runner_up_score)
    return normalize("".join(span.runner_up if i == at else span.char for i, span in enumerate(spans)))


def _updated(vocabulary: Vocabulary, track: Track, polygon: Polygon, reading: Reading, to_frame: Transform) -> Track:
    """A track with one more reading; begun anew where the text has changed."""
    text = track.line.text
    (weighed,) = weigh(vocabulary, [reading], [vocabulary.encode(text)])
    (own,) = weigh(vocabulary, [reading], [vocabulary.encode(reading.decoded.text)])
    doubts = track.doubts + 1 if weighed.confidence < STRANGE and own.confidence > SURE else 0
    if doubts > 1:  # not a blurred frame: the second in a row
        return replace(_fused(vocabulary, polygon, (reading, *track.seen[:1]), to_frame), wins=2)
    new = _fused(vocabulary, polygon, (reading, *track.seen)[:REMEMBERED], to_frame)
    return replace(new, wins=track.wins + 1 if new.line.text == text else 1, doubts=doubts)


def _partners(old: Sequence[Polygon], new: Sequence[Polygon]) -> dict[int, int]:
    """Which line of the new frame each of the old one is: the nearest, once what all have moved is taken off."""
    if not new:
        return {}
    nearest = [min(new, key=lambda other: _distance(one, other)) for one in old]
    shifts = [
        (_middle(b)[0] - _middle(a)[0], _middle(b)[1] - _middle(a)[1])
        for a, b in zip(old, nearest, strict=True)
        if _alike(a, b)
    ]
    dx, dy = (median(x for x, _ in shifts), median(y for _, y in shifts)) if shifts else (0.0, 0.0)
    if max(abs(dx), abs(dy)) > 2 * max((_height(one) for one in old), default=0.0):
        dx = dy = 0.0  # another picture, and no motion
    pairs = []
    for i, one in enumerate(old):
        moved = Transform.translate(dx, dy).apply_polygon(one)
        for k, other in enumerate(new):
            distance = _distance(moved, other) / _height(one)
            if distance < NEAR + 0.1 * _length(one) / _height(one) and _alike(moved, other):
                pairs.append((distance, i, k))
    partners: dict[int, int] = {}
    for _, i, k in sorted(pairs):
        if i not in partners and k not in partners.values():
            partners[i] = k
    return partners


def _alike(a: Polygon, b: Polygon) -> bool:
    """Whether two polygons are of one height, more or less, and stand in one row."""
    low, high = sorted((_height(a), _height(b)))
    return high < 2 * low and abs(_middle(a)[1] - _middle(b)[1]) < 2 * low


def _middle(polygon: Polygon) -> Point:
    left, top, right, bottom = polygon_to_box(polygon)
    return (left + right) / 2, (top + bottom) / 2


def _height(polygon: Polygon) -> float:
    (ax, ay), _, _, (dx, dy) = polygon
    return max(1.0, float(((dx - ax) ** 2 + (dy - ay) ** 2) ** 0.5))


def _length(polygon: Polygon) -> float:
    (ax, ay), (bx, by), _, _ = polygon
    return float(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5)


def _distance(a: Polygon, b: Polygon) -> float:
    """Between the middles; what is across counts four times, for rows are close and a line's end is uncertain."""
    (ax, ay), (bx, by) = _middle(a), _middle(b)
    return max(abs(ax - bx) / 4, abs(ay - by))

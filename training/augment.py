"""Degradations: what printers, scanners, cameras and codecs do to a line; each a function (image, rng, strength) -> image.

Images are float32 grey 0..255 with shape (height, width); `strength` in 0..1 scales how far an effect goes. Pages get a choice of
them in photographed().
"""

from collections.abc import Callable, Collection
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from training.backgrounds import Grey, clouds, gradient

Effect = Callable[[Grey, Random, float], Grey]


def _floats(image: object) -> Grey:
    return np.asarray(image, dtype=np.float32)


def _noise(shape: tuple[int, ...], rng: Random) -> Grey:
    return _floats(np.random.default_rng(rng.getrandbits(64)).standard_normal(shape, dtype=np.float32))


def uneven_light(image: Grey, rng: Random, strength: float) -> Grey:
    """A lamp on one side."""
    return image * (1 + gradient(image.shape, rng) * np.float32(rng.uniform(0.1, 0.9) * strength))


def shadow(image: Grey, rng: Random, strength: float) -> Grey:
    """The edge of a shadow across the line."""
    soft = np.clip(gradient(image.shape, rng) * rng.uniform(3, 30) + rng.uniform(-1, 1), 0, 1)
    return _floats(image * (1 - soft * np.float32(rng.uniform(0.2, 0.7) * strength)))


def blur(image: Grey, rng: Random, strength: float) -> Grey:
    """Out of focus, up to a fourteenth of the height."""
    return _floats(cv2.GaussianBlur(image, (0, 0), 0.25 + rng.random() * 0.07 * image.shape[0] * strength))


def motion_blur(image: Grey, rng: Random, strength: float) -> Grey:
    """Moved along a line, up to an eighth of the height."""
    length = max(2, round(image.shape[0] * rng.uniform(0.04, 0.12) * strength))
    kernel = np.zeros((2 * length + 1, 2 * length + 1), dtype=np.float32)
    angle = rng.uniform(0, np.pi)
    dx, dy = length / 2 * np.cos(angle), length / 2 * np.sin(angle)
    cv2.line(kernel, (round(length - dx), round(length - dy)), (round(length + dx), round(length + dy)), 1.0, 1)
    return _floats(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def low_resolution(image: Grey, rng: Random, strength: float) -> Grey:
    """Taken from afar: reduced until letters are as small as 7 to 9 pixels, and enlarged again."""
    height, width = image.shape
    factor = max(1 - rng.uniform(0.2, 0.75) * strength, 9 / height)
    if factor >= 1:
        return image
    small = cv2.resize(image, (max(4, int(width * factor)), max(4, int(height * factor))), interpolation=cv2.INTER_AREA)
    how = rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_NEAREST))
    return _floats(cv2.resize(small, (width, height), interpolation=how))


def noise(image: Grey, rng: Random, strength: float) -> Grey:
    """Sensor noise; half the time softened, as cameras do."""
    grain = _noise(image.shape, rng)
    if rng.random() < 0.5:
        grain = _floats(cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.5, 1.2))) * 2
    return image + grain * np.float32(rng.uniform(2, 18) * strength)


def specks(image: Grey, rng: Random, strength: float) -> Grey:
    """Dust and toner: a few dark and light dots."""
    count = int(image.size * rng.uniform(0.0005, 0.01) * strength) + 1
    generator = np.random.default_rng(rng.getrandbits(64))
    y, x = generator.integers(0, image.shape[0], count), generator.integers(0, image.shape[1], count)
    out = image.copy()
    out[y, x] = generator.choice(np.array([0, 0, 255], dtype=np.float32), count)
    return out


def levels(image: Grey, rng: Random, strength: float) -> Grey:
    """Exposure: brightness, contrast and gamma, clipped as a sensor clips."""
    scaled = np.clip(
        image * np.float32(1 + rng.uniform(-0.3, 0.3) * strength) + np.float32(rng.uniform(-25, 25) * strength), 0, 255
    )
    gamma = np.exp(rng.uniform(-0.6, 0.6) * strength)
    return _floats((scaled / 255) ** np.float32(gamma) * 255)


def binarize(image: Grey, rng: Random, strength: float) -> Grey:
    """Fax or photocopy: black and white, with ragged edges, never quite clean."""
    ragged = image + _noise(image.shape, rng) * np.float32(rng.uniform(2, 30) * strength)
    low, high = float(image.min()), float(image.max())
    threshold = low + (high - low) * rng.uniform(0.35, 0.65)
    out = np.where(ragged > threshold, np.float32(255), np.float32(rng.uniform(0, 40)))
    return _floats(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 0.7))) if rng.random() < 0.7 else _floats(out)


def show_through(image: Grey, rng: Random, strength: float) -> Grey:
    """Thin paper: what is printed on its other side, mirrored and faint."""
    ground = np.float32(np.median(image))
    behind = np.roll(image[:, ::-1], (rng.randrange(image.shape[0]), rng.randrange(image.shape[1])), axis=(0, 1))
    behind = _floats(cv2.GaussianBlur(behind, (0, 0), 0.5 + 0.03 * image.shape[0]))
    return _floats(np.clip(image + (behind - ground) * np.float32(rng.uniform(0.1, 0.35) * strength), 0, 255))


def stamp(image: Grey, rng: Random, strength: float) -> Grey:
    """A rubber stamp across the line: two rings or frames, of which parts are seen, its ink uneven, lighter than print."""
    height, width = image.shape
    size, middle = height * rng.uniform(0.8, 3.0), (rng.randrange(width), round(height * rng.uniform(-0.5, 1.5)))
    ink = np.zeros((height, width), dtype=np.float32)
    for radius in (size, size * rng.uniform(0.75, 0.9)):
        thick = max(1, round(height * rng.uniform(0.02, 0.08)))
        if rng.random() < 0.5:
            axes = (round(radius), round(radius * rng.uniform(0.6, 1.0)))
            cv2.ellipse(ink, middle, axes, rng.uniform(-20, 20), 0, 360, 1.0, thick, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((middle, (2 * radius, radius), rng.uniform(-25, 25)))
            cv2.polylines(ink, [np.rint(corners).astype(np.int32)], True, 1.0, thick, cv2.LINE_AA)
    ink *= np.clip(clouds(image.shape, rng) + 0.8, 0, 1) * np.float32(rng.uniform(0.2, 0.6) * strength)
    darkest = np.float32(np.percentile(image, 2))
    return _floats(image + (np.minimum(image, darkest) - image) * ink)


SENSOR: tuple[tuple[float, Effect], ...] = (
    (0.03, show_through),
    (0.03, stamp),
    (0.2, uneven_light),
    (0.08, shadow),
    (0.5, blur),
    (0.06, motion_blur),
    (0.4, low_resolution),
    (0.35, noise),
    (0.05, specks),
    (0.35, levels),
)
"""What happens between a printed line and its file, in this order, each with its probability at full strength."""


def degrade(image: Grey, rng: Random, strength: float, without: Collection[str] = ()) -> Grey:
    """A random selection of SENSOR in order, but of what is left out; `strength` scales both how often and how far."""
    for probability, effect in SENSOR:
        if rng.random() < probability * strength and effect.__name__ not in without:
            image = effect(image, rng, strength)
    return image


def heavier(mask: npt.NDArray[np.uint8], rng: Random) -> npt.NDArray[np.uint8]:
    """Ink that spread."""
    return np.asarray(
        cv2.dilate(mask, np.ones(rng.choice(((2, 2), (3, 2), (2, 3), (3, 3))), dtype=np.uint8)), dtype=np.uint8
    )


def lighter(mask: npt.NDArray[np.uint8], rng: Random) -> npt.NDArray[np.uint8]:
    """Strokes eaten at their edges."""
    eroded = cv2.erode(mask, np.ones(rng.choice(((2, 1), (1, 2), (2, 2))), dtype=np.uint8))
    return np.asarray(cv2.addWeighted(mask, 0.4, eroded, 0.6, 0), dtype=np.uint8)


def broken(mask: npt.NDArray[np.uint8], rng: Random) -> npt.NDArray[np.uint8]:
    """Print with too little ink: patches of the strokes are faint or gone."""
    patches = np.clip(clouds(mask.shape, rng) * rng.uniform(0.8, 2) + rng.uniform(0.7, 1.2), rng.uniform(0.1, 0.4), 1.0)
    return np.asarray(mask * patches, dtype=np.uint8)


def dotted(mask: npt.NDArray[np.uint8], rng: Random) -> npt.NDArray[np.uint8]:
    """A dot-matrix printer: strokes out of dots."""
    pitch = rng.uniform(3.5, 6)
    x, y = np.arange(mask.shape[1]) * (2 * np.pi / pitch), np.arange(mask.shape[0]) * (2 * np.pi / pitch)
    dots = 0.55 + 0.45 * np.cos(x)[None] * rng.choice((0, 1, 1)) + 0.45 * np.cos(y)[:, None]
    return np.asarray(mask * np.clip(dots, 0.1, 1.0), dtype=np.uint8)


INK: tuple[tuple[float, Callable[[npt.NDArray[np.uint8], Random], npt.NDArray[np.uint8]]], ...] = (
    (0.12, heavier),
    (0.1, lighter),
    (0.08, broken),
    (0.03, dotted),
)
"""What printing does to the coverage mask of a text, each with its probability at full strength."""


def print_ink(mask: npt.NDArray[np.uint8], rng: Random, strength: float) -> npt.NDArray[np.uint8]:
    """A random selection of INK."""
    for probability, effect in INK:
        if rng.random() < probability * strength:
            mask = effect(mask, rng)
    return mask


def photographed(image: Grey, letters: float, rng: Random) -> Grey:
    """What printing, light, lens, sensor and copier do to a page or a part of it.

    Args:
        image: the page.
        letters: pixels from ascenders to descenders; they stay as large as can be read.
        rng: decides.
    """
    strength = rng.random()
    if rng.random() < 0.12:  # the other side of a thin sheet shines through
        image = np.minimum(image, 255 - (255 - image[:, ::-1]) * np.float32(rng.uniform(0.05, 0.3)))
    if rng.random() < 0.3 * strength:  # folds and waves
        image = image * (1 + clouds(image.shape, rng) * np.float32(rng.uniform(0.03, 0.2)))
    if rng.random() < 0.35 * strength:
        image = uneven_light(image, rng, strength)
    if rng.random() < 0.25 * strength:
        image = shadow(image, rng, strength)
    if rng.random() < 0.4:
        image = np.asarray(
            cv2.GaussianBlur(image, (0, 0), 0.3 + rng.random() * 0.07 * min(40.0, letters)), dtype=np.float32
        )
    if rng.random() < 0.3 and letters > 9:
        factor = rng.uniform(max(0.35, 7 / letters), 1)
        small = cv2.resize(image, (0, 0), fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    if rng.random() < 0.5 * strength:
        image = levels(image, rng, strength)
    if rng.random() < 0.5 * strength:
        image = noise(image, rng, strength)
    if rng.random() < 0.15 * strength:
        image = specks(image, rng, strength)
    if rng.random() < 0.1:
        image = binarize(image, rng, strength)
    return image

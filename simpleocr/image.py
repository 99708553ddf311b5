"""load_image: the only decoder of picture files, and the gate that PIL images and arrays pass too."""

import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, TiffImagePlugin

MAX_PIXELS = 25_000_000  # width times height; an A4 page at 500 dots an inch has 24 million
MAX_BYTES = 200_000_000  # of an encoded file; 25 million pixels without any compression fit
# grey levels, and share of the largest difference from the ground: what differs more is ink
LEAST_CONTRAST, INK_CONTRAST = 16, 0.35
DARK_SHARE = 0.01  # of light ink: so much may be dark by chance
OVERSHOOT = 2.0  # floats below are meant to be in 0..1
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # told by content, whatever the file is called

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[Any]

_ACCEPTED = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF are read"
_ARRAYS = "(H, W) or (H, W, C), C = 1 (grey), 3 (RGB) or 4 (RGBA), of bools, integers or floats is accepted"
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_FULL_SCALES = (255, 1023, 4095, 16383, 65535)  # white, at 8, 10, 12, 14 and 16 bits
_PILLOW = re.compile(r"PIL\.")  # modules whose warnings are hushed
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|data:")  # one slash: Path("https://x") has no more
_TRANSPOSE = {  # EXIF orientation -> what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FOREIGN = {  # how a file starts, after white space -> what people take for a picture
    rb"(?s).{0,1000}%PDF-": "a PDF document: OCR.read_pages() reads its pages, load_pages() draws them",
    rb"(?is)<svg|<.{0,4000}<svg": "an SVG drawing: render it to a picture first",
    rb"(?i)<(!doctype html|html|head|body)": "an HTML page",
    rb"(?s).{4}ftyp(hei[cxms]|hev[cx])": "a HEIC picture: convert it to JPEG first",
    rb"%!PS": "a PostScript file: render it to a picture first",
}


class InputError(ValueError):
    """A picture that cannot be read: one sentence that names what was given and what is accepted."""


def load_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Any picture as 8-bit RGB: upright by its EXIF orientation, over white where transparent, first page or frame.

    What is drawn in light colours alone on transparent ground comes over black, for white would hide it.
    Grey levels of 16 and 32 bits and floats are scaled, never clipped; `_to_8_bits` says how. A PIL image is taken at
    its current frame, a file object read from its current position to its end; neither it nor an array is changed.

    Args:
        source: a path, the bytes of an encoded file, a binary file object, a PIL image, or an array (H, W) or
            (H, W, C) with C = 1, 3 (RGB) or 4 (RGBA). An array holds bools, integers in 0..65535, floats in 0..1, or
            floats in 0..255; of floats, alpha has a range of its own.
        max_pixels: larger pictures are refused before they are decoded.

    Returns:
        A new image of mode "RGB", its `size` (width, height) at most `max_pixels`, without metadata.

    Raises:
        InputError: not a picture, damaged or cut off, over `max_pixels` or MAX_BYTES, no such file. Nothing else.
    """
    _hush_pillow()
    if isinstance(source, Image.Image):
        with _refusing("the PIL image cannot be read: it is closed, or its file damaged or cut off"):
            return _decode(source, "the PIL image", max_pixels)
    if isinstance(source, np.ndarray):
        with _refusing("the array cannot be read as a picture"):
            return _to_rgb(_array_to_image(source, max_pixels))
    data, name = read_source(source)
    return decode_picture(open_picture(data, name), name, max_pixels=max_pixels)


def open_picture(data: bytes, name: str) -> Image.Image:
    """An encoded picture with its header read, its pixels not yet: for the frames of a file that has several.

    Args:
        data: the file.
        name: what messages call it.

    Raises:
        InputError: it is no picture that is accepted.
    """
    _hush_pillow()
    with _refusing(f"{name} is damaged, cut off or of an unsupported kind"):
        return _identify(data, name)


def decode_picture(picture: Image.Image, name: str, *, max_pixels: int) -> Image.Image:
    """What open_picture() gave, or a frame of it, as load_image() gives pictures.

    Args:
        picture: at its current frame.
        name: what messages call it.
        max_pixels: a larger one is refused before it is decoded.

    Raises:
        InputError: it is too large, damaged or cut off.
    """
    _hush_pillow()
    with _refusing(f"{name} is damaged, cut off or of an unsupported kind"):
        return _decode(picture, name, max_pixels)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turns every failure inside into an InputError that starts with `what`."""
    try:
        yield
    except InputError:
        raise
    # Pillow's parsers, and file objects of others, raise what a bad byte leads them to: OSError, SyntaxError,
    # struct.error, zlib.error, IndexError, OverflowError, MemoryError and more. None is worth telling apart.
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        raise InputError(f"{what} ({reason[:200]})") from error


def read_source(source: object) -> tuple[bytes, str]:
    """The encoded file, at most MAX_BYTES, and what messages call it.

    Raises:
        InputError: it cannot be read.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        with _refusing("the bytes given cannot be read"):
            _check_bytes(memoryview(source).nbytes, "the picture given as bytes")
            return bytes(source), "the picture given as bytes"
    if isinstance(source, str | os.PathLike):
        with _refusing(f"the {type(source).__name__} given is not a path"):
            path = os.fsdecode(source)
        name = _short(path)
        with _refusing(f"{name} cannot be read"):
            return _read_path(path, name), name
    if callable(read := getattr(source, "read", None)):
        with _refusing("the file object cannot be read"):
            called = getattr(source, "name", None)  # a number, or nothing, where it has none on the disk
        name = f"the file object {_short(called)}" if isinstance(called, str) else "the file object"
        with _refusing(f"{name} cannot be read"):
            return _drain(read, name), name
    kinds = "a path, bytes, a binary file object, a PIL image or a numpy array"
    raise InputError(f"a {type(source).__name__} is not a picture: {kinds} is accepted")


def _short(path: str) -> str:
    return repr(path) if len(path) <= 200 else f"{path[:150]!r}...{path[-40:]!r}"


def _read_path(path: str, name: str) -> bytes:
    if not path:
        raise InputError("the path is empty: the path of a picture file is needed")
    try:
        status = Path(path).stat()
    except OSError:
        if _URL.match(path):
            raise InputError(f"{name} is a URL: there is no network access, give a file or its bytes") from None
        raise
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a directory: the path of one picture file is needed")
    if not stat.S_ISREG(status.st_mode):  # before open(), which waits at a pipe for somebody to write
        raise InputError(f"{name} is a pipe, socket or device: only regular files are read")
    _check_bytes(status.st_size, name)
    with Path(path).open("rb") as file:
        return _drain(file.read, name)


def _drain(read: Callable[[int], Any], name: str) -> bytes:
    """All that is left to read; in pieces, as raw streams answer short and one large read() reserves its size."""
    data = bytearray()
    while piece := read(1 << 20):
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InputError(f"{name} gives {type(piece).__name__}, not bytes: open it in binary mode ('rb')")
        data += piece
        _check_bytes(len(data), name)
    return bytes(data)


def _check_bytes(count: int, name: str) -> None:
    if count > MAX_BYTES:
        raise InputError(f"{name} has {count:,} bytes or more: up to {MAX_BYTES:,} are read")


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise InputError(f"{name} has no pixels: it is {width} x {height}")
    if width * height > max_pixels:
        raise InputError(f"{name} is too large: it has {width} x {height} pixels, up to {max_pixels:,} are read")


def _identify(data: bytes, name: str) -> Image.Image:
    """The picture with its header read, its pixels not yet.

    As Image.open(formats=FORMATS) does, but that warns of a large picture, or raises, before its size can be asked.
    """
    if not data:
        raise InputError(f"{name} is empty (0 bytes): {_ACCEPTED}")
    Image.init()
    for format_name in FORMATS:
        factory, accept = Image.OPEN[format_name]
        if accept is not None and accept(data[:16]) is True:  # a text, if Pillow was built without the format
            return factory(BytesIO(data), "")
    head = data[:5000].lstrip(b"\xef\xbb\xbf \t\r\n")
    kind = next((kind for start, kind in _FOREIGN.items() if re.match(start, head)), "not a picture of a known format")
    raise InputError(f"{name} is {kind}; {_ACCEPTED}")


def _decode(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    _check_size(*image.size, name, max_pixels)
    tags = getattr(image, "tag_v2", {})  # a TIFF may put a small picture into one huge tile
    _check_size(
        tags.get(TiffImagePlugin.TILEWIDTH, 1), tags.get(TiffImagePlugin.TILELENGTH, 1), f"a tile of {name}", max_pixels
    )
    image.load()
    try:  # not ImageOps.exif_transpose: it writes all tags anew, and raises at a broken one
        method = _TRANSPOSE.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - broken metadata is no reason to refuse a picture
        method = None
    rgb = _to_rgb(image)
    return rgb if method is None else rgb.transpose(method)


def _hush_pillow() -> None:
    """Keeps what Pillow says of odd metadata off the terminal, and out of the way where warnings are errors.

    The filter stays, in front. warnings.catch_warnings is not thread-safe: two pictures decoded at once could leave the process
    with the wrong filters for good. It covers no DecompressionBombWarning and nothing outside Pillow.
    """
    if warnings.filters[:1] != [("ignore", None, UserWarning, _PILLOW, 0)]:
        warnings.filterwarnings("ignore", category=UserWarning, module=_PILLOW.pattern)


def _to_rgb(image: Image.Image) -> Image.Image:
    """A new RGB image, without metadata: an orientation left in it would be applied a second time."""
    if image.mode in _DEEP_MODES:
        image = _deep_to_grey(image)
    if image.mode == "La":  # converts to nothing but LA
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.copy().convert("RGBA")  # of a copy: convert() writes the transparency into the palette
        rgb = Image.new("RGB", image.size, "black" if _is_light_ink(rgba) else "white")
        rgb.paste(rgba, mask=rgba)
    else:
        rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def _is_light_ink(rgba: Image.Image) -> bool:
    """Whether what is on transparent ground is all lighter than mid-grey.

    A sheet with dark ink on it is not, nor is one that reaches the border: its corners or holes are not its ground.
    """
    alpha = rgba.getchannel("A")
    if int(np.asarray(ground(alpha))) > 127:
        return False
    covers = np.asarray(alpha)
    # colours where there is little of them are often left over: of edges blended with black before, or of compression
    solid = covers >= max(1, 0.75 * int(covers.max()))
    colours = np.asarray(rgba.convert("RGB").convert("L"))[solid]
    return bool(colours.size and np.mean(colours < 128) < DARK_SHARE)


def _deep_to_grey(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    grey = _to_8_bits(levels)
    if getattr(image, "tag_v2", {}).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        grey = 255 - grey  # 0 is white, which Pillow sees to at 8 bits but not above
    if (transparent := image.info.get("transparency")) is not None:
        opaque = (levels != transparent).astype(np.uint8) * np.uint8(255)
        return Image.fromarray(np.dstack([grey, opaque]))
    return Image.fromarray(grey)


def _to_8_bits(levels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey levels of any range -> 0..255, same shape.

    White is 1 for floats within 0..1, the greatest where they overshoot that (no picture in 0..255 is so dark that it
    ends below OVERSHOOT, but filters and resizing lead a little over 1), else the largest level of the fewest bits
    (8, 10, 12, 14, 16) that hold them all: cameras and scanners keep 10 or 12 bits in 16, which `>> 8` would leave nearly
    black. Where levels are negative or above 65535 there is no such convention: the least is black, the greatest white.
    """
    low, high = float(levels.min()), float(levels.max())  # NaN if any is
    if not np.isfinite([low, high]).all():
        raise InputError("the picture has NaN or infinite grey levels: finite ones are accepted")
    if low >= 0 and high <= _FULL_SCALES[-1]:
        if levels.dtype.kind == "f" and high < OVERSHOOT:
            low, high = 0, max(1, high)
        else:
            low, high = 0, next(scale for scale in _FULL_SCALES if scale >= high)
    elif low == high:
        return np.full(levels.shape, 255, np.uint8)
    scaled = levels.astype(np.float64)
    scaled -= low
    scaled *= 255 / (high - low)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _array_to_image(array: npt.NDArray[Any], max_pixels: int) -> Image.Image:
    name = f"the array of shape {array.shape} and dtype {str(array.dtype)[:40]}"
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.dtype.kind not in "buif":
        raise InputError(f"{name} is not a picture: {_ARRAYS}")
    _check_size(array.shape[1], array.shape[0], name, max_pixels)
    levels = np.asarray(array[:, :, 0] if array.shape[2:] == (1,) else array)
    if levels.dtype.kind == "b":
        levels = levels.astype(np.uint8) * np.uint8(255)
    elif levels.dtype != np.uint8:
        if levels.dtype.kind == "f" and not np.isfinite(levels).all():
            raise InputError(f"{name} has NaN or infinite values: finite ones are accepted")
        limit = 255 if levels.dtype.kind == "f" else 65535
        if not (levels.min() >= 0 and levels.max() <= limit):
            raise InputError(f"{name} has values outside 0..{limit}: floats to 1 or 255 and integers to 65535 are read")
        if channels == 4 and levels.dtype.kind == "f":  # colours may be in 0..255 and alpha in 0..1
            levels = np.dstack([_to_8_bits(levels[:, :, :3]), _to_8_bits(levels[:, :, 3])])
        else:
            levels = _to_8_bits(levels)
    return Image.fromarray(np.ascontiguousarray(levels))


def ground(image: Image.Image) -> int | tuple[int, ...]:
    """The colour of most of a picture's border, as its mode has it: what is taken to lie beyond."""
    width, height = image.size
    sides = ((0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height))
    bands = len(image.getbands())
    border = np.concatenate([np.asarray(image.crop(side)).reshape(-1, bands) for side in sides])
    median = np.median(border if bands > 1 else border[:, 0], axis=0)
    return tuple(int(value) for value in median) if median.ndim else int(median)


def ink(image: Image.Image) -> npt.NDArray[np.bool_]:
    """(H, W) of a grey picture: what differs from the ground, light or dark."""
    difference = np.abs(np.asarray(image).astype(np.int16) - np.asarray(ground(image), np.int16))
    return np.asarray(difference > max(LEAST_CONTRAST, INK_CONTRAST * int(difference.max())))


def box_of(inked: npt.NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) around the pixels that are marked, in a picture's (H, W); None where none are."""
    return Image.fromarray(inked.view(np.uint8)).getbbox()

"""simpleocr.image: the same picture from every encoding, and one InputError for everything that is none."""

import array
import io
import os
import random
import socket
import struct
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageFile, ImageFont, PngImagePlugin

from simpleocr import image as module
from simpleocr.image import FORMATS, MAX_PIXELS, InputError, load_image

Grey = npt.NDArray[np.uint8]


def draw(text: str = "Hello 27") -> Image.Image:
    """Black on white with grey edges, the left half smaller than the right so that no flip looks like another."""
    picture = Image.new("L", (120, 44), 255)
    brush = ImageDraw.Draw(picture)
    brush.text((6, 4), text, fill=0, font=ImageFont.load_default(24))
    brush.rectangle((100, 30, 116, 40), fill=60)
    return picture


PICTURE = draw()
LEVELS: Grey = np.asarray(PICTURE)


def save(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes = b"", *more: bytes) -> bytes:
    """A grey 8-bit PNG of any size in its header; `more` chunks come before its rows."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body + chunk(b"IEND", b"")


def grey(source: Any) -> Grey:
    loaded = load_image(source)
    assert loaded.mode == "RGB"
    assert type(loaded) is Image.Image
    assert loaded.info == {}
    return np.asarray(loaded.convert("L"))


def refusal(source: Any) -> str:
    """The message of the InputError: one sentence of a bearable length."""
    with pytest.raises(InputError) as caught:
        load_image(source)
    message = str(caught.value)
    assert "\n" not in message
    assert 10 < len(message) < 520
    return message


# ---- the same picture in every encoding


def ink_on_nothing(mode: str) -> Image.Image:
    alpha = PICTURE.point(lambda level: 255 - level)
    return Image.merge("LA", (Image.new("L", PICTURE.size, 0), alpha)).convert(mode)


def hidden_paper(mode: str) -> tuple[Image.Image, int | tuple[int, int, int]]:
    """Paper of a dark colour that only tRNS makes transparent; no ink has it."""
    key = 31
    levels = np.where(LEVELS == 255, key, np.where(key == LEVELS, key + 1, LEVELS)).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(
            np.where(LEVELS == 255, 31 * 257, levels.astype(np.uint16) * 257).astype(np.uint16)
        ), 7967
    return Image.fromarray(levels).convert(mode), (key, key, key) if mode == "RGB" else key


def with_trns(mode: str) -> bytes:
    picture, key = hidden_paper(mode)
    return save(picture, transparency=key)


def palette_alpha() -> bytes:
    """All colours of the palette are black, only their alphas differ: dropping alpha leaves a black picture."""
    picture = Image.frombytes("P", PICTURE.size, PICTURE.tobytes())
    picture.putpalette(bytes(768))
    return save(picture, transparency=bytes(range(255, -1, -1)))


def deep(scale: float, dtype: str = "<u2", offset: float = 0) -> Image.Image:
    values = LEVELS.astype(np.float64) * scale + offset
    return Image.fromarray((np.rint(values) if "u" in dtype or "i" in dtype else values).astype(dtype))


def white_is_zero() -> bytes:
    data = save(deep(-257, offset=65535), "TIFF")
    entry = struct.pack("<HHI", 262, 3, 1)
    assert data.count(entry + b"\x01") == 1
    return data.replace(entry + b"\x01", entry + b"\x00")


def frames(kind: str, mode: str = "L", **options: Any) -> bytes:
    return save(
        PICTURE.convert(mode),
        kind,
        save_all=True,
        append_images=[Image.new(mode, PICTURE.size), Image.new(mode, (9, 9))][: 2 if kind in ("TIFF", "MPO") else 1],
        **options,
    )


def light_on_nothing(colour: str = "white", under: str = "black") -> Image.Image:
    """The ink of the picture in a light colour; `under` is what the transparent pixels hold."""
    alpha = PICTURE.point(lambda level: 255 - level)
    image = Image.new("RGBA", PICTURE.size, under)
    image.paste(colour, mask=alpha.point(lambda level: 255 * (level > 0)))
    image.putalpha(alpha)
    return image


def light_levels() -> bytes:
    """16 bits, of which only the level of the ground is transparent."""
    levels = (255 - LEVELS.astype(np.uint16)) * 257
    return save(Image.fromarray(np.where(levels > 33000, levels, 7967).astype(np.uint16)), transparency=7967)


def light_palette() -> bytes:
    picture = Image.frombytes("P", PICTURE.size, PICTURE.tobytes())
    picture.putpalette(b"\xff" * 768)
    return save(picture, transparency=bytes(range(255, -1, -1)))


LIGHT: dict[str, Callable[[], Any]] = {
    "RGBA": light_on_nothing,
    "on white": lambda: light_on_nothing(under="white"),
    "yellow": lambda: light_on_nothing("#ffff80"),
    "png": lambda: save(light_on_nothing()),
    "LA": lambda: save(light_on_nothing().convert("LA")),
    "palette": light_palette,
    "gif": lambda: save(light_on_nothing().convert("P"), "GIF"),
    "apng": lambda: save(light_on_nothing(), save_all=True, append_images=[Image.new("RGBA", PICTURE.size)]),
    "webp": lambda: save(light_on_nothing(), "WEBP", quality=60),
    "webp frames": lambda: save(light_on_nothing(), "WEBP", save_all=True, append_images=[light_on_nothing()]),
    "I;16 with tRNS": light_levels,
    "array": lambda: np.asarray(light_on_nothing()),
    "16 bits": lambda: np.asarray(light_on_nothing()).astype(np.uint16) * 257,
}


@pytest.mark.parametrize("kind", LIGHT)
def test_light_ink_on_nothing_is_seen(kind: str) -> None:
    found = grey(LIGHT[kind]()).astype(int)
    assert found[LEVELS == 255].max() <= 20, "the ground is dark"
    assert found[LEVELS == 0].min() >= 200
    if kind in ("RGBA", "on white", "png", "LA", "palette", "array", "16 bits"):
        np.testing.assert_allclose(found, 255 - LEVELS, atol=1)


def test_half_transparent_ink_is_seen_by_its_colour() -> None:
    for level in (0, 255):
        faint = ink_on_nothing("LA") if level == 0 else light_on_nothing().convert("LA")
        faint.putalpha(faint.getchannel("A").point(lambda covers: covers // 3))
        found = grey(faint)
        assert (found[LEVELS == 255] == 255 - level).all()
        assert abs(int(found[LEVELS == 0][0]) - (170 if level == 0 else 85)) <= 1


def test_sheets_with_transparent_corners_holes_or_margins_stay_over_white() -> None:
    sheet = Image.merge("LA", (PICTURE, Image.new("L", PICTURE.size, 255)))
    for hole in ((0, 0, 5, 5), (9, 9, 30, 20)):
        holed = sheet.copy()
        holed.paste((0, 0), hole)
        assert grey(holed)[hole[1] + 1, hole[0] + 1] == 255
    wide = Image.new("LA", (PICTURE.width + 40, PICTURE.height + 40))
    wide.paste(sheet, (20, 20))
    assert grey(wide)[0, 0] == 255
    assert (grey(Image.new("RGBA", (20, 20), (255, 255, 255, 0))) == 255).all(), "nothing at all is white"


LOSSLESS: dict[str, Callable[[], bytes]] = {
    "png L": lambda: save(PICTURE),
    "png RGB": lambda: save(PICTURE.convert("RGB")),
    "png RGBA opaque": lambda: save(PICTURE.convert("RGBA")),
    "png RGBA transparent": lambda: save(ink_on_nothing("RGBA")),
    "png LA transparent": lambda: save(ink_on_nothing("LA")),
    "png P": lambda: save(PICTURE.convert("P")),
    "png P with alphas": palette_alpha,
    "png P with tRNS": lambda: with_trns("P"),
    "png L with tRNS": lambda: with_trns("L"),
    "png RGB with tRNS": lambda: with_trns("RGB"),
    "png I;16": lambda: save(deep(257)),
    "png I;16 with tRNS": lambda: with_trns("I;16"),
    "png I;16 of 12 bits": lambda: save(deep(4095 / 255)),
    "png I;16 of 10 bits": lambda: save(deep(1023 / 255)),
    "png I;16 of 8 bits": lambda: save(deep(1)),
    "apng": lambda: frames("PNG"),
    "gif": lambda: save(PICTURE, "GIF"),
    "gif transparent": lambda: save(hidden_paper("P")[0], "GIF", transparency=31, optimize=False),
    "gif animated": lambda: frames("GIF"),
    "bmp L": lambda: save(PICTURE, "BMP"),
    "bmp RGB": lambda: save(PICTURE.convert("RGB"), "BMP"),
    "webp lossless": lambda: save(PICTURE.convert("RGB"), "WEBP", lossless=True),
    "webp transparent": lambda: save(ink_on_nothing("RGBA"), "WEBP", lossless=True, exact=True),
    "webp animated": lambda: frames("WEBP", "RGB", lossless=True),
    "tiff L": lambda: save(PICTURE, "TIFF"),
    "tiff LZW": lambda: save(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff deflate RGBA": lambda: save(ink_on_nothing("RGBA"), "TIFF", compression="tiff_adobe_deflate"),
    "tiff CMYK": lambda: save(PICTURE.convert("RGB").convert("CMYK"), "TIFF"),
    "tiff I;16": lambda: save(deep(257), "TIFF"),
    "tiff I;16 LZW": lambda: save(deep(257), "TIFF", compression="tiff_lzw"),
    "tiff I;16B": lambda: save(deep(257, ">u2"), "TIFF"),
    "tiff I;16 white is zero": white_is_zero,
    "tiff I": lambda: save(deep(1, "<i4"), "TIFF"),
    "tiff I of 16 bits": lambda: save(deep(257, "<i4"), "TIFF"),
    "tiff I beyond": lambda: save(deep(1e6, "<i4", -1e8), "TIFF"),
    "tiff F 0..1": lambda: save(deep(1 / 255, "<f4"), "TIFF"),
    "tiff F 0..255": lambda: save(deep(1, "<f4"), "TIFF"),
    "tiff F beyond": lambda: save(deep(2e30, "<f4", -1e30), "TIFF"),
    "tiff of three pages": lambda: frames("TIFF"),
}
LOSSY: dict[str, Callable[[], bytes]] = {
    "jpeg L": lambda: save(PICTURE, "JPEG", quality=95),
    "jpeg RGB progressive": lambda: save(PICTURE.convert("RGB"), "JPEG", quality=95, progressive=True),
    "jpeg CMYK": lambda: save(PICTURE.convert("RGB").convert("CMYK"), "JPEG", quality=95),
    "mpo": lambda: frames("MPO", "RGB", quality=95),
    "webp": lambda: save(PICTURE.convert("RGB"), "WEBP", quality=95),
    "avif": lambda: save(PICTURE.convert("RGB"), "AVIF", quality=95),
    "avif transparent": lambda: save(ink_on_nothing("RGBA"), "AVIF", quality=95),
    "tiff JPEG": lambda: save(PICTURE.convert("RGB"), "TIFF", compression="jpeg", quality=95),
    "tiff LAB": lambda: save(PICTURE.convert("RGB").convert("LAB"), "TIFF"),
}
BILEVEL: dict[str, Callable[[Image.Image], bytes]] = {
    "png 1": save,
    "png 1 with tRNS": lambda picture: save(picture, transparency=1),
    "gif 1": lambda picture: save(picture, "GIF"),
    "bmp 1": lambda picture: save(picture, "BMP"),
    "tiff 1": lambda picture: save(picture, "TIFF"),
    "tiff G4": lambda picture: save(picture, "TIFF", compression="group4"),
    "tiff G3": lambda picture: save(picture, "TIFF", compression="group3"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_encoding_gives_the_same_pixels(name: str) -> None:
    np.testing.assert_allclose(grey(LOSSLESS[name]()).astype(int), LEVELS, atol=1)


@pytest.mark.parametrize("name", LOSSY)
def test_a_lossy_encoding_gives_nearly_the_same_pixels(name: str) -> None:
    difference = np.abs(grey(LOSSY[name]()).astype(int) - LEVELS)
    assert difference.mean() < 3
    assert difference.max() < 48


@pytest.mark.parametrize("name", BILEVEL)
def test_a_bilevel_encoding_gives_the_same_pixels(name: str) -> None:
    picture = PICTURE.convert("1", dither=Image.Dither.NONE)
    np.testing.assert_array_equal(grey(BILEVEL[name](picture)), np.asarray(picture.convert("L")))


MODES = ("1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "LA", "La", "PA", "I", "F")


@pytest.mark.parametrize("mode", [*MODES, "I;16", "I;16L", "I;16B", "I;16N"])
def test_a_pil_image_of_any_mode(mode: str) -> None:
    if mode.startswith("I;16"):
        values = (LEVELS.astype(np.uint16) * 257).astype(
            ">u2" if mode == "I;16B" else "<u2" if mode == "I;16L" else "=u2"
        )
        picture = Image.frombytes(mode, PICTURE.size, values.tobytes())
    elif mode in ("La", "RGBa", "PA"):
        picture = PICTURE.convert("RGBA" if mode == "RGBa" else "LA").convert(mode)
    else:
        picture = PICTURE.convert("RGB").convert(mode, dither=Image.Dither.NONE)
    assert picture.mode == mode
    assert np.abs(grey(picture).astype(int) - LEVELS).mean() < (12 if mode == "1" else 3)


def test_colours_keep_their_order() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]]], np.uint8)
    for source in (
        colours,
        Image.fromarray(colours),
        save(Image.fromarray(colours)),
        colours / 255,
        colours * 257.0 / 257,
    ):
        np.testing.assert_array_equal(np.asarray(load_image(cast(Any, source))), colours)


@pytest.mark.parametrize("level", [0, 7, 255, 1000, 70000, -5])
def test_a_flat_deep_picture_stays_flat(level: int) -> None:
    assert np.unique(grey(Image.new("I", (5, 4), level))).size == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (100_000, 10), (10, 100_000), (5000, 5000)])
def test_thin_and_large_pictures_within_the_limit_load(size: tuple[int, int]) -> None:
    assert load_image(save(Image.new("1", size, 1))).size == size


# ---- orientation

INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", INVERSE)
def test_every_orientation_comes_upright_once(kind: str, orientation: int) -> None:
    method = INVERSE[orientation]
    stored = PICTURE.convert("RGB") if method is None else PICTURE.convert("RGB").transpose(method)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(stored, kind, exif=exif, quality=95) if kind != "TIFF" else save(stored, kind, exif=exif)
    for source in (data, Image.open(io.BytesIO(data)), load_image(data)):
        loaded = grey(source)
        assert loaded.shape == LEVELS.shape
        assert np.abs(loaded.astype(int) - LEVELS).mean() < 3


def exif_block(entry: bytes) -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0"


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        exif_block(struct.pack("<HHII", 0x0112, 3, 1, 0)),
        exif_block(struct.pack("<HHII", 0x0112, 3, 1, 99)),
        exif_block(struct.pack("<HHII", 0x0112, 2, 2, 0x36)),
        exif_block(struct.pack("<HHII", 0x0112, 5, 1, 9000)),
        exif_block(struct.pack("<HHII", 0x0112, 3, 1 << 30, 8)),
        exif_block(struct.pack("<HHIHH", 0x0112, 3, 2, 6, 6)),
    ],
)
def test_broken_exif_is_ignored(exif: bytes) -> None:
    if exif == exif_block(struct.pack("<HHIHH", 0x0112, 3, 2, 6, 6)):  # two values for one: Pillow takes the first
        assert load_image(save(PICTURE, "JPEG", exif=exif)).size == PICTURE.size[::-1]
        return
    assert load_image(save(PICTURE, "JPEG", exif=exif)).size == PICTURE.size
    assert load_image(save(PICTURE, "WEBP", exif=exif)).size == PICTURE.size


def test_what_pillow_warns_of_does_not_escape() -> None:
    odd = (
        png(2, 1, b"\0\1\2", chunk(b"acTL", struct.pack(">II", 0, 0))),
        save(PICTURE, "JPEG", exif=exif_block(struct.pack("<HHIHH", 0x0112, 3, 2, 1, 1))),
        save(PICTURE, "JPEG", exif=exif_block(struct.pack("<HHII", 0x010F, 2, 5000, 9))),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for data in odd:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                Image.open(io.BytesIO(data)).getexif().get(0x0112)
            assert said, "Pillow has nothing to say: the test shows nothing"
            assert load_image(data).size in ((2, 1), PICTURE.size)
        refusal(png(13_300, 13_300))
        warnings.warn("of somebody else", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["of somebody else"]


# ---- files that are no pictures

WHOLE = {kind: save(PICTURE.convert("RGB"), kind) for kind in FORMATS}
HTML = b"\xef\xbb\xbf\n <!DOCTYPE html><html><body>404</body></html>"
NO_PICTURES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "one byte": (b"\xff", "not a picture of a known format"),
    "text": (b"Hello\n" * 100, "not a picture of a known format"),
    "html": (HTML, "HTML page"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "svg after a prolog": (b"<?xml version='1.0'?>\n<!-- a drawing -->\n<svg width='5'/>", "SVG"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    "pdf after junk": (b"\0junk\n%PDF-1.4", "PDF"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    "heic of another brand": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "unsupported"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "ico": (save(PICTURE, "ICO"), "not a picture of a known format"),
    "ppm": (save(PICTURE, "PPM"), "not a picture of a known format"),
    "pickle": (b"\x80\x04\x95\x05\0\0\0", "not a picture of a known format"),
    "zip": (b"PK\3\4" + bytes(50), "not a picture of a known format"),
    "text that starts as bmp": (b"BMW is a maker of cars" * 9, "BMP|unsupported"),
    "no width": (png(0, 5), "no pixels|unsupported"),
    "wrong checksum": (WHOLE["PNG"][:60] + b"\x55" + WHOLE["PNG"][61:], "damaged"),
    "zTXt bomb": (png(1, 1, b"\0\0", chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(5_000_000)))), "damaged"),
    "header only": (WHOLE["PNG"][:33], "cut off"),
    "tiff of a loop": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "damaged"),
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    data, said = NO_PICTURES[name]
    path = tmp_path / "upload.png"
    path.write_bytes(data)
    assert "upload.png" in refusal(path)
    for source in (data, path, io.BytesIO(data)):
        message = refusal(source)
        assert any(words in message for words in said.split("|")), message
    if "not a picture" in said:
        assert "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF are read" in message


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(kind: str, part: float) -> None:
    data = WHOLE[kind][: int(len(WHOLE[kind]) * part)]
    assert "cut off" in refusal(data)
    if part == 0.9 and kind not in ("WEBP", "AVIF"):  # those two read all at open
        assert "cut off" in refusal(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("kind", FORMATS)
def test_content_decides_not_the_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong name.pdf"
    path.write_bytes(WHOLE[kind])
    assert load_image(path).size == load_image(str(path)).size == PICTURE.size


def with_size(kind: str, width: int, height: int) -> bytes:
    """A small file whose header promises a large picture."""
    data = bytearray(WHOLE[kind])
    if kind == "PNG":
        return png(width, height)
    if kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "JPEG":
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    elif kind == "TIFF":
        for tag, value in ((256, width), (257, height)):
            at = data.index(struct.pack("<HHI", tag, 4, 1))
            data[at + 8 : at + 12] = struct.pack("<I", value)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG", "TIFF"])
@pytest.mark.parametrize("size", [(50_000, 50_000), (13_300, 13_300), (5001, 5000), (65_535, 382)])
def test_a_bomb_is_refused_by_its_header(kind: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_size(kind, *size)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded before its size was checked"))
    start = time.perf_counter()
    assert f"{size[0]} x {size[1]} pixels, up to 25,000,000" in refusal(data)
    assert time.perf_counter() - start < 0.5
    assert size[0] * size[1] > MAX_PIXELS


def tiled(side: int) -> bytes:
    """A TIFF of 8 x 8 white pixels in one tile."""
    tile = zlib.compress(b"\xff" * min(side * side, 4096))
    tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 134, 325: len(tile)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    assert len(head) == 134
    return head + tile


def test_a_small_tiff_in_a_huge_tile() -> None:
    assert np.unique(grey(tiled(64))).tolist() == [255]
    assert "12000 x 12000 pixels" in refusal(tiled(12_000))
    assert "40000 x 40000 pixels" in refusal(tiled(40_000))


@pytest.mark.parametrize("size", [(2**31 - 1, 5), (5, 2**31 - 1), (2**32 - 1, 2**32 - 1)])
def test_absurd_sizes_are_refused(size: tuple[int, int]) -> None:
    refusal(png(*size))


def test_nothing_of_pillow_is_changed() -> None:
    load_image(WHOLE["PNG"])
    refusal(WHOLE["PNG"][:200])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


# ---- paths


def missing(folder: Path) -> object:
    return folder / "none.png"


def special(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def made(folder: Path) -> object:
        make(folder / "special.png")
        return folder / "special.png"

    return made


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(path))


PATHS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (missing, "none.png' cannot be read (No such file"),
    "missing folder": (lambda folder: folder / "a" / "b.png", "No such file"),
    "a file as folder": (lambda folder: f"{__file__}/x.png", "Not a directory"),
    "directory": (lambda folder: folder, "is a directory"),
    "current directory": (lambda folder: Path(), "is a directory"),
    "dangling link": (special(lambda path: path.symlink_to("nowhere")), "No such file"),
    "link to itself": (special(lambda path: path.symlink_to(path)), "symbolic links"),
    "fifo": (special(os.mkfifo), "pipe, socket or device"),
    "socket": (special(bind_socket), "pipe, socket or device"),
    "device": (lambda folder: "/dev/zero", "pipe, socket or device"),
    "NUL": (lambda folder: "a\0b.png", "null byte"),
    "NUL in a Path": (lambda folder: Path("a\0b.png"), "null byte"),
    "name too long": (lambda folder: folder / ("a" * 300), "File name too long"),
    "path too long": (lambda folder: "a/" * 5000, "File name too long"),
    "empty": (lambda folder: "", "the path is empty"),
    "blank": (lambda folder: " ", "No such file"),
    "newline": (lambda folder: "a\nb.png", r"'a\nb.png'"),
    "not UTF-8": (lambda folder: "\udcff.png", r"'\udcff.png'"),
    "lone surrogate": (lambda folder: "\ud800.png", "surrogates"),
    "url": (lambda folder: "https://example.com/a.png", "no network access"),
    "url as a Path": (lambda folder: Path("https://example.com/a.png"), "no network access"),
    "file url": (lambda folder: "file:///tmp/a.png", "is a URL"),
    "data url": (lambda folder: "data:image/png;base64," + "A" * 9000, "is a URL"),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_bad_path_is_refused_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, said = PATHS[name]
    path = make(tmp_path)
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(refusal(path)), daemon=True)  # blocked, it fails alone
    thread.start()
    thread.join(10)
    assert messages, "no answer"
    assert said in messages[0], messages[0]


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(WHOLE["PNG"])
    path.chmod(0)
    if os.geteuid() == 0:  # root may read all

        def denied(*args: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", denied)
    assert "Permission denied" in refusal(path)


def test_good_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("a", "a b\n.png", "ü" * 100, "\udcff.gif", "data:x", "-", "#?*[x].png", "a" * 255)
    for name in names:
        Path(name).write_bytes(WHOLE["PNG"])
        assert load_image(name).size == PICTURE.size
    Path("link").symlink_to("a")
    Path("http:").mkdir()
    Path("http:/x").write_bytes(WHOLE["PNG"])
    assert load_image(Path("link")).size == load_image(Path("http:/x")).size == PICTURE.size
    for entry in os.scandir(b"."):
        if entry.is_file():
            assert load_image(cast(Any, entry)).size == PICTURE.size


class Broken(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise RuntimeError("no path\nhere")


def test_a_broken_path_object() -> None:
    assert refusal(Broken()) == "the Broken given is not a path (no path here)"


def test_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 3_000_000)
    path = tmp_path / "large.bmp"
    with path.open("wb") as file:
        file.truncate(3_000_001)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            assert self.given < 10_000_000
            return bytes(size)

    for source in (path, path.read_bytes(), memoryview(path.read_bytes()), path.open("rb"), Endless()):
        assert "up to 3,000,000 are read" in refusal(source)
        if isinstance(source, io.BufferedReader):
            source.close()


# ---- bytes and file objects


def test_bytes_of_all_kinds() -> None:
    data = WHOLE["PNG"]
    odd = memoryview(bytes(value for pair in zip(data, data, strict=True) for value in pair))[::2]
    for source in (data, bytearray(data), memoryview(data), odd):
        assert load_image(source).size == PICTURE.size
    view = memoryview(bytearray(data))
    view.release()
    assert "cannot be read" in refusal(view)


class Short(io.RawIOBase):
    """A stream that cannot seek and answers short."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int = -1) -> bytes:
        piece, self.data = self.data[:100], self.data[100:]
        return piece


def test_file_objects(tmp_path: Path) -> None:
    data = WHOLE["PNG"]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", data)
    shifted = io.BytesIO(b"junk" + data)
    shifted.seek(4)
    assert load_image(shifted).size == PICTURE.size
    assert not shifted.closed
    assert load_image(cast(Any, Short(data))).size == PICTURE.size
    with zipfile.ZipFile(path) as archive, archive.open("a.png") as member:
        assert load_image(cast(Any, member)).size == PICTURE.size
    assert "empty" in refusal(shifted)  # all is read by now


class Nasty:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def read(self, size: int) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_bad_file_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["PNG"])
    (tmp_path / "a.txt").write_text("text")
    closed = path.open("rb")
    closed.close()
    assert "closed file" in refusal(closed)
    with path.open(encoding="latin-1") as text, path.open() as broken, (tmp_path / "b").open("wb") as written:
        assert "binary mode" in refusal(text)
        assert "cannot be read" in refusal(broken)
        assert "cannot be read" in refusal(written)
    assert "binary mode" in refusal(io.StringIO("text"))
    for error in (OSError(5, "Input/output error"), zlib.error("bad"), RuntimeError(), MemoryError(), EOFError("end")):
        assert "the file object cannot be read" in refusal(Nasty(error))
    for answer in (7, [1], object()):
        assert "binary mode" in refusal(Nasty(answer))
    assert "empty" in refusal(Nasty(None))


def test_a_file_object_is_called_what_it_calls_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"text")
    with (tmp_path / "a.png").open("rb") as file:
        assert refusal(file).startswith(f"the file object {str(tmp_path / 'a.png')!r} is not a picture")
    with tempfile.TemporaryFile() as file:  # its name is a number
        assert refusal(file).startswith("the file object is empty")


@pytest.mark.parametrize("in_memory", [False, True])
def test_of_a_pdf_it_is_said_what_reads_it(in_memory: bool, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n")
    message = refusal(b"%PDF-1.7\n" if in_memory else tmp_path / "a.pdf")
    assert "is a PDF document: OCR.read_pages() reads its pages, load_pages() draws them" in message


@pytest.mark.parametrize(
    "source",
    [
        None,
        3,
        2.5,
        True,
        [],
        {},
        (1, 2),
        object(),
        [[0, 255]],
        np.float64(1),
        array.array("B", b"12"),
        Image,
        bytes,
        print,
    ],
)
def test_other_types_are_refused_by_name(source: object) -> None:
    assert refusal(source).startswith(f"a {type(source).__name__} is not a picture: a path, bytes")


# ---- PIL images


def state(picture: Image.Image) -> tuple[object, ...]:
    palette = picture.getpalette("RGBA") if picture.mode in ("P", "PA") else None
    return picture.mode, picture.size, dict(picture.info), picture.tobytes(), palette


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_a_pil_image_is_not_changed(name: str) -> None:
    with Image.open(io.BytesIO((LOSSLESS | LOSSY)[name]())) as picture:
        picture.load()
        before = state(picture)
        first = load_image(picture)
        assert state(picture) == before
        first.paste((1, 2, 3), (0, 0, *first.size))
        assert state(picture) == before
        assert load_image(picture).size == PICTURE.size


def test_bad_pil_images(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["PNG"])
    closed = Image.open(path)
    closed.close()
    assert "closed" in refusal(closed)
    made = PICTURE.copy()
    made.close()
    assert "closed" in refusal(made)
    assert "no pixels" in refusal(Image.Image())
    assert "no pixels" in refusal(Image.new("L", (0, 7)))
    assert "5001 x 5000 pixels" in refusal(Image.new("1", (5001, 5000)))
    for value in (float("nan"), float("inf"), float("-inf")):
        picture = Image.new("F", (3, 3), 0.5)
        picture.putpixel((1, 1), value)
        assert "NaN or infinite" in refusal(picture)
    odd = Image.new("P", (3, 3))
    odd.info["transparency"] = (1, 2, 3)
    assert "PIL image" in refusal(odd)


def test_a_lazy_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = PngImagePlugin.PngImageFile(io.BytesIO(png(13_300, 13_300)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert "13300 x 13300" in refusal(lazy)


def test_a_pil_image_is_taken_at_its_frame() -> None:
    with Image.open(io.BytesIO(frames("TIFF"))) as picture:
        picture.seek(2)
        assert load_image(picture).size == (9, 9)


# ---- arrays


@pytest.mark.parametrize(
    "dtype", ["u1", "<u2", ">u2", "u4", "u8", "i2", ">i4", "i8", "f2", "f4", ">f4", "f8", "longdouble"]
)
def test_an_array_of_any_number_type(dtype: str) -> None:
    np.testing.assert_array_equal(grey(LEVELS.astype(dtype)), LEVELS)
    if dtype not in ("u1", "i2", "f2") and "f" not in dtype and dtype != "longdouble":
        np.testing.assert_array_equal(grey((LEVELS.astype(np.int64) * 257).astype(dtype)), LEVELS)
    if "f" in dtype or dtype == "longdouble":
        np.testing.assert_allclose(grey((LEVELS / 255).astype(dtype)).astype(int), LEVELS, atol=1)


def test_arrays_of_any_layout() -> None:
    np.testing.assert_array_equal(grey(LEVELS > 100), (LEVELS > 100) * 255)
    np.testing.assert_array_equal(grey(LEVELS[:, :, None]), LEVELS)
    np.testing.assert_array_equal(grey(np.repeat(LEVELS[:, :, None], 3, axis=2)), LEVELS)
    np.testing.assert_array_equal(grey(np.asfortranarray(LEVELS)), LEVELS)
    np.testing.assert_array_equal(grey(LEVELS[::-1, ::-2]), LEVELS[::-1, ::-2])
    np.testing.assert_array_equal(grey(np.broadcast_to(LEVELS[:1], LEVELS.shape)), np.repeat(LEVELS[:1], 44, axis=0))
    np.testing.assert_array_equal(grey(np.ma.masked_less(LEVELS, 9)), LEVELS)  # a mask is not looked at
    np.testing.assert_array_equal(grey(np.asarray(ink_on_nothing("RGBA"))), LEVELS)
    np.testing.assert_allclose(grey(np.asarray(ink_on_nothing("RGBA")) / 255).astype(int), LEVELS, atol=1)
    np.testing.assert_array_equal(grey(np.asarray(ink_on_nothing("RGBA")).astype(np.uint16) * 257), LEVELS)


@pytest.mark.parametrize("peak", [1 + 1e-7, 1.001, 1.2, 1.99])
def test_floats_that_overshoot_one_by_a_little_are_not_black(peak: float) -> None:
    np.testing.assert_allclose(grey(LEVELS / 255 * peak).astype(int), LEVELS, atol=1)
    np.testing.assert_allclose(grey(Image.fromarray((LEVELS / 255 * peak).astype("f4"))).astype(int), LEVELS, atol=1)


def test_a_dark_picture_of_floats_up_to_255_stays_dark() -> None:
    assert grey(np.full((9, 9), 9.0)).max() == 9


@pytest.mark.parametrize(("colours", "alphas"), [(255, 1), (1, 255), (1, 1), (255, 255), (255, 1.001)])
def test_colours_and_alpha_of_floats_have_ranges_of_their_own(colours: float, alphas: float) -> None:
    picture = np.asarray(ink_on_nothing("RGBA")) / 255
    picture[:9, :9] = (1, 1, 1, 1)  # white paper tells the range of the colours
    expected = LEVELS.copy()
    expected[:9, :9] = 255
    found = grey(picture * [colours, colours, colours, alphas])
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


BAD_ARRAYS: dict[str, tuple[npt.NDArray[Any], str]] = {
    "0-D": (np.array(5), "shape ()"),
    "1-D": (np.zeros(5), "shape (5,)"),
    "4-D": (np.zeros((1, 3, 5, 5)), "(H, W) or (H, W, C)"),
    "channels first": (np.zeros((3, 9, 9)), "shape (3, 9, 9)"),
    "two channels": (np.zeros((9, 9, 2)), "C = 1"),
    "no channels": (np.zeros((9, 9, 0)), "C = 1"),
    "no rows": (np.zeros((0, 9)), "no pixels"),
    "no columns": (np.zeros((9, 0, 3), np.uint8), "9, 0, 3"),
    "too large": (np.broadcast_to(np.uint8(0), (10**6, 10**6)), "too large"),
    "object": (np.full((3, 3), None), "dtype object"),
    "complex": (np.zeros((3, 3), complex), "complex128"),
    "text": (np.full((3, 3), "a"), "<U1"),
    "times": (np.zeros((3, 3), "M8[s]"), "datetime64"),
    "structured": (np.zeros((3, 3), [("a", "u1")]), "not a picture"),
    "NaN": (np.full((3, 3), np.nan), "NaN or infinite"),
    "infinite": (np.full((3, 3), np.inf), "NaN or infinite"),
    "float below": (np.full((3, 3), -0.01), "outside 0..255"),
    "float above": (np.full((3, 3), 255.5), "outside 0..255"),
    "int below": (np.full((3, 3), -1), "outside 0..65535"),
    "int above": (np.full((3, 3), 65536), "outside 0..65535"),
    "uint64 above": (np.full((3, 3), 2**64 - 1, np.uint64), "outside 0..65535"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_a_bad_array_is_refused(name: str) -> None:
    values, said = BAD_ARRAYS[name]
    message = refusal(values)
    assert said in message
    assert message.startswith("the array of shape")


SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5) | st.tuples(
    st.integers(0, 6), st.integers(0, 6), st.sampled_from([1, 2, 3, 4])
)
NUMBERS = st.sampled_from(["?", "u1", "i1", "<u2", ">i2", "i4", "u8", "f2", ">f4", "f8"]).map(np.dtype)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(hnp.arrays(NUMBERS | hnp.scalar_dtypes(), SHAPES))
def test_any_array_is_read_or_refused(values: npt.NDArray[Any]) -> None:
    before = values.tobytes()
    try:
        loaded = load_image(values)
    except InputError:
        pass
    else:
        assert (loaded.mode, loaded.size) == ("RGB", (values.shape[1], values.shape[0]))
    assert values.tobytes() == before


# ---- damage


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([b"", *(data[:40] for data in WHOLE.values())]), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(head: bytes, tail: bytes) -> None:
    try:
        load_image(head + tail)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most are refused, none must be


def mutate(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(min(len(damaged), 400) if rng.random() < 0.7 else len(damaged))  # mostly in the header
        action = rng.random()
        if action < 0.7:
            damaged[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif action < 0.8:
            del damaged[at : at + rng.randrange(1, 9)]
        elif action < 0.9:
            damaged[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            damaged[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)))
    return bytes(damaged)


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_are_read_or_refused(part: int) -> None:
    rng = random.Random(part)
    exif = Image.Exif()
    exif[0x0112] = 6
    more = (
        "png P with alphas",
        "png I;16",
        "gif animated",
        "webp transparent",
        "tiff LZW",
        "tiff F 0..1",
        "apng",
        "mpo",
    )
    seeds = [*WHOLE.values(), *((LOSSLESS | LOSSY)[name]() for name in more), save(PICTURE, "JPEG", exif=exif)]
    read = 0
    for turn in range(800):
        damaged = mutate(seeds[turn % len(seeds)], rng)
        try:
            loaded = load_image(damaged)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - some are read all the same
        else:
            assert loaded.mode == "RGB"
            assert loaded.width * loaded.height <= MAX_PIXELS
            read += 1
    assert 50 < read < 750  # both ends of the road are travelled


# ---- threads


def test_threads_get_what_one_gets() -> None:
    files = [make() for make in (LOSSLESS | LOSSY).values()]
    alone = [load_image(data).tobytes() for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: load_image(data).tobytes(), files * 4))
        refused = list(pool.map(lambda data: refusal(data[: len(data) // 3]), files))
    assert together == alone * 4
    assert all(refused)


def test_a_larger_limit_can_be_asked_for() -> None:
    image = Image.new("L", (40, 30))
    with pytest.raises(InputError, match="1,000"):
        load_image(image, max_pixels=1000)
    assert load_image(image, max_pixels=1200).size == (40, 30)
    with pytest.raises(InputError, match="1,000"):
        load_image(np.zeros((30, 40), dtype=np.uint8), max_pixels=1000)

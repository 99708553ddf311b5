"""Files that nobody should send, made here: damaged, mislabelled, oversized, of two kinds at once, or no pictures at all."""

import io
import random
import string
import zipfile
from collections.abc import Callable, Iterator

from PIL import Image

from tests.test_image import (
    BILEVEL,
    HTML,
    LOSSLESS,
    LOSSY,
    NO_PICTURES,
    PICTURE,
    WHOLE,
    chunk,
    mutate,
    png,
    save,
    tiled,
    with_size,
)

GOOD = [make() for make in (LOSSLESS | LOSSY).values()] + [make(PICTURE.convert("1")) for make in BILEVEL.values()]
PDF = save(PICTURE.convert("RGB"), "PDF", save_all=True, append_images=[PICTURE.convert("RGB")])
PICKLE = b"cposix\nsystem\n(S'touch /tmp/simpleocr-was-here'\ntR."  # what os.system would be given if it were loaded
SVG = (
    b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg><text>&x;</text></svg>",
    b"<svg xmlns:xlink='http://www.w3.org/1999/xlink'><image xlink:href='http://127.0.0.1:9/a.png'/></svg>",
)
BOMB_SIZES = ((50_000, 50_000), (13_300, 13_300), (5001, 5000), (65_535, 382), (2**31 - 1, 5), (5, 2**31 - 1), (0, 5))
THIN_SIZES = ((1, 1), (1, 700), (700, 1), (3, 3), (7, 40), (20_000, 10), (10, 20_000), (2000, 12))
ENDINGS = (
    ".png", ".jpg", ".JPEG", ".gif", ".tif", ".webp", ".avif", ".bmp", ".svg", ".html", ".pdf", ".eps", ".heic", ".exe", ".zip",
    ".png.html", ".py", ".npy", "", ".",
)  # fmt: skip
STEMS = ("scan", "a b", "'\"<b>", "ünï", "\u202egnp", "%2e%2e%2fx", "con", "-rf", "$(id)", "a" * 150, "..", "x;y&z=1")


def zipped(data: bytes, name: str = "picture.png") -> bytes:
    """An archive of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def cut_off(rng: random.Random) -> bytes:
    """The first part of a good file, or of a document."""
    data = rng.choice([*GOOD, PDF])
    return data[: rng.choice((rng.randrange(len(data)), rng.randrange(min(64, len(data))), len(data) - 1))]


def mistaken(rng: random.Random) -> bytes:
    """The header of one format before what is of another."""
    head, body = rng.sample(sorted(WHOLE), 2)
    size = rng.choice((2, 4, 8, 16, 33))
    return WHOLE[head][:size] + WHOLE[body][rng.choice((0, size)) :]


def two_kinds(rng: random.Random) -> bytes:
    """One file behind another: each program sees its own."""
    parts = [*GOOD, PDF, PICKLE, HTML, zipped(GOOD[0]), *SVG]
    return rng.choice(parts) + rng.choice((b"", b"\n", bytes(7))) + rng.choice(parts)


def bomb(rng: random.Random) -> bytes:
    """Few bytes that promise many pixels, much text, or one huge tile."""
    return rng.choice(
        (
            lambda: with_size(rng.choice(("PNG", "GIF", "BMP", "JPEG", "TIFF")), *rng.choice(BOMB_SIZES[:4])),
            lambda: png(*rng.choice(BOMB_SIZES)),
            lambda: tiled(rng.choice((12_000, 40_000))),
            lambda: png(1, 1, b"\0\0", chunk(b"zTXt", b"a\0\0" + zipped(bytes(3_000_000))[40:])),
        )
    )()


def thin(rng: random.Random) -> bytes:
    """A good picture of a shape or a filling that is none of text."""
    size = rng.choice(THIN_SIZES)
    if rng.random() < 0.5:
        return save(Image.new("L", size, rng.choice((0, 255, 128))))
    return save(Image.frombytes("L", size, rng.randbytes(size[0] * size[1])))


def document(rng: random.Random) -> bytes:
    """A PDF with damage."""
    return (
        mutate(PDF, rng) if rng.random() < 0.7 else PDF.replace(b"/Page", rng.choice((b"/Pgae", b"/Pages", b"/Page/")))
    )


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "flipped": lambda rng: mutate(rng.choice(GOOD), rng),
    "flipped often": lambda rng: mutate(mutate(mutate(rng.choice(GOOD), rng), rng), rng),
    "cut off": cut_off,
    "mistaken": mistaken,
    "two kinds": two_kinds,
    "bomb": bomb,
    "thin": thin,
    "document": document,
    "drawing": lambda rng: rng.choice(SVG),
    "no picture": lambda rng: rng.choice([data for data, _ in NO_PICTURES.values()] + [PICKLE, zipped(GOOD[0])]),
    "noise": lambda rng: (
        rng.choice((b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")) + rng.randbytes(rng.randrange(5000))
    ),
    "good": lambda rng: rng.choice(GOOD),
}


def hostile_files(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(kind, name, data) of so many files, the same ones for the same seed."""
    rng = random.Random(seed)
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        stem = rng.choice(STEMS) if rng.random() < 0.5 else "".join(rng.choices(string.ascii_letters, k=8))
        yield kind, stem + rng.choice(ENDINGS), KINDS[kind](rng)

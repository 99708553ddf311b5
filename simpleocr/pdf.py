"""PDF: pictures with an invisible layer of the text that was read in them, to be searched, selected and copied.

Written page by page as they come. The text stands in a font of our own whose glyphs draw nothing and are all half an em
wide; what each of its codes means is said in a table that every reader knows (ToUnicode), so that any character can be
written, and nothing depends on fonts that a reader may lack.
"""

import math
import zlib
from collections.abc import Sequence
from io import BytesIO, TextIOBase
from types import TracebackType
from typing import BinaryIO, Self

from PIL import Image

from simpleocr.document import Page, Word

CODES = 255  # of one font; 0 is not used
WIDTH = 0.5  # em of every glyph
DOTS_PER_INCH = 150.0  # of a picture that does not say; a page of a PDF has a size
QUALITY, LONGEST = 85, 65_500  # of JPEG: there is none with longer sides, in pixels

PROLOGUE = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
CATALOG, PAGES, GLYPH = 1, 2, 3  # numbers of the objects that there is one of


class PdfWriter:
    """A PDF that grows by pages: `with PdfWriter(file) as pdf: pdf.add(image, page)`.

    Args:
        file: opened for writing bytes; written from its position to the end, nothing is read back.

    Raises:
        TypeError: it is no such file.
    """

    def __init__(self, file: BinaryIO) -> None:
        if not callable(getattr(file, "write", None)) or isinstance(file, TextIOBase):
            raise TypeError(f"PdfWriter takes a file opened with mode 'wb', not {file!r:.60}")
        self._file, self._written = file, 0
        self._offsets: dict[int, int] = {}
        self._next = GLYPH + 1
        self._pages: list[int] = []
        self._codes: dict[str, int] = {}  # character -> number; font n has those from n * CODES on
        self._fonts: list[int] = []
        self._write(PROLOGUE)
        self._stream(GLYPH, b"500 0 0 0 500 1000 d1")  # nothing follows: nothing is drawn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self.close()

    def add(self, image: Image.Image, page: Page, dots_per_inch: float = DOTS_PER_INCH) -> None:
        """A page: the picture, and over it the words that were read, invisible and each in its place.

        Args:
            image: upright, as it was read.
            page: what was read in it.
            dots_per_inch: of the picture; says how large the page is.

        Raises:
            ValueError: the page is of a picture of another size.
            TypeError: no PIL image, or no Page.
        """
        if not isinstance(image, Image.Image) or not isinstance(page, Page):
            raise TypeError(
                f"add() takes a PIL image and its Page, not {type(image).__name__} and {type(page).__name__}"
            )
        if image.size != page.size:
            raise ValueError(f"the page was read in a picture of {page.size}, not {image.size}")
        scale = 72 / dots_per_inch
        width, height = image.width * scale, image.height * scale
        picture = self._picture(image)
        words = [self._word(word, image.height, scale) for line in page.lines for word in line.words]
        text = "".join(f"{part}\n" for part in words)
        drawn = f"q {width:.2f} 0 0 {height:.2f} 0 0 cm /Picture Do Q\nBT 3 Tr\n{text}ET"
        content = self._number()
        self._stream(content, drawn.encode("ascii"))
        while len(self._fonts) < -(-len(self._codes) // CODES):
            self._fonts.append(self._number())
        fonts = " ".join(f"/F{i} {number} 0 R" for i, number in enumerate(self._fonts))
        number = self._number()
        self._object(
            number,
            f"<</Type/Page/Parent {PAGES} 0 R/MediaBox[0 0 {width:.2f} {height:.2f}]/Contents {content} 0 R"
            f"/Resources<</XObject<</Picture {picture} 0 R>>/Font<<{fonts}>>>>>>",
        )
        self._pages.append(number)

    def close(self) -> None:
        """Write what all pages share and the table at the end."""
        for i, number in enumerate(self._fonts):
            self._font(number, list(self._codes)[i * CODES : (i + 1) * CODES])
        kids = " ".join(f"{number} 0 R" for number in self._pages)
        self._object(PAGES, f"<</Type/Pages/Count {len(self._pages)}/Kids[{kids}]>>")
        self._object(CATALOG, f"<</Type/Catalog/Pages {PAGES} 0 R>>")
        start, count = self._written, self._next
        rows = "".join(f"{self._offsets[number]:010d} 00000 n \n" for number in range(1, count))
        trailer = f"trailer\n<</Size {count}/Root {CATALOG} 0 R>>\nstartxref\n{start}\n%%EOF\n"
        self._write(f"xref\n0 {count}\n0000000000 65535 f \n{rows}{trailer}".encode("ascii"))

    def _picture(self, image: Image.Image) -> int:
        """The picture as JPEG, grey where it has no colour, and smaller where there can be none of its size."""
        if max(image.size) > LONGEST:  # the page keeps its size
            image = image.resize([max(1, side * LONGEST // max(image.size)) for side in image.size])
        if image.mode != "L":
            image = image.convert("RGB")
        colours = "DeviceGray" if image.mode == "L" else "DeviceRGB"
        data = BytesIO()
        image.save(data, "JPEG", quality=QUALITY)
        number = self._number()
        self._object(
            number,
            f"<</Type/XObject/Subtype/Image/Width {image.width}/Height {image.height}/ColorSpace/{colours}"
            f"/BitsPerComponent 8/Filter/DCTDecode/Length {len(data.getbuffer())}>>",
            data.getvalue(),
        )
        return number

    def _word(self, word: Word, page_height: int, scale: float) -> str:
        """Operators that write a word, and a space behind it, over its place."""
        (ax, ay), (bx, by), _, (dx, dy) = word.polygon
        length, height = math.hypot(bx - ax, by - ay), math.hypot(dx - ax, dy - ay)
        cos, sin = ((bx - ax) / length, (by - ay) / length) if length else (1.0, 0.0)
        size = max(0.1, height * scale)
        # a point's y grows upwards, a pixel's downwards; the word stands on its lower edge
        x, y = dx * scale, (page_height - dy) * scale
        stretch = 100 * length * scale / max(1e-6, WIDTH * size * len(word.text))
        matrix = f"{cos:.5f} {-sin:.5f} {sin:.5f} {cos:.5f} {x:.2f} {y:.2f} Tm"
        parts = [f"{max(0.01, stretch):.2f} Tz {matrix}"]
        last = -1
        for character in word.text + " ":
            code = self._codes.setdefault(character, len(self._codes))
            if code // CODES != last:
                last = code // CODES
                parts.append(f"/F{last} {size:.2f} Tf")
            parts.append(f"<{code % CODES + 1:02X}> Tj")
        return " ".join(parts)

    def _font(self, number: int, characters: Sequence[str]) -> None:
        """Codes 1, 2, ... for these characters, whose glyphs draw nothing."""
        meaning = self._number()
        rows = [f"<{i:02X}> <{c.encode('utf-16-be').hex().upper()}>" for i, c in enumerate(characters, 1)]
        parts = [rows[i : i + 100] for i in range(0, len(rows), 100)]
        table = "\n".join(f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar" for part in parts)
        self._stream(
            meaning,
            (
                "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /Meaning def\n/CMapType 2 def\n"
                f"1 begincodespacerange\n<00> <FF>\nendcodespacerange\n{table}\nendcmap\n"
                "CMapName currentdict /CMap defineresource pop\nend\nend"
            ).encode("ascii"),
        )
        names = " ".join(f"/g{i}" for i in range(1, len(characters) + 1))
        glyphs = " ".join(f"/g{i} {GLYPH} 0 R" for i in range(1, len(characters) + 1))
        widths = " ".join(["500"] * len(characters))
        self._object(
            number,
            f"<</Type/Font/Subtype/Type3/FontBBox[0 0 500 1000]/FontMatrix[0.001 0 0 0.001 0 0]/FirstChar 1"
            f"/LastChar {len(characters)}/Widths[{widths}]/Encoding<</Type/Encoding/Differences[1 {names}]>>"
            f"/CharProcs<<{glyphs}>>/Resources<<>>/ToUnicode {meaning} 0 R>>",
        )

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _stream(self, number: int, data: bytes) -> None:
        packed = zlib.compress(data)
        self._object(number, f"<</Filter/FlateDecode/Length {len(packed)}>>", packed)

    def _object(self, number: int, dictionary: str, data: bytes | None = None) -> None:
        self._offsets[number] = self._written
        stream = b"\nstream\n" + data + b"\nendstream" if data is not None else b""
        self._write(f"{number} 0 obj\n{dictionary}".encode("ascii") + stream + b"\nendobj\n")

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._written += len(data)

"""Fonts: the files found on the system and in given folders, what each can draw, and its glyphs at one size."""

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, features

SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
RAQM = features.check("raqm")
NO_LIGATURES = ["-liga", "-clig", "-dlig"]
SUFFIXES = {".ttf", ".otf", ".woff", ".woff2"}
# fonts whose letters are not letters: mathematical encodings, dingbats, icons, blanks
NOT_TEXT = re.compile(
    r"symbol|dingbat|d050000l|emoji|icon|barcode|braille|math|cmsy|cmex|cmmi|nonuni|stixsiz|lastresort|redact|dseg|bullets"
    r"|rsfs|msam|msbm|wasy|stmary|musix|fleurons|ornament|initials|linesymb|cmtex|rufscript|humor|lmsy|lmex|lmmi|webdings"
    r"|alfa-beta|elleboli|ellenbold|ellenike|ellenita",  # these draw Greek letters for Latin ones
    re.IGNORECASE,
)

CATEGORIES = "categories.tsv"
HANDWRITING = "handwriting"

ONE_HEIGHT = 0.12  # of a capital's height: what small letters rise and hang less than, where they are capitals
ITALIC = re.compile(r"italic|oblique|-it$|ita$", re.IGNORECASE)

Glyph = tuple[npt.NDArray[np.uint8], int, int]
"""A glyph's coverage 0..255 with shape (height, width), and the (left, top) of its first pixel from the pen on the baseline."""


def find_fonts(folders: Sequence[Path] = ()) -> list[Path]:
    """Font files of text families in `folders`, on the system and in matplotlib, sorted by name, each file once.

    Raises:
        ValueError: a given folder that does not exist or holds none, or no font at all.
    """
    files: set[Path] = set()
    for folder in (*folders, *SYSTEM_FOLDERS, Path(mpl.get_data_path()) / "fonts" / "ttf"):
        if folder in folders and not folder.exists():
            raise ValueError(f"no such folder of fonts: {folder}")
        found = [f.resolve() for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and not NOT_TEXT.search(f.name)]
        if folder in folders and not found:
            raise ValueError(f"no fonts of text families in {folder}")
        files.update(found)
    if not files:
        raise ValueError("no fonts on the system")
    # by name and not by path, so that a corpus is the same wherever its fonts are kept
    return sorted({file.name: file for file in sorted(files)}.values(), key=lambda file: file.name)


def family(file: Path) -> str:
    """What the files of one family share of their names: training and test fonts are told apart by it."""
    return re.split(r"[-_.0-9]|Bold|Bol$|BolIta$|Ita$|Italic|Regular|Oblique|Light|Medium|Black", file.stem)[0].lower()


def categories(folders: Sequence[Path]) -> dict[str, str]:
    """Category of each family that a categories.tsv below `folders` names (training/runs/fonts.sh writes one)."""
    found = {}
    for folder in folders:
        for file in sorted(folder.rglob(CATEGORIES)):
            for row in file.read_text(encoding="utf-8").splitlines():
                name, _, category = row.partition("\t")
                found[family(Path(f"{name}-latin"))] = category
    return found


def text_faces(files: Sequence[Path]) -> list[Path]:
    """Those of families made for running text, which have an italic; all files where no family has one."""
    families = {family(file) for file in files if ITALIC.search(file.stem)}
    return [file for file in files if family(file) in families] or list(files)


def held_out(file: Path, share: float = 0.06) -> bool:
    """Whether the file's family is kept for validation and test, by a hash of its name and so the same everywhere."""
    digest = hashlib.sha256(family(file).encode()).digest()
    return int.from_bytes(digest[:4]) < share * 2**32


class Face:
    """One font file at one size: glyphs, advances and kerning, rasterised once each.

    Args:
        file: a font that FreeType opens.
        size: em in pixels.

    Raises:
        OSError: FreeType cannot open the file.
    """

    def __init__(self, file: Path, size: int) -> None:
        self.file = file
        self.size = size
        # basic layout: a glyph a character, no ligatures, which the labels could not tell apart
        self.font = ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
        self.ascent, self.descent = self.font.getmetrics()
        # kerning is measured by the layout that knows a font's own tables; the basic one returns it 64 times too small
        self._shaped = ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.RAQM) if RAQM else None
        self._pairs: dict[str, float] = {}
        self._shaped_lengths: dict[str, float] = {}
        self._glyphs: dict[str, Glyph] = {}
        self._lengths: dict[str, float] = {}

    def glyph(self, character: str) -> Glyph:
        """The rasterised character; an empty array for a space."""
        if character not in self._glyphs:
            left, top, right, bottom = (int(v) for v in self.font.getbbox(character, anchor="ls"))
            image = Image.new("L", (max(0, min(right - left, 4 * self.size)), max(0, min(bottom - top, 4 * self.size))))
            if image.width and image.height:
                ImageDraw.Draw(image).text((-left, -top), character, 255, font=self.font, anchor="ls")
            self._glyphs[character] = (np.asarray(image), left, top)
        return self._glyphs[character]

    def length(self, text: str) -> float:
        """Advance of a character in pixels; of a pair without its kerning, or almost."""
        if text not in self._lengths:
            self._lengths[text] = self.font.getlength(text)
        return self._lengths[text]

    def kerning(self, left: str, right: str) -> float:
        """What the font adds between two characters, mostly negative, in pixels."""
        if (pair := left + right) not in self._pairs:
            measure = self._shaped_length if self._shaped else self.length
            kerning = measure(pair) - measure(left) - measure(right)
            self._pairs[pair] = kerning if self._shaped else 64 * kerning
        return self._pairs[pair]

    def _shaped_length(self, text: str) -> float:
        if text not in self._shaped_lengths:
            assert self._shaped is not None
            self._shaped_lengths[text] = self._shaped.getlength(text, features=NO_LIGATURES)
        return self._shaped_lengths[text]

    @cached_property
    def _missing(self) -> bytes:
        return self._shape("\U0010fffd")

    def _shape(self, character: str) -> bytes:
        mask = self.glyph(character)[0]
        return bytes(str(mask.shape), "ascii") + mask.tobytes()

    def draws(self, character: str) -> bool:
        """Whether the font has this character: not the box that stands for a missing one, and not nothing."""
        if character == " ":
            return True
        mask = self.glyph(character)[0]
        return mask.size > 0 and int(mask.max(initial=0)) > 60 and self._shape(character) != self._missing

    @cached_property
    def capitals_only(self) -> bool:
        """Whether small letters are drawn as (small) capitals: then the case of a label could not be seen."""
        alike = 0
        for letter in "abdegr":
            small, capital = self.glyph(letter)[0], self.glyph(letter.upper())[0]
            if not (small.size and capital.size):
                return True
            resized = np.asarray(
                Image.fromarray(small).resize(capital.shape[::-1], Image.Resampling.BILINEAR), dtype=np.int32
            )
            difference = np.abs(resized - capital.astype(np.int32)).sum()
            alike += difference < 0.25 * (resized.sum() + capital.sum())
        return alike >= 5 or self._one_height

    @cached_property
    def _one_height(self) -> bool:
        """Whether no small letter rises above the others or hangs below them: capitals, drawn otherwise than the large."""

        def edge(letters: str, *, bottom: bool) -> float:
            glyphs = [self.glyph(letter) for letter in letters]
            return sum(top + len(mask) * bottom for mask, _, top in glyphs) / len(glyphs)

        rise = edge("acemnorsuvxz", bottom=False) - edge("bdhkl", bottom=False)
        hang = edge("gpqy", bottom=True) - edge("abcdehkmnorsux", bottom=True)
        return max(rise, hang) < ONE_HEIGHT * -edge("ABEH", bottom=False)

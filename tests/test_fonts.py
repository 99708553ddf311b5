"""training.fonts: which files are fonts, what each of them can draw, and who is kept for the test."""

import string
from pathlib import Path
from shutil import copy

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.ft2font import FT2Font, Kerning
from PIL import ImageFont

from training import fonts
from training.fonts import Face, categories, family, find_fonts, held_out

OWN = Path(mpl.get_data_path()) / "fonts" / "ttf"
SANS, SERIF, MONO = OWN / "DejaVuSans.ttf", OWN / "DejaVuSerif.ttf", OWN / "DejaVuSansMono.ttf"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without fonts: only matplotlib's are left."""
    monkeypatch.setattr(fonts, "SYSTEM_FOLDERS", (Path("/no/such/folder"),))


def test_there_are_always_fonts(bare: None) -> None:
    found = find_fonts()
    assert SANS.resolve() in found
    assert found == sorted(found, key=lambda file: file.name)
    assert found == find_fonts()
    assert not [file for file in found if file.name.startswith(("STIXSiz", "STIXNonUni", "cmsy", "cmex", "cmmi"))]
    for file in found:
        Face(file, 20)


def test_given_folders_come_on_top_and_each_name_once(bare: None, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    copy(SANS, tmp_path / "deep" / "Zebra.TTF")
    copy(SANS, tmp_path / "DejaVuSans.ttf")  # also in matplotlib
    copy(SANS, tmp_path / "Dingbats.ttf")
    (tmp_path / "readme.txt").write_text("no font")
    found = find_fonts([tmp_path])
    names = [file.name for file in found]
    assert len(names) == len(set(names)) == len(find_fonts()) + 1
    assert "Zebra.TTF" in names
    assert "Dingbats.ttf" not in names


def test_the_order_is_that_of_names_wherever_the_folder_is(bare: None, tmp_path: Path) -> None:
    orders = []
    for folder in (tmp_path / "a", tmp_path / "z" / "deep"):
        folder.mkdir(parents=True)
        for name in ("B.ttf", "A.otf", "c.ttf", "A-Bold.ttf"):
            copy(SANS, folder / name)
        orders.append([file.name for file in find_fonts([folder])])
    assert orders[0] == orders[1]


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(ValueError, match="no such folder of fonts: /no/such/folder"):
        find_fonts([Path("/no/such/folder")])


def test_no_font_at_all_is_one_sentence(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpl, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="no fonts on the system"):
        find_fonts([])


def test_a_folder_without_fonts_is_named_and_not_made_up_for_by_those_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no font")
    with pytest.raises(ValueError, match=f"no fonts of text families in {tmp_path}"):
        find_fonts([tmp_path])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-BoldOblique.ttf"), "dejavusans"),
        (("Lato-Regular.ttf", "Lato-Black.ttf", "LatoLight.otf", "Lato_2.ttf", "Lato.v2.ttf"), "lato"),
        (("Go-Mono.ttf", "Go-Bold.ttf"), "go"),
    ],
)
def test_a_family_is_what_its_files_share(names: tuple[str, ...], expected: str) -> None:
    assert {family(Path(name)) for name in names} == {expected}
    assert (
        len({held_out(Path("/here") / name) for name in names} | {held_out(Path("/there") / name) for name in names})
        == 1
    )


def test_matplotlibs_stix_is_one_family(bare: None) -> None:
    stix = [file for file in find_fonts() if file.name.startswith("STIXGeneral")]
    assert len(stix) == 4
    assert len({held_out(file) for file in stix}) == 1


def test_about_the_share_asked_for_is_held_out() -> None:
    files = [Path(f"{a}{b}{c}.ttf") for a in "abcdefghijkl" for b in "mnopqrstuvwx" for c in "aeiouywhkz"]
    assert 0.03 < sum(held_out(file) for file in files) / len(files) < 0.09
    assert 0.4 < sum(held_out(file, 0.5) for file in files) / len(files) < 0.6
    assert not any(held_out(file, 0.0) for file in files)
    assert all(held_out(file, 1.0) for file in files)
    assert all(held_out(file, 0.5) for file in files if held_out(file)), "more held out are the same and others"


@pytest.mark.parametrize(
    "file", [SANS, SERIF, MONO, OWN / "cmr10.ttf", OWN / "STIXGeneral.ttf"], ids=lambda file: str(file.stem)
)
def test_what_a_font_draws_is_what_its_table_of_characters_says(file: Path) -> None:
    face, table = Face(file, 40), FT2Font(str(file)).get_charmap()
    # control and blank characters aside, and those for which the fonts hold an empty glyph
    asked = string.ascii_letters + string.digits + string.punctuation + "‘’“”–—…•£€°§©®™×½¼¾ΩжאあA漢\U0001f600ﬁ"
    for character in asked:
        if face.draws(character):
            assert ord(character) in table, f"{character!r} is drawn as the missing glyph"
    assert all(face.draws(c) for c in string.ascii_letters + string.digits)


def test_what_a_font_lacks_is_not_drawn() -> None:
    assert not Face(OWN / "cmr10.ttf", 40).draws("€")
    assert not Face(SANS, 40).draws("漢")
    assert not Face(SANS, 40).draws("\u200b")
    assert not Face(SANS, 40).draws("\u00a0"), "nothing to see"
    assert Face(SANS, 40).draws("€")
    assert Face(SANS, 40).draws(" "), "a space is drawn as nothing"


def test_the_glyph_of_a_space_is_empty_and_has_an_advance() -> None:
    face = Face(SANS, 40)
    assert face.glyph(" ")[0].size == 0
    assert face.length(" ") > 5


@pytest.mark.parametrize("size", [1, 5, 40, 200])
def test_glyphs_are_where_the_font_puts_them(size: int) -> None:
    face = Face(SERIF, size)
    for character in "AgjÅ_.|":
        mask, left, top = face.glyph(character)
        assert mask.dtype == np.uint8
        box = tuple(int(v) for v in face.font.getbbox(character, anchor="ls"))
        assert (left, top, left + mask.shape[1], top + mask.shape[0]) == box
    if size >= 40:
        assert face.glyph("g")[2] + face.glyph("g")[0].shape[0] > 0, "below the baseline"
        assert face.glyph("A")[2] + face.glyph("A")[0].shape[0] <= 1
        assert face.glyph("A")[0].max() > 200
    assert face.glyph("A") is face.glyph("A"), "rasterised once"


@pytest.mark.parametrize("file", [SANS, SERIF], ids=lambda file: str(file.stem))
def test_kerning_is_what_freetype_says(file: Path) -> None:
    face, table = Face(file, 40), FT2Font(str(file))
    table.set_size(40, 72)
    for left, right in ("AV", "To", "LT", "Ya"):
        indices = table.get_char_index(ord(left)), table.get_char_index(ord(right))
        expected = table.get_kerning(*indices, Kerning.DEFAULT) / 64
        assert expected < -1
        assert face.kerning(left, right) == pytest.approx(expected, abs=0.6)


def test_kerning_draws_pairs_together_where_the_font_has_it() -> None:
    assert Face(SANS, 40).kerning("A", "V") < 0
    assert Face(SANS, 40).kerning("H", "H") == 0
    assert Face(MONO, 40).kerning("A", "V") == 0
    face = Face(SANS, 40)
    total = sum(face.length(c) for c in "WAVE") + sum(face.kerning(a, b) for a, b in zip("WAV", "AVE", strict=True))
    shaped = ImageFont.truetype(str(SANS), 40, layout_engine=ImageFont.Layout.RAQM)
    assert total == pytest.approx(shaped.getlength("WAVE"), abs=1.5)


def test_no_ligatures_change_the_shape_of_a_pair() -> None:
    face = Face(SANS, 40)
    assert abs(face.kerning("f", "i")) < 3


@pytest.mark.parametrize(
    "file", [SANS, SERIF, MONO, OWN / "DejaVuSans-BoldOblique.ttf", OWN / "cmr10.ttf"], ids=lambda f: str(f.stem)
)
def test_ordinary_fonts_have_small_letters(file: Path) -> None:
    assert not Face(file, 40).capitals_only


def test_small_capitals_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    big, small = Face(SANS, 40), Face(SANS, 40)
    tall, reduced = big.glyph, Face(SANS, 30).glyph
    monkeypatch.setattr(small, "glyph", lambda c: reduced(c.upper()) if c.islower() else tall(c))
    assert small.capitals_only
    only = Face(SANS, 40)
    monkeypatch.setattr(only, "glyph", lambda c: tall(c.upper()))
    assert only.capitals_only
    other, drawn_otherwise = Face(SANS, 40), Face(OWN / "DejaVuSerif-BoldItalic.ttf", 34).glyph
    monkeypatch.setattr(other, "glyph", lambda c: drawn_otherwise(c.upper()) if c.islower() else tall(c))
    assert other.capitals_only, "small letters that are other capitals"
    none = Face(SANS, 40)
    monkeypatch.setattr(none, "glyph", lambda c: tall(" ") if c.islower() else tall(c))
    assert none.capitals_only, "small letters that are not there"


@pytest.mark.parametrize("content", [b"", b"not a font", b"\x00\x01\x00\x00" + b"\xff" * 200])
def test_a_broken_file_is_an_oserror(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.ttf").write_bytes(content)
    with pytest.raises(OSError):  # noqa: PT011 - FreeType's words
        Face(tmp_path / "broken.ttf", 40)


def test_a_cut_file_opens_or_is_an_oserror(tmp_path: Path) -> None:
    data = SANS.read_bytes()
    for share in (0.01, 0.1, 0.5, 0.9):
        (tmp_path / "cut.ttf").write_bytes(data[: int(len(data) * share)])
        try:
            face = Face(tmp_path / "cut.ttf", 40)
            face.draws("A")
        except OSError:
            continue


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot open|No such file"):
        Face(tmp_path / "none.ttf", 40)


def test_categories_by_family(tmp_path: Path) -> None:
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "categories.tsv").write_text("water-brush\thandwriting\ntinos\tserif\n")
    assert categories([tmp_path]) == {"water": "handwriting", "tinos": "serif"}
    assert categories([]) == {}
    assert family(Path("water-brush-latin-400-normal.woff2")) == "water"

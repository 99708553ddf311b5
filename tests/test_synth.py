"""training.synth, augment and backgrounds: the same seed the same corpus, readable, labelled with what was drawn."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import cv2
import datasets
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from matplotlib.ft2font import FT2Font
from PIL import Image

from simpleocr.image import load_image
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES, normalize
from training import augment, backgrounds, render, synth, typesetting
from training.checking import Checker, Report
from training.corpus import load_corpus
from training.fonts import Face, family, find_fonts, held_out
from training.render import EM, Source
from training.synth import FONT_BLOCK, render_block, write_corpus

Grey = npt.NDArray[np.float32]
Row = dict[str, Any]

DEJAVU = next(file for file in find_fonts() if file.name == "DejaVuSans.ttf")
SHAPES = [(4, 4), (60, 2000), (1, 40), (40, 1), (1, 1), (13, 200)]


@pytest.fixture(scope="module")
def photos() -> list[npt.NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, shape, dtype=np.uint8) for shape in ((90, 120), (3, 5), (1, 1))]


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(load_corpus(), [file for file in find_fonts() if "DejaVu" in file.name], [], VOCABULARIES["english"])


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No cache of `datasets` outside; the threads of OpenCV as they were."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    threads = cv2.getNumThreads()
    yield
    cv2.setNumThreads(threads)


def shards(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((folder / "data").iterdir())}


def rows(folder: Path, split: str) -> list[Row]:
    found: list[Row] = []
    for file in sorted((folder / "data").glob(f"{split}-*.parquet")):
        found += pq.read_table(file).to_pylist()
    return found


def decoded(row: Row) -> npt.NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(row["image"]["bytes"], dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image, dtype=np.uint8)


COUNTS = {"train": 130, "validation": 10, "test": 10}


def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "SHARD", 2 * FONT_BLOCK)  # 130 samples are three shards


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, source: Source) -> Path:
    """150 samples, written by one process."""
    out = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        small_shards(patch)
        write_corpus(out, dict.fromkeys(COUNTS, source), COUNTS, seed=7, processes=1, progress=False)
    return out


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(
    written: Path, tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_shards(monkeypatch)
    rate = write_corpus(tmp_path, dict.fromkeys(COUNTS, source), COUNTS, seed=7, processes=2, progress=False)
    assert rate > 0
    assert list(shards(tmp_path)) == [
        "test-00000-of-00001.parquet",
        *(f"train-{i:05d}-of-00003.parquet" for i in range(3)),
        "validation-00000-of-00001.parquet",
    ]
    assert shards(tmp_path) == shards(written)


def test_an_interrupted_run_is_completed_the_same(
    written: Path, tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    small_shards(monkeypatch)
    (tmp_path / "data").mkdir()
    for name, data in shards(written).items():
        (tmp_path / "data" / name).write_bytes(data)
    gone = tmp_path / "data" / "train-00001-of-00003.parquet"
    gone.unlink()
    gone.with_name(f".{gone.name}.partial").write_bytes(b"half a file")
    kept = (tmp_path / "data" / "train-00000-of-00003.parquet").stat().st_mtime_ns
    write_corpus(tmp_path, dict.fromkeys(COUNTS, source), COUNTS, seed=7, processes=1, progress=False)
    assert shards(tmp_path) == shards(written)
    assert (tmp_path / "data" / "train-00000-of-00003.parquet").stat().st_mtime_ns == kept


def test_a_rest_of_an_interrupted_run_is_not_read(written: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, data in shards(written).items():
        (tmp_path / "data" / name).write_bytes(data)
    (tmp_path / "data" / ".train-00009-of-00003.parquet.partial").write_bytes(b"half a file")
    assert datasets.load_dataset(str(tmp_path), split="train").num_rows == 130


def test_other_seeds_and_splits_are_other_samples(
    written: Path, tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    small_shards(monkeypatch)
    write_corpus(tmp_path, {"train": source}, {"train": 64}, seed=8, processes=1, progress=False)
    ours, theirs = rows(tmp_path, "train"), rows(written, "train")
    assert not {row["image"]["bytes"] for row in ours} & {row["image"]["bytes"] for row in theirs}
    pictures = [row["image"]["bytes"] for split in COUNTS for row in rows(written, split)]
    assert len(set(pictures)) == len(pictures)


def test_a_longer_corpus_starts_with_a_shorter_one(source: Source) -> None:
    assert list(render_block(source, 3, 1, 4)) == list(render_block(source, 3, 1, 9))[:4]


def test_load_dataset_reads_the_folder_and_sizes_are_true(written: Path) -> None:
    found = datasets.load_dataset(str(written))
    assert {split: len(part) for split, part in found.items()} == COUNTS
    for split, part in found.items():
        assert part.column_names == ["image", "text", "width", "height"]
        for row in part:
            assert row["image"].size == (row["width"], row["height"]), split
            assert row["image"].mode == "L"
            assert normalize(row["text"]) == row["text"]


def test_every_sample_can_be_trained_on(written: Path) -> None:
    report, checker = Report(), Checker(VOCABULARIES["english"], Preprocessing())
    for i, row in enumerate(rows(written, "train")):
        load_image(row["image"]["bytes"])
        checker.check(row, i, report)
    assert report.dropped.total() <= 1, str(report)


def test_a_label_holds_nothing_that_its_font_lacks(source: Source) -> None:
    names = ("DejaVu", "cmr10", "cmtt10", "STIXGeneral")
    fonts = [file for file in find_fonts() if file.name.startswith(names)]
    mixed = Source(source.corpus, fonts, [], VOCABULARIES["english"])
    lacking = 0
    for block in range(24):
        face = synth._face(fonts, Random(f"1/{block}"))
        table = FT2Font(str(face.file)).get_charmap()
        lacking += any(ord(c) not in table for c in VOCABULARIES["english"].characters)
        for _, text, _, _ in render_block(mixed, 1, block, 4):
            assert all(ord(c) in table or c == " " for c in text), (face.file.name, text)
    assert lacking > 1, "the test must have met fonts that lack something"


def test_small_capitals_are_labelled_as_capitals(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Face, "capitals_only", True)
    texts = [text for _, text, _, _ in render_block(source, 1, 0, 20)]
    assert [text.upper() for text in texts] == texts


def test_the_font_of_last_resort_keeps_to_the_vocabulary(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Face, "draws", lambda self, c: c in "ABEHKLMN")
    text = synth._text_for(Face(DEJAVU, EM), source, Random(0))
    assert text
    assert set(text) <= set("ABEHKLMN")


def test_the_last_resort_has_only_characters_of_the_vocabulary(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Face, "draws", lambda self, c: c in "ABEHKLMN7")
    digits = Source(source.corpus, source.fonts, [], VOCABULARIES["digits"])
    texts = [synth._text_for(Face(DEJAVU, EM), digits, Random(seed)) for seed in range(40)]
    monkeypatch.setattr(synth, "sample_text", lambda *_: "12")  # which this font cannot draw
    texts.append(synth._text_for(Face(DEJAVU, EM), digits, Random(0)))
    assert not any(VOCABULARIES["digits"].unknown(text) for text in texts)


def unreadable(*_: Any) -> Face:
    """As FreeType answers, without its taking a thousand times four milliseconds."""
    raise OSError("unknown file format")


def test_broken_fonts_are_passed_over_and_none_left_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    broken = tmp_path / "broken.ttf"
    for seed in range(5):
        assert synth._face([broken, DEJAVU], Random(seed)).file == DEJAVU
    monkeypatch.setattr(synth, "Face", unreadable)
    with pytest.raises(ValueError, match="none of 1 fonts draws Latin letters"):
        synth._face([broken], Random(0))


def test_test_fonts_are_never_trained_on() -> None:
    sources = synth.sources([], [], [], VOCABULARIES["english"], 1.0)
    train = set(sources["train"].fonts)
    assert list(sources) == ["train", "validation", "test"]
    for split in ("validation", "test"):
        kept = set(sources[split].fonts)
        assert kept
        assert not train & kept
        assert all(held_out(file) for file in kept)
    assert not any(held_out(file) for file in train)
    assert train | set(sources["test"].fonts) == set(find_fonts())


def test_characters_set_apart_are_told_from_digits_in_a_row() -> None:
    face = Face(DEJAVU, EM)

    def gaps(text: str) -> list[int]:
        """The widest gap between letters, in pixels, of each of 200 layouts."""
        widest = []
        for seed in range(200):
            canvas, (left, _, right, _) = typesetting.lay_out(text, face, Random(seed), 1.0)
            blank = "".join("-" if column else " " for column in canvas[:, left:right].max(axis=0).tolist())
            widest.append(max(len(gap) for gap in blank.split("-")))
        return widest

    assert min(gaps("1 2 3")) > max(gaps("123"))


def test_a_corpus_of_some_kinds_has_nothing_else(tmp_path: Path) -> None:
    arguments = ["--samples", "100", "--strength", "0", "--processes", "1", "--out", str(tmp_path / "codes")]
    synth.main([*arguments, "--kinds", "code", "initials"])
    texts = [text for text in datasets.load_dataset(str(tmp_path / "codes"), split="train")["text"] if text]
    assert len(texts) > 85
    assert all(set(text) <= set("-/. ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789&'s") for text in texts)
    assert any(set(text) & set("0123456789") for text in texts)
    assert any("&" in text or text.endswith("s") for text in texts)
    with pytest.raises(SystemExit, match="another corpus"):
        synth.main([*arguments, "--kinds", "code"])


def test_digits_have_no_words(tmp_path: Path) -> None:
    arguments = ["--samples", "60", "--vocabulary", "digits", "--out", str(tmp_path / "none")]
    with pytest.raises(SystemExit, match="no character for texts of the kind word, initials"):
        synth.main([*arguments, "--kinds", "word", "number", "initials"])


def test_handwriting_is_trained_on_as_often_as_asked(tmp_path: Path) -> None:
    (tmp_path / "categories.tsv").write_text("dejavu-sans\thandwriting\n")
    shutil.copy(DEJAVU, tmp_path / "dejavu-sans.ttf")
    once, thrice = (synth.sources([tmp_path], [], [], VOCABULARIES["english"], 1.0, (), times) for times in (1, 3))
    assert set(thrice["train"].fonts) == set(once["train"].fonts)
    for file in set(once["train"].fonts):
        assert thrice["train"].fonts.count(file) == (3 if family(file) == "dejavu" else 1), file
    assert thrice["test"].fonts == once["test"].fonts


# effects ------------------------------------------------------------------------------------------------------------


def line_picture(shape: tuple[int, int]) -> Grey:
    generator = np.random.default_rng(shape[0])
    image = np.full(shape, 230, dtype=np.float32)
    image[generator.random(shape) < 0.2] = 10
    return image


SENSOR: list[Callable[[Grey, Random, float], Grey]] = [
    *(effect for _, effect in augment.SENSOR),
    augment.binarize,
    augment.degrade,
]


@pytest.mark.parametrize("effect", SENSOR, ids=lambda effect: str(effect.__name__))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_sensor_effect_keeps_shape_and_type(
    effect: Callable[[Grey, Random, float], Grey], shape: tuple[int, int]
) -> None:
    image = line_picture(shape)
    before = image.copy()
    for seed in range(12):
        for strength in (0.0, 0.3, 1.0):
            out = effect(image, Random(seed), strength)
            assert out.shape == shape
            assert out.dtype == np.float32
            assert np.isfinite(out).all()
            assert -500 < out.min() <= out.max() < 800, "a grey value, give or take what clipping brings back"
            assert np.array_equal(out, effect(image, Random(seed), strength)), "the same seed, the same picture"
    assert np.array_equal(image, before), "the given picture is left as it was"


INK: list[Callable[[Any, Random], Any]] = [
    *(effect for _, effect in augment.INK),
    lambda m, rng: augment.print_ink(m, rng, 1.0),
]


@pytest.mark.parametrize("effect", INK, ids=lambda effect: str(effect.__name__))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_ink_effect_keeps_shape_and_type(effect: Callable[[Any, Random], Any], shape: tuple[int, int]) -> None:
    mask = (line_picture(shape) < 100).astype(np.uint8) * np.uint8(255)
    before = mask.copy()
    for seed in range(30):
        out = effect(mask, Random(seed))
        assert out.shape == shape
        assert out.dtype == np.uint8
        assert np.array_equal(out, effect(mask, Random(seed)))
        assert not effect(np.zeros_like(mask), Random(seed)).any(), "no ink out of nothing"
    assert np.array_equal(mask, before)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backgrounds_of_every_kind_are_grey_values_around_their_level(
    shape: tuple[int, int], photos: list[npt.NDArray[np.uint8]]
) -> None:
    for seed in range(60):
        surface = backgrounds.background(shape, 120.0, photos, Random(seed), 1.0)
        assert surface.shape == shape
        assert surface.dtype == np.float32
        assert np.isfinite(surface).all()
        assert np.array_equal(surface, backgrounds.background(shape, 120.0, photos, Random(seed), 1.0))
        assert (backgrounds.background(shape, 120.0, photos, Random(seed), 0.0) == 120).all()
        assert backgrounds.photo(shape, photos, Random(seed)).shape == shape


def test_photos_are_loaded_grey_and_small(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 500), "red").save(tmp_path / "wide.JPG", "JPEG")
    Image.new("RGBA", (1, 1), (0, 0, 0, 0)).save(tmp_path / "one.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = backgrounds.load_photos([tmp_path])
    assert sorted(photo.shape for photo in found) == [(1, 1), (160, 640)]
    assert all(photo.dtype == np.uint8 for photo in found)


def test_bad_folders_of_photos_are_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match=f"no pictures for backgrounds in {folder}"):
            backgrounds.load_photos([folder])
    (tmp_path / "broken.png").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"broken\.png"):
        backgrounds.load_photos([tmp_path])


# samples ------------------------------------------------------------------------------------------------------------


def test_without_strength_pictures_are_clean(source: Source) -> None:
    clean = Source(source.corpus, source.fonts, [], source.vocabulary, strength=0.0)
    face, contrasts = Face(DEJAVU, EM), []
    for seed in range(150):
        image = render.render_line("Hxmg 012", face, clean, Random(seed)).astype(np.int32)
        low, high = np.percentile(image, (1, 99))
        contrasts.append(high - low)
        middling = ((image > low + 0.3 * (high - low)) & (image < high - 0.3 * (high - low))).mean()
        assert middling < 0.35, "mostly ink or paper, only edges between"
        assert 13 <= image.shape[0] <= 52
    assert min(contrasts) > 40
    assert np.median(contrasts) > 100


def test_a_clean_picture_looks_like_its_text(source: Source) -> None:
    """A wide text is wide, a full-stop is nearly all paper, and letters are told apart by their pixels."""
    clean = Source(source.corpus, source.fonts, [], source.vocabulary, strength=0.0)
    face = Face(DEJAVU, EM)

    def ratio(text: str) -> float:
        pictures = [render.render_line(text, face, clean, Random(seed)) for seed in range(25)]
        return float(np.median([picture.shape[1] / picture.shape[0] for picture in pictures]))

    assert ratio("i") < ratio("abc") < ratio("abcdefgh") < ratio("abcdefgh" * 4)
    assert 2.5 < ratio("abcdefgh" * 4) / ratio("abcdefgh") < 5.5


def polarity(image: npt.NDArray[np.uint8]) -> bool:
    """Whether the ink, the rarer side, is dark."""
    middle = (float(image.min()) + float(image.max())) / 2
    return bool((image < middle).mean() < 0.5)


def test_dark_on_light_and_light_on_dark_both_occur(source: Source) -> None:
    face = Face(DEJAVU, EM)
    dark = [polarity(render.render_line("Hello there", face, source, Random(seed))) for seed in range(200)]
    assert 0.5 < np.mean(dark) < 0.9


DRAWN_BY = {"neighbours": ["add_neighbours"], "style": ["style"], "crossed": ["crossed"]}


@pytest.mark.parametrize("effect", render.EFFECTS)
def test_an_effect_can_be_left_out(
    source: Source, photos: list[npt.NDArray[np.uint8]], effect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = Face(DEJAVU, EM)
    # letters squeezed and stretched would hide what else makes the shape of a crop a matter of luck
    shaped = frozenset(["width"]) if effect in {"looseness", "slant"} else frozenset()
    every = replace(source, photos=photos, without=shaped)
    less = replace(every, without=shaped | {effect})

    def pictures(of: Source) -> list[npt.NDArray[np.uint8]]:
        return [render.render_line("Hello there", face, of, Random(seed)) for seed in range(150)]

    if effect in {"show_through", "stamp"}:  # which are rare
        monkeypatch.setattr(augment, "SENSOR", tuple((1.0, one) for _, one in augment.SENSOR))
    before = pictures(every)
    for name in DRAWN_BY.get(effect, ()):
        monkeypatch.setattr(render, name, unreadable)  # is not asked any more
    after = pictures(less)
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    if effect == "polarity":
        assert np.mean([polarity(image) for image in after]) > 0.9
    if effect in {"looseness", "slant"}:
        assert np.std([p.shape[1] / p.shape[0] for p in after]) < np.std([p.shape[1] / p.shape[0] for p in before])
    if effect == "sensor":
        assert np.median([np.abs(np.diff(p.astype(int))).max() for p in after]) > np.median(
            [np.abs(np.diff(p.astype(int))).max() for p in before]
        ), "edges stay sharp"


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("text", [".", "-", "i", "1111", "A" * 120, "Wide spaces in it", "(g|j)", "—", "''"])
def test_any_text_becomes_a_picture_of_bounded_size(
    source: Source, photos: list[npt.NDArray[np.uint8]], text: str, strength: float
) -> None:
    lively = Source(source.corpus, source.fonts, photos, source.vocabulary, strength)
    face = Face(DEJAVU, EM)
    for seed in range(12):
        image = render.render_line(text, face, lively, Random(seed))
        assert image.dtype == np.uint8
        assert 13 <= image.shape[0] <= 52
        assert 4 <= image.shape[1] < 60 * 120
        assert image.max() > image.min(), "something is to be seen"


def test_what_only_its_height_tells_mostly_has_the_line_around_it(source: Source) -> None:
    """A small x and a capital X, cropped to their ink, are the same picture."""
    face = Face(DEJAVU, EM)
    clean = Source(source.corpus, source.fonts, [], source.vocabulary, 0.0)

    def room(text: str) -> float:
        pictures = [render.render_line(text, face, clean, Random(i)) for i in range(60)]
        inked = [np.ptp(np.flatnonzero((p < p.max() - 60).any(axis=1))) / len(p) for p in pictures]
        return 1 - float(np.mean(inked))

    assert room("x") > 0.3
    assert room("Kite") < 0.25
    assert render.needs_line("xX.")
    assert render.needs_line("0 . x"), "set apart"
    assert not render.needs_line("Text")


def test_a_line_box_holds_the_ink_and_most_of_the_line(source: Source) -> None:
    face = Face(DEJAVU, EM)
    for text in ("x", "Ågypt", "."):
        _, ink = typesetting.lay_out(text, face, Random(0), 0.0)
        for seed in range(20):
            left, top, right, bottom = render.line_box(ink, face, Random(seed))
            assert (left, right) == (ink[0], ink[2])
            assert top <= ink[1]
            assert bottom >= ink[3]
            assert bottom - top >= 0.6 * (face.ascent + face.descent) - 2


def test_empty_pictures_occur_and_are_labelled_as_empty(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def blank(text: str, *_: Any) -> npt.NDArray[np.uint8]:
        drawn.append(text)
        return np.zeros((20, 20), dtype=np.uint8)

    monkeypatch.setattr(synth, "render_line", blank)
    texts = [text for block in range(40) for _, text, _, _ in render_block(source, 0, block, FONT_BLOCK)]
    assert 0.01 < texts.count("") / len(texts) < 0.035
    assert "" not in drawn
    for seed in range(100):
        image = render.render_empty(source, Random(seed))
        assert image.dtype == np.uint8
        assert 14 <= image.shape[0] <= 52
        assert 14 <= image.shape[1] <= 250


def test_photographs_stand_for_pictures_without_text(source: Source) -> None:
    """Folds and edges as a camera sees them, not only a trace of them behind something else."""
    stripes = np.tile(np.arange(400, dtype=np.uint8) // 8 % 2 * 255, (300, 1))
    lively = [render.render_empty(replace(source, photos=[stripes]), Random(seed)).std() > 60 for seed in range(100)]
    assert 25 < sum(lively) < 75


def test_files_are_jpeg_and_png(source: Source) -> None:
    image = np.full((30, 100), 128, dtype=np.uint8)
    kinds = [render.encode(image, Random(seed))[:4] for seed in range(200)]
    assert 10 < kinds.count(b"\x89PNG") < 60
    assert kinds.count(b"\x89PNG") + sum(kind[:2] == b"\xff\xd8" for kind in kinds) == 200


def test_digits_can_be_rendered_too(source: Source) -> None:
    digits = Source(source.corpus, source.fonts, [], VOCABULARIES["digits"])
    texts = [text for _, text, _, _ in render_block(digits, 0, 0, 40)]
    assert not [text for text in texts if VOCABULARIES["digits"].unknown(text)]
    assert len(set(texts)) > 15


# the command line ---------------------------------------------------------------------------------------------------


def test_nothing_but_a_folder_has_to_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at_once: None
) -> None:
    synth.main(["--out", str(tmp_path / "c"), "--samples", "50", "--processes", "1"])
    assert "samples/s" in capsys.readouterr().out
    found = datasets.load_dataset(str(tmp_path / "c"))
    assert {split: len(part) for split, part in found.items()} == {"train": 48, "validation": 1, "test": 1}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--text", "/no/such.txt"], "/no/such.txt"),
        (["--fonts", "/no/such"], "/no/such"),
        (["--backgrounds", "/no/such"], "/no/such"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path: Path, given: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        synth.main(["--out", str(tmp_path / "c"), "--samples", "50", *given])
    assert str(caught.value).startswith("training.synth: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("given", [["--samples", "10"], ["--samples", "x"], ["--vocabulary", "klingon"], []])
def test_wrong_arguments_say_how_to_use_it(
    given: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as caught:
        synth.main(["--out", str(tmp_path / "c"), *given] if given else [])
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(["--processes", "0"]),
        pytest.param(["--strength", "-1"]),
        pytest.param(["--strength", "nan"]),
    ],
    ids=" ".join,
)
def test_numbers_that_mean_nothing_are_refused(
    tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if given[0] == "--strength":
        monkeypatch.setattr(synth, "write_corpus", lambda *_: 1.0)
    with pytest.raises(SystemExit):
        synth.main(["--out", str(tmp_path / "c"), "--samples", "50", *given])


def test_an_output_that_is_a_file_is_one_sentence(tmp_path: Path, at_once: None) -> None:
    (tmp_path / "c").write_text("a file")
    with pytest.raises(SystemExit):
        synth.main(["--out", str(tmp_path / "c"), "--samples", "50", "--processes", "1"])


def test_only_unusable_fonts_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"")
    monkeypatch.setattr(synth, "find_fonts", lambda _: [tmp_path / "broken.ttf"])
    monkeypatch.setattr(synth, "Face", unreadable)
    with pytest.raises(SystemExit, match="none of 1 fonts"):
        synth.main(["--out", str(tmp_path / "c"), "--samples", "50", "--processes", "1"])


def test_a_smaller_corpus_in_the_same_folder_is_that_corpus(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    monkeypatch.setattr(synth, "SHARD", FONT_BLOCK)
    for count in (2 * FONT_BLOCK, 8):
        try:
            write_corpus(tmp_path, {"train": source}, {"train": count}, seed=0, processes=1, progress=False)
        except ValueError:  # to refuse is as good
            return
    assert len(rows(tmp_path, "train")) == 8


def test_another_seed_in_the_same_folder_is_not_mixed_in(tmp_path: Path, source: Source, at_once: None) -> None:
    found = []
    for seed in (0, 1):
        try:
            write_corpus(tmp_path, {"train": source}, {"train": 8}, seed=seed, processes=1, progress=False)
        except ValueError:
            return
        found.append(shards(tmp_path))
    assert found[0] != found[1]


@pytest.mark.parametrize("other", ["text", "fonts", "backgrounds", "vocabulary", "seed", "strengths", "without"])
def test_a_corpus_of_other_settings_is_not_mixed_in_and_what_differs_is_named(
    tmp_path: Path, source: Source, at_once: None, other: str
) -> None:
    changed = {
        "text": replace(source, corpus=replace(source.corpus, running=[*source.corpus.running, "more"])),
        "fonts": replace(source, fonts=source.fonts[1:]),
        "backgrounds": replace(source, photos=[np.zeros((9, 9), np.uint8)]),
        "vocabulary": replace(source, vocabulary=VOCABULARIES["digits"]),
        "strengths": replace(source, strength=0.25),
        "without": replace(source, without=frozenset(["sensor"])),
    }
    write_corpus(tmp_path, {"train": source}, {"train": 2}, seed=0, processes=1, progress=False)
    before = shards(tmp_path)
    note = tmp_path / ".corpus.json"
    again = {"train": changed.get(other, source)}
    with pytest.raises(ValueError, match=f"another corpus, which differs in: {other}") as caught:
        write_corpus(tmp_path, again, {"train": 2}, seed=int(other == "seed"), processes=1, progress=False)
    assert ";" not in str(caught.value), "nothing else differs"
    write_corpus(tmp_path, {"train": source}, {"train": 2}, seed=0, processes=1, progress=False)
    assert shards(tmp_path) == before
    # older versions told no more than this: what they were made of is taken to be the same
    told = json.loads(note.read_text())
    note.write_text(json.dumps({name: told[name] for name in ("seed", "counts", "strengths")}))
    if other in ("text", "fonts", "backgrounds", "vocabulary"):
        write_corpus(tmp_path, again, {"train": 2}, seed=0, processes=1, progress=False)
    else:
        with pytest.raises(ValueError, match="another corpus"):
            write_corpus(tmp_path, again, {"train": 2}, seed=int(other == "seed"), processes=1, progress=False)


def test_what_is_missing_is_rendered_and_for_a_whole_corpus_no_process_begins(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    def write() -> float:
        counts = {"train": 2, "validation": 2}
        return write_corpus(tmp_path, dict.fromkeys(counts, source), counts, seed=0, processes=1, progress=False)

    assert not synth.is_whole(tmp_path)
    assert write() > 0
    assert synth.is_whole(tmp_path)
    before = shards(tmp_path)
    (tmp_path / "data" / "validation-00000-of-00001.parquet").unlink()
    assert not synth.is_whole(tmp_path)
    assert write() > 0
    assert shards(tmp_path) == before

    def refuse(_: str) -> None:
        raise AssertionError("processes begin")

    monkeypatch.setattr(multiprocessing, "get_context", refuse)
    assert write() == 0


@pytest.mark.parametrize("note", ["", "[1]", "{"])
def test_a_damaged_claim_is_one_sentence(tmp_path: Path, source: Source, note: str) -> None:
    (tmp_path / ".corpus.json").write_text(note)
    with pytest.raises(ValueError, match=r"\.corpus\.json cannot be read"):
        write_corpus(tmp_path, {"train": source}, {"train": 2}, seed=0, processes=1, progress=False)


@pytest.mark.slow
def test_from_the_shell(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "training.synth",
        "--out",
        str(tmp_path / "c"),
        "--samples",
        "60",
        "--processes",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "60 samples in" in done.stdout
    assert multiprocessing.active_children() == []

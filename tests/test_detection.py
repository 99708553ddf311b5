"""simpleocr.detection: lines are where the maps say; crops and polygons belong together."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from simpleocr import detection
from simpleocr.config import LineNetConfig
from simpleocr.detection import _levels, crop_line, detect_lines, text_maps
from simpleocr.geometry import Polygon, box_to_polygon, polygon_to_box
from simpleocr.linenet import LineNet
from simpleocr.regions import MULTIPLE, STRIDE, WORD_ENDS, Region, regions, without
from training.page_crops import draw_maps

BOXES = [[40.0, 30.0, 400.0, 52.0], [60.0, 70.0, 180.0, 84.0], [220.0, 66.0, 470.0, 95.0], [30.0, 130.0, 66.0, 160.0]]


def turned(boxes: list[list[float]], degrees: float, centre: float = 256.0) -> npt.NDArray[np.float64]:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    quads: npt.NDArray[np.float64] = np.array([box_to_polygon(tuple(box)) for box in boxes])  # type: ignore[arg-type]
    return np.asarray((quads - centre) @ turn.T + centre)


def maps_of(quads: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.asarray(draw_maps(quads, quads, 512)[0][0], dtype=np.float32)


@pytest.mark.parametrize("degrees", [0, 1, -3, 8, -12])
def test_lines_are_found_where_they_were_drawn(degrees: float) -> None:
    quads = turned(BOXES, degrees)
    found = regions(maps_of(quads), 0.4)
    assert len(found) == len(BOXES)
    for quad, box in zip(quads, BOXES, strict=True):
        middle = quad.mean(axis=0)
        region = min(found, key=lambda r: (r.x - middle[0]) ** 2 + (r.y - middle[1]) ** 2)
        height = box[3] - box[1]
        assert [region.x, region.y] == pytest.approx(middle.tolist(), abs=3)
        assert region.height == pytest.approx(height, rel=0.2)
        assert region.length == pytest.approx(box[2] - box[0], abs=0.35 * height + 4)
        assert math.degrees(math.atan(region.slope)) == pytest.approx(degrees, abs=1.5)
        corners = np.array(region.polygon)
        assert np.abs(corners - quad).max() < 0.3 * height + 4


def test_noise_below_the_threshold_is_no_line() -> None:
    assert regions(np.full((64, 64), 0.3, dtype=np.float32), 0.4) == []
    assert regions(np.zeros((1, 1), dtype=np.float32), 0.4) == []


def test_words_alone_are_those_that_touch_no_line() -> None:
    words = np.zeros((40, 60), dtype=np.float32)
    words[10:13, 5:20] = words[10:13, 24:40] = 0.9  # in a line
    words[25:28, 50:53] = 0.5  # a digit by itself
    lines = np.zeros((40, 60), dtype=bool)
    lines[11, 6:39] = True
    alone = without(words, lines, 0.4)
    assert alone[10:13].max() == 0
    (region,) = regions(alone, 0.4, ends=WORD_ENDS, doubtful=0.4)
    assert [region.x, region.y] == pytest.approx([51.5 * STRIDE, 26.5 * STRIDE], abs=1)
    assert region.length == pytest.approx(3 * STRIDE + 2 * WORD_ENDS * region.height)


class DarkNet(LineNet):
    """Takes what is dark for the core of a line."""

    def __init__(self) -> None:
        super().__init__(LineNetConfig("tiny"))
        self.seen: list[tuple[int, int]] = []
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append((images.shape[-1], images.shape[-2]))
        assert images.shape[-1] % MULTIPLE == 0 == images.shape[-2] % MULTIPLE
        cells = torch.nn.functional.avg_pool2d(images.float(), STRIDE)
        return torch.cat([-8 * cells - 2, -8 * cells - 2], dim=1)


def bars(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", size, (250, 250, 250))
    for box in boxes:
        ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), (10, 10, 10))
    return image


@pytest.mark.parametrize("size", [(600, 400), (2600, 1700), (3000, 4000), (150, 60)])
def test_a_page_of_any_size_gives_polygons_in_its_pixels(size: tuple[int, int]) -> None:
    width, height = size
    box = (width // 10, height // 3, width * 8 // 10, height // 3 + max(8, min(height // 20, 40)))
    (polygon,) = detect_lines(DarkNet(), bars(size, box))
    left, top, right, bottom = polygon_to_box(polygon)
    middle = ((left + right) / 2, (top + bottom) / 2)
    assert middle[0] == pytest.approx((box[0] + box[2]) / 2, abs=0.02 * width)
    assert middle[1] == pytest.approx((box[1] + box[3]) / 2, abs=0.02 * height)
    assert 1.2 < (bottom - top) / (box[3] - box[1]) < 4.5  # the bar is the core, half of the line


def test_lines_of_a_tall_narrow_page_lie_where_they_are_down_to_its_end() -> None:
    boxes = [(20, top, 380, top + 20) for top in range(30, 3960, 100)]
    found = detect_lines(DarkNet(), bars((402, 4000), *boxes))
    middles = sorted(sum(y for _, y in polygon) / 4 for polygon in found)
    assert middles == pytest.approx([top + 10 for _, top, _, _ in boxes], abs=3)


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.3])
def test_a_region_in_a_picture_that_is_wider_or_higher(slope: float) -> None:
    region = Region(x=50.0, y=40.0, length=60.0, height=10.0, slope=slope, score=0.9)
    scaled = region.scaled(2.0, 3.0)
    assert (scaled.x, scaled.y, scaled.score) == (100.0, 120.0, 0.9)
    for side in (0, 1):  # the ends of its middle line go where those points go; the area is 2 * 3 times as large
        (a, d), (e, h) = ((p.polygon[side], p.polygon[3 - side]) for p in (region, scaled))
        assert [(e[0] + h[0]) / 2, (e[1] + h[1]) / 2] == pytest.approx([a[0] + d[0], 1.5 * (a[1] + d[1])])
    assert scaled.length * scaled.height == pytest.approx(6 * 600)


class UnsureNet(DarkNet):
    """The same, never surer than 0.57."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).clamp(max=0.3)


def test_a_page_is_looked_at_larger_for_small_lines_and_not_for_specks() -> None:
    page = bars((2600, 1700), (300, 814, 900, 819))  # one cell high at first
    sure, unsure = DarkNet(), UnsureNet()
    assert len(detect_lines(sure, page)) == len(detect_lines(unsure, page)) == 1
    first = unsure.seen[0]
    assert max(sure.seen) > first
    assert max(unsure.seen) == first


@pytest.mark.parametrize("rows", [3, 0])
def test_rows_that_look_like_one_line_from_afar_stay_rows(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    near = [Region(x=300, y=150 + 34 * row, length=300, height=24, slope=0, score=0.9) for row in range(rows)]
    letters = [Region(x=x, y=y, length=30, height=24, slope=0, score=0.9) for x in (200, 400) for y in (160, 210)]
    large = Region(x=300, y=184, length=320, height=100, slope=0, score=0.9)

    def seen(_: LineNet, grey: Image.Image, scale: float) -> list[Region]:
        return [large] if scale * max(grey.size) < 0.5 * detection.SIDE else near or letters

    monkeypatch.setattr(detection, "find_regions", seen)
    monkeypatch.setattr(detection, "mend_lines", lambda regions, grey: regions)
    found = detect_lines(DarkNet(), Image.new("L", (600, 400), 250))
    assert found == [region.polygon for region in near or [large]]


def test_an_empty_page_has_no_lines() -> None:
    assert detect_lines(DarkNet(), Image.new("RGB", (500, 300), "white")) == []
    assert detect_lines(DarkNet(), Image.new("RGB", (1, 1))) == []


def test_tiles_are_put_together_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def darkness(_: LineNet, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        seen.append(pixels.shape)
        padded = np.pad(pixels, ((0, -pixels.shape[0] % STRIDE), (0, -pixels.shape[1] % STRIDE)), mode="edge")
        cells = padded.reshape(padded.shape[0] // STRIDE, STRIDE, -1, STRIDE).mean(axis=(1, 3))
        return np.stack([1 - cells / 255, cells / 255]).astype(np.float32)

    monkeypatch.setattr(detection, "_tile_maps", darkness)
    grey = bars((703, 501), (50, 100, 650, 130), (100, 240, 620, 270)).convert("L")
    whole = text_maps(DarkNet(), grey)
    assert whole.shape == (2, 126, 176)
    monkeypatch.setattr(detection, "TILE", 256)
    monkeypatch.setattr(detection, "OVERLAP", 64)
    assert np.allclose(text_maps(DarkNet(), grey), whole)
    assert len(seen) == 1 + 6
    assert max(max(shape) for shape in seen[1:]) <= 256 + 2 * 64


@pytest.mark.parametrize("degrees", [0, 5, -20, 90, 180])
def test_a_crop_shows_the_line_upright_and_its_pixels_go_back(degrees: float) -> None:
    quad = turned([[100.0, 240.0, 400.0, 280.0]], degrees)[0]
    polygon: Polygon = tuple((float(x), float(y)) for x, y in quad)  # type: ignore[assignment]
    image = Image.new("RGB", (512, 512), "white")
    draw = ImageDraw.Draw(image)
    draw.polygon([tuple(p) for p in quad], (200, 200, 200))
    mark = quad[0] + (quad[1] - quad[0]) * 0.9 + (quad[3] - quad[0]) * 0.25  # close to the end, above the middle
    draw.ellipse((mark[0] - 4, mark[1] - 4, mark[0] + 4, mark[1] + 4), (0, 0, 0))
    crop, to_page = crop_line(image, polygon)
    assert list(crop.size) == pytest.approx([300, 40], abs=2)
    y, x = np.nonzero(np.asarray(crop.convert("L")) < 60)
    assert [float(x.mean()), float(y.mean())] == pytest.approx([270, 10], abs=2)
    back = to_page.apply((float(x.mean()) + 0.5, float(y.mean()) + 0.5))
    assert list(back) == pytest.approx(mark.tolist(), abs=2)


def test_a_crop_beyond_the_page_is_filled_with_its_ground() -> None:
    image = Image.new("RGB", (200, 100), (240, 235, 230))
    crop, _ = crop_line(image, ((-20.0, 10.0), (150.0, 30.0), (145.0, 60.0), (-25.0, 40.0)))
    assert np.abs(np.asarray(crop).astype(int) - (240, 235, 230)).max() <= 2


def test_a_dark_desk_around_a_page_takes_no_contrast_from_its_print() -> None:
    rng = np.random.default_rng(0)
    paper = (230 + 4 * rng.standard_normal((320, 320))).astype(np.uint8)
    paper[100:110, 40:280] -= 60  # faint print
    desk = np.full((416, 416), 6, dtype=np.uint8)
    desk[48:368, 48:368] = paper
    assert _levels(desk) == pytest.approx(_levels(paper), rel=0.02)
    assert _levels(paper) == pytest.approx((float(paper.mean()), float(paper.std())))
    night = np.full((320, 320), 8, dtype=np.uint8)  # light on dark: all of it is the page
    night[100:110, 40:280] = 200
    assert _levels(night) == pytest.approx((float(night.mean()), float(night.std())))
    tiny = paper[:9, :400]
    assert _levels(tiny) == pytest.approx((float(tiny.mean()), float(tiny.std())))


def region(x: float, y: float, length: float, height: float, slope: float = 0.0) -> Region:
    return Region(x=x, y=y, length=length, height=height, slope=slope, score=0.7)


def test_from_afar_a_line_does_not_reach_into_larger_letters_beside_it() -> None:
    large = region(160, 110, 320, 100)  # its right end is at 320
    reaching, beyond = region(380, 130, 200, 40), region(430, 130, 200, 40)
    cut = detection._beside(reaching, [large])
    assert (cut.x - cut.length / 2, cut.x + cut.length / 2) == (320, 480)
    assert detection._beside(beyond, [large]) == beyond
    below = region(380, 200, 200, 40)
    assert detection._beside(below, [large]) == below, "that is another row"
    assert detection._beside(region(325, 130, 25, 40), [large]).length == 25, "of a letter nothing would be left"
    left = detection._beside(region(400, 100, 300, 40), [region(600, 100, 200, 90)])
    assert (left.x - left.length / 2, left.x + left.length / 2) == (250, 500)


def test_from_afar_a_line_runs_as_it_is_seen_to_run_from_nearer() -> None:
    large = region(160, 110, 320, 100, slope=0.3)
    near = [region(150, 110, 300, 90, slope=0.01), region(60, 110, 80, 90, slope=-0.4), region(150, 111, 300, 20, 0.2)]
    assert detection._as_it_runs(large, near) == region(160, 110, 320, 100, slope=0.01)
    assert detection._as_it_runs(large, near[1:]) == large, "parts of it, and smaller letters, say nothing of it"

import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simpleocr import CRNN, OCR, CRNNConfig, InputError, ModelError, Page, Vocabulary
from simpleocr.image import ImageSource
from tests.test_detection import LINES, page


@pytest.fixture(scope="module")
def ocr() -> OCR:
    torch.manual_seed(0)
    network = CRNN(CRNNConfig(Vocabulary("abc "), "tiny"))
    with torch.no_grad():
        network.classifier.bias[0] = -1.0  # or a random network might write nothing at all
    return OCR(network)


def boxes_inside(result: Page) -> bool:
    width, height = result.size
    boxes = [char.box for char in result.chars] + [line.box for line in result.lines]
    return all(0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height for x0, y0, x1, y1 in boxes)


def test_a_page_has_its_lines_in_the_pictures_pixels(ocr: OCR) -> None:
    image = page(LINES)
    result = ocr(image)
    assert result.size == image.size
    assert 1 <= len(result.lines) <= len(LINES)
    assert result.text == "\n".join(line.text for line in result.lines)
    assert boxes_inside(result)


def test_every_kind_of_source_reads_the_same(ocr: OCR, tmp_path: Path) -> None:
    image = page(LINES[:2])
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    sources: list[ImageSource] = [
        image,
        np.asarray(image),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        data,
        BytesIO(data),
    ]
    assert len({ocr(source).text for source in sources}) == 1


def test_lines_read_in_one_go_are_those_read_one_by_one(ocr: OCR) -> None:
    crops = [page([text]).crop((20, 5, 30 + 14 * len(text), 50)) for text in LINES]
    assert [line.text for line in ocr.recognize(crops)] == [ocr.recognize([crop])[0].text for crop in crops]
    assert ocr.recognize([]) == []


def test_a_blank_picture_has_no_lines(ocr: OCR) -> None:
    result = ocr(Image.new("RGB", (200, 100), "white"))
    assert result.lines == ()
    assert result.text == ""


def test_wrong_input_is_one_error(ocr: OCR) -> None:
    with pytest.raises(InputError):
        ocr(b"not a picture")
    with pytest.raises(TypeError, match="list"):
        ocr.recognize("photo.jpg")
    with pytest.raises(TypeError, match="list"):
        ocr.recognize(np.zeros((4, 4), dtype=np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="greedy"):
        OCR(ocr.network, decoder="magic")
    with pytest.raises(ModelError):
        OCR.from_pretrained("./nowhere")


def test_from_pretrained_reads_as_the_saved_network(ocr: OCR, tmp_path: Path) -> None:
    ocr.network.save_pretrained(tmp_path)
    again = OCR.from_pretrained(tmp_path)
    assert again(page(LINES)).text == ocr(page(LINES)).text


def test_one_reader_serves_many_threads(ocr: OCR) -> None:
    image = page(LINES)
    expected = ocr(image).text
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(ocr(image).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [expected] * 8

"""The demo without a browser: what it reads, what it refuses and in which words, and that it talks to nobody."""

import base64
import json
import os
import re
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from simpleocr import Char, Line, Page
from simpleocr.drawing import draw
from simpleocr.geometry import box_to_polygon

gr = pytest.importorskip("gradio")
client = pytest.importorskip("gradio_client")
app = pytest.importorskip("app")

ROOT = Path(__file__).parent.parent
SENTENCE = re.compile(r"[A-Z][^\n]{10,400}[.]")  # one line, a capital, a stop


def fake_ocr(image: Image.Image) -> Page:
    """Reads two words in any picture that has ink, and nothing in a white one."""
    if np.asarray(image).min() == 255:
        return Page((), image.size)
    width, height = image.size
    chars = [
        Char(text, confidence, "", 0.0, box_to_polygon((i * width / 5, 0, (i + 1) * width / 5, height)))
        for i, (text, confidence) in enumerate(zip("a <b>", (0.9, 0.9, 0.5, 0.5, 0.5), strict=True))
    ]
    return Page((Line(tuple(chars), box_to_polygon((0, 0, width, height)), 0.1),), image.size)


def broken_ocr(image: Image.Image) -> Page:
    raise RuntimeError("/srv/secret: out of memory")


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def huge_png() -> bytes:
    """A few bytes that say they hold ten thousand million pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


BLACK = png(Image.new("RGB", (50, 20), "black"))
BAD = {
    "text": b"just a note",
    "empty": b"",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pdf": b"%PDF-1.7 ...",
    "huge": huge_png(),
    "cut off": png(Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)))[:4000],
}


def serve(port: int, hosts: Path) -> None:
    """Run the demo and print its address; each other host that it looks for or connects to is a line in `hosts`."""

    def listen(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(args[1], tuple)):
            host = str(args[0] if event == "socket.getaddrinfo" else args[1][0])
            if host not in ("127.0.0.1", "localhost"):
                with hosts.open("a") as file:
                    file.write(f"{host}\n")

    hosts.write_text("")
    sys.addaudithook(listen)
    demo = app.build_demo(fake_ocr)
    _, url, _ = demo.launch(server_name="127.0.0.1", server_port=port, **app.LAUNCH)
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    demo.block_thread()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosts") / "hosts.txt"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, hosts: Path) -> Iterator[str]:
    """A demo that runs in a process of its own, where Gradio may leave open what it likes."""
    command = [sys.executable, "-m", "tests.test_app", str(free_port()), str(hosts)]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("uploads"))}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip().rstrip("/")
        process.terminate()


def call(url: str, payload: object) -> tuple[str, Any]:
    """(event, data) of the endpoint's answer to a raw payload."""
    started = httpx.post(f"{url}/gradio_api/call/read", json={"data": [payload]}, timeout=20)
    assert started.status_code == 200, started.text
    answer = httpx.get(f"{url}/gradio_api/call/read/{started.json()['event_id']}", timeout=20).text
    event, data = re.findall(r"event: (\w+)\ndata: (.*)", answer)[-1]
    return event, json.loads(data)


def upload(url: str, data: bytes, name: str = "picture.png") -> str:
    answer = httpx.post(f"{url}/gradio_api/upload", files={"files": (name, data)}, timeout=20)
    path = answer.json()[0]
    assert isinstance(path, str)
    return path


# the handler


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_one_sentence_that_names_no_path(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "holiday.png"
    path.write_bytes(data)
    with pytest.raises(gr.Error) as caught:
        app.look(str(path), fake_ocr)
    assert SENTENCE.fullmatch(caught.value.message)
    assert str(tmp_path) not in caught.value.message
    assert not caught.value.print_exception


def test_no_picture_is_said_so() -> None:
    with pytest.raises(gr.Error, match="no picture yet"):
        app.look(None, fake_ocr)


def test_a_vanished_upload_and_a_bug_are_one_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.png").write_bytes(BLACK)
    for path, ocr in ((tmp_path / "gone.png", fake_ocr), (tmp_path / "a.png", broken_ocr)):
        with pytest.raises(gr.Error) as caught:
            app.look(str(path), ocr)
        assert SENTENCE.fullmatch(caught.value.message)
        assert "secret" not in caught.value.message
        assert str(tmp_path) not in caught.value.message
    assert "out of memory" in caplog.text  # but the log has it


def test_a_transparent_picture_is_read_over_white() -> None:
    glyph = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    glyph.paste((0, 0, 0, 255), (10, 5, 20, 15))
    image, _ = app.look(png(glyph), fake_ocr)
    assert (image.mode, image.getpixel((0, 0)), image.getpixel((12, 8))) == ("RGB", (255, 255, 255), (0, 0, 0))


def test_the_table_escapes_what_was_read_and_says_when_nothing_was() -> None:
    table = app.to_table(fake_ocr(Image.new("RGB", (50, 20))), 0.25)
    assert "a &lt;b&gt;" in table
    assert "<b>" not in table
    assert "1 line read" in table
    assert "reads best" in app.to_table(Page((), (50, 20)), 0.25)


def test_examples_are_there_small_and_readable() -> None:
    sizes = [Path(path).stat().st_size for path in app.EXAMPLES]
    assert len(sizes) >= 5
    assert max(sizes) < 60_000
    assert sum(sizes) < 300_000
    for path in app.EXAMPLES:
        app.look(path, fake_ocr)


# drawing


@pytest.mark.parametrize("size", [(50, 20), (20, 50), (5000, 30), (1, 1)])
def test_draw_puts_a_sheet_below_a_wide_picture_and_beside_a_tall_one(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "grey")
    drawn = draw(image, fake_ocr(image))
    assert max(drawn.size) <= 2 * 1600 + 1
    assert max(drawn.size) >= 900
    if size == (50, 20):
        assert drawn.size == (900, 721)
    if size == (20, 50):
        assert drawn.size == (721, 900)


def test_draw_refuses_another_pictures_page() -> None:
    with pytest.raises(ValueError, match="50 x 20"):
        draw(Image.new("RGB", (50, 21)), Page((), (50, 20)))


# over HTTP


def test_the_endpoint_answers_a_client_with_text_and_lines(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(BLACK)
    answering = client.Client(url, verbose=False, download_files=False)
    text, lines = answering.predict(client.handle_file(tmp_path / "a.png"), api_name="/read")
    assert text == "a <b>"
    assert [set(line) for line in lines] == [{"text", "confidence", "polygon"}]
    assert lines[0]["polygon"] == [[0, 0], [50, 0], [50, 20], [0, 20]]
    endpoints = answering.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/read"]


def test_a_data_url_is_read(url: str) -> None:
    payload = {"url": "data:image/png;base64," + base64.b64encode(BLACK).decode()}
    assert call(url, payload) == (
        "complete",
        ["a <b>", [{"text": "a <b>", "confidence": 0.1, "polygon": [[0, 0], [50, 0], [50, 20], [0, 20]]}]],
    )


def test_a_picture_without_text_is_no_error(url: str) -> None:
    payload = {"path": upload(url, png(Image.new("RGB", (50, 20), "white"))), "meta": {"_type": "gradio.FileData"}}
    assert call(url, payload) == ("complete", ["", []])


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_bad_upload_is_answered_with_a_sentence(url: str, data: bytes) -> None:
    for name in ("picture.png", "drawing.svg", "notes.txt"):
        event, answer = call(
            url, {"path": upload(url, data, name), "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        )
        assert event == "error"
        assert SENTENCE.fullmatch(answer["error"]), answer
        assert "Traceback" not in json.dumps(answer)


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}], ids=["bare", "as uploaded"])
@pytest.mark.parametrize(
    "path",
    ["{server}", "{uploads}/../{name}", "file://{server}", "http://127.0.0.1:{port}/a.png", "HTTPS://example.com/a.png", "", "\0", "a" * 5000],
)  # fmt: skip
def test_only_uploaded_files_are_read(
    url: str, tmp_path_factory: pytest.TempPathFactory, path: str, meta: dict[str, object]
) -> None:
    uploads = Path(upload(url, BLACK)).parent.parent
    server = uploads.parent / "server.png"  # a readable picture, but nobody uploaded it
    server.write_bytes(BLACK)
    with socket.socket() as listener:  # would be asked if URLs were fetched
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        payload = path.format(server=server, uploads=uploads, name=server.name, port=listener.getsockname()[1])
        event, answer = call(url, {"path": payload, **meta})
        assert event == "error"
        assert "a <b>" not in json.dumps(answer)
        assert str(server) not in json.dumps(answer)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_guard_outlives_a_sessions_update_of_the_picture(url: str, tmp_path: Path) -> None:
    (tmp_path / "server.png").write_bytes(BLACK)
    dependencies = httpx.get(f"{url}/config").json()["dependencies"]
    numbers = {dependency["api_name"]: dependency["id"] for dependency in dependencies}

    def join(name: str, payload: object) -> str:
        job = {"fn_index": numbers[name], "data": [payload], "session_hash": "mallory"}
        assert httpx.post(f"{url}/gradio_api/queue/join", json=job).status_code == 200
        return httpx.get(f"{url}/gradio_api/queue/data?session_hash=mallory", timeout=20).text

    assert '"success":true' in join("load_example", 0)  # Gradio now has a new gr.Image for this session
    answer = join("read", {"path": str(tmp_path / "server.png")})
    assert "Only uploaded pictures" in answer
    assert "a <b>" not in answer


def test_a_link_out_of_the_upload_folder_is_not_followed(tmp_path: Path) -> None:
    from gradio.data_classes import ImageData

    (tmp_path / "uploads").mkdir()
    (tmp_path / "server.png").write_bytes(BLACK)
    (tmp_path / "uploads" / "link.png").symlink_to(tmp_path / "server.png")
    image = gr.Image(render=False)
    image.GRADIO_CACHE = str(tmp_path / "uploads")
    with pytest.raises(gr.Error):
        app.admit(image, ImageData(path=str(tmp_path / "uploads" / "link.png")))


@pytest.mark.parametrize("body", ["data:image/png,abc", "data:image/png;base64,???", "data:", "data:image/png;base64,"])
def test_a_damaged_data_url_is_a_sentence(url: str, body: str) -> None:
    event, answer = call(url, {"url": body})
    assert event == "error"
    assert SENTENCE.fullmatch(answer["error"]), answer


def test_a_data_url_is_bounded() -> None:
    from gradio.data_classes import ImageData

    with pytest.raises(gr.Error, match="20 MB"):
        app.admit(gr.Image(render=False), ImageData(url="data:image/png;base64," + "A" * 29_000_000))


def test_an_upload_is_bounded(url: str) -> None:
    answer = httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.png", b"0" * 21_000_000)}, timeout=30)
    assert answer.status_code == 413


def test_nothing_was_sent_anywhere(url: str, hosts: Path) -> None:
    assert httpx.get(url).status_code == 200
    assert hosts.read_text() == ""  # of all the tests above, requests to fetch URLs included


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        app.main(["--model", str(tmp_path / "none")])
    assert str(caught.value).startswith("app.py: ")
    assert "\n" not in str(caught.value)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))

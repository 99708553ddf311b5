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
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
from PIL import Image

from simpleocr import Char, ConstraintError, Line, Page
from simpleocr.drawing import draw
from simpleocr.geometry import box_to_polygon

gr = pytest.importorskip("gradio")
client = pytest.importorskip("gradio_client")
app = pytest.importorskip("app")

ROOT = Path(__file__).parent.parent
SENTENCE = re.compile(r"[A-Z][^\n]{10,400}[.]")  # one line, a capital, a stop


class FakeOCR:
    """Reads two words in any picture that has ink, and nothing in a white one; held to something, it says to what."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __call__(self, image: Image.Image) -> Page:
        if np.asarray(image).min() == 255:
            return Page((), image.size)
        width, height = image.size
        said = "a <b>" if not self.options else " ".join(f"{name}={value}" for name, value in self.options.items())
        step = width / len(said)
        chars = [
            Char(text, 0.9 if i < 2 else 0.5, "", 0.0, box_to_polygon((i * step, 0, (i + 1) * step, height)))
            for i, text in enumerate(said)
        ]
        return Page((Line(tuple(chars), box_to_polygon((0, 0, width, height)), 0.1),), image.size)

    def score(self, image: Image.Image, candidates: Sequence[str]) -> list[Line]:
        if any("€" in candidate for candidate in candidates):
            raise ConstraintError("the model cannot write ['€'] of '5 €'")
        polygon = box_to_polygon((0, 0, *image.size))
        return [Line((), polygon, 0.75 if text == "a <b>" else 0.0) for text in candidates]

    def with_options(
        self,
        *,
        decoder: str = "greedy",
        charset: str | None = None,
        lexicon: Iterable[str] | None = None,
        pattern: str | None = None,
        language_weight: float = 0.0,
    ) -> "FakeOCR":
        if pattern == "(":
            raise ConstraintError("the pattern '(' is not understood")
        if language_weight:
            raise ValueError("the model has no language")
        given = {"decoder": decoder, "charset": charset, "lexicon": lexicon, "pattern": pattern}
        return FakeOCR(**{name: value for name, value in given.items() if value})


class BrokenOCR(FakeOCR):
    def __call__(self, image: Image.Image) -> Page:
        raise RuntimeError("/srv/secret: out of memory")


class FakeLive:
    """Says how many frames it saw, and is sure from the third on."""

    def __init__(self) -> None:
        self.frames = 0

    def see(self, image: Image.Image) -> SimpleNamespace:
        self.frames += 1
        text = f"frame {min(self.frames, 3)}"
        chars = tuple(Char(c, 0.9, "", 0.0, box_to_polygon((i, 0, i + 1, 9))) for i, c in enumerate(text))
        line = Line(chars, box_to_polygon((0, 0, len(text), 9)), 0.9)
        return SimpleNamespace(page=Page((line,), image.size), stable=self.frames >= 3)


fake_ocr, broken_ocr = FakeOCR(), BrokenOCR()


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
    demo = app.build_demo(fake_ocr, live=FakeLive)
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


def call(url: str, *payload: object, name: str = "read") -> tuple[str, Any]:
    """(event, data) of the endpoint's answer to raw payloads."""
    started = httpx.post(f"{url}/gradio_api/call/{name}", json={"data": payload}, timeout=20)
    assert started.status_code == 200, started.text
    answer = httpx.get(f"{url}/gradio_api/call/{name}/{started.json()['event_id']}", timeout=20).text
    event, data = re.findall(r"event: (\w+)\ndata: (.*)", answer)[-1]
    return event, json.loads(data)


def run(url: str, name: str, *payload: object, session: str | None = None) -> Any:
    """What the page itself would get of one of its own events: the last outputs, or what is said of an error."""
    session = session or f"session-{os.urandom(8).hex()}"
    numbers = {
        dependency["api_name"]: dependency["id"] for dependency in httpx.get(f"{url}/config").json()["dependencies"]
    }
    job = {"fn_index": numbers[name], "data": payload, "session_hash": session}
    assert httpx.post(f"{url}/gradio_api/queue/join", json=job, timeout=20).status_code == 200
    answer = httpx.get(f"{url}/gradio_api/queue/data?session_hash={session}", timeout=30).text
    messages = [json.loads(line) for line in re.findall(r"^data: (.*)$", answer, flags=re.MULTILINE)]
    (done,) = [message for message in messages if message["msg"] == "process_completed"]
    return done["output"].get("data", done["output"])


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


def outputs(*sources: bytes, **options: Any) -> list[tuple[Any, ...]]:
    return list(app.read_all(sources, FakeOCR(**options)))


def test_pages_are_shown_one_after_the_other_and_written_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    frames = [Image.new("RGB", size, "black") for size in ((50, 20), (60, 30), (70, 40))]
    buffer = BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    steps = outputs(buffer.getvalue(), BLACK)
    assert [step[1].count("<section") for step in steps[1:]] == [1, 2, 3, 4, 4]
    assert ["reading on" in step[0] for step in steps[1:]] == [True] * 4 + [False]
    assert "4 lines on 4 pages read in" in steps[-1][0]
    assert "a &lt;b&gt;" not in steps[-1][1]  # each word for itself
    assert "&lt;b&gt;" in steps[-1][1]
    assert "<b>" not in steps[-1][1]
    assert [step[3].count("<td>a &lt;b&gt;</td>") for step in steps] == [0] * (len(steps) - 1) + [4]
    files = dict(zip(app.LABELS, (Path(update["value"]) for update in steps[-1][5:]), strict=True))
    assert {path.name for path in files.values()} == {
        *("simpleocr.txt", "simpleocr.json", "simpleocr.tsv", "simpleocr.hocr"),
        *("simpleocr.alto.xml", "simpleocr.html", "simpleocr.pdf"),
    }
    assert files["txt"].read_text().split("\f") == ["a <b>\n"] * 4
    assert [json.loads(row)["size"] for row in files["json"].read_text().splitlines()] == [
        [50, 20],
        [60, 30],
        [70, 40],
        [50, 20],
    ]
    words = [row.split("\t")[-1] for row in files["tsv"].read_text().splitlines() if row.startswith("5")]
    assert words == ["a", "<b>"] * 4
    hocr = ElementTree.fromstring(files["hocr"].read_text())
    assert len([e for e in hocr.iter() if e.get("class") == "ocrx_word"]) == 8
    alto = ElementTree.fromstring(files["alto"].read_bytes())
    assert [e.get("CONTENT") for e in alto.iter() if e.tag.endswith("String")] == ["a", "<b>"] * 4
    assert files["html"].read_text().count("data:image/jpeg;base64,") == 4
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument(files["pdf"])
    try:
        assert [page.get_textpage().get_text_bounded().split() for page in document] == [["a", "<b>"]] * 4
    finally:
        document.close()


def test_a_bad_file_of_several_is_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    paths = []
    for name, data in {"a.png": BLACK, "b<i>.png": b"nothing", "c.png": BAD["cut off"], "d.png": BLACK}.items():
        (tmp_path / name).write_bytes(data)
        paths.append(str(tmp_path / name))
    last = list(app.read_all(paths, fake_ocr))[-1]
    assert "2 lines on 2 pages read" in last[0]
    faults = re.findall(r'<p role="alert"><bdi>(.*?)</bdi>: (.*?)</p>', last[0])
    assert [name for name, _ in faults] == ["b&lt;i&gt;.png", "c.png"]
    assert all(SENTENCE.fullmatch(sentence) for _, sentence in faults)
    assert last[1].count("<section") == 2
    files = [Path(update["value"]) for update in last[5:]]
    assert len(files[1].read_text().splitlines()) == 2  # pages in the JSON
    assert files[-1].read_bytes().endswith(b"%%EOF\n")  # a PDF to its end
    assert str(tmp_path) not in last[0]


def test_where_all_files_are_bad_each_is_named_and_one_alone_is_not(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        path.write_bytes(b"nothing")
    both, alone = (list(app.read_all([str(path) for path in some], fake_ocr))[-1] for some in (paths, paths[:1]))
    assert re.findall("<bdi>(.*?)</bdi>", both[0]) == ["a.png", "b.png"]
    assert 'role="status"' not in both[0]
    assert both[1] == app.WELCOME
    assert alone[0].count('role="alert"') == 1
    assert "<bdi>" not in alone[0]


def test_pages_before_a_damaged_one_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    class Tiring(FakeOCR):
        def __call__(self, image: Image.Image) -> Page:
            if image.width == 60:
                raise ConstraintError("this page is too much")
            return super().__call__(image)

    frames = [Image.new("RGB", size, "black") for size in ((50, 20), (60, 30), (70, 40))]
    buffer = BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    last = list(app.read_all([buffer.getvalue()], Tiring()))[-1]
    assert "1 line read" in last[0]
    assert "This page is too much." in last[0]


def test_of_a_picture_without_text_nothing_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    _, seen, text, lines, result, *files = outputs(png(Image.new("RGB", (50, 20), "white")))[-1]
    assert "Point at a word" not in seen
    assert "No text found" in text["placeholder"]
    assert lines == ""
    assert result["visible"] is False
    assert all(update["value"] is None for update in files)


def test_an_endless_document_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    last = outputs(*[BLACK] * (app.MAX_PAGES + 1))[-1]
    assert f"first {app.MAX_PAGES} pages" in last[0]
    assert last[1].count("<section") == app.SHOWN_PAGES
    assert last[2]["value"].count("a <b>") == app.MAX_PAGES


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (["/up/scan 1.png"], "scan-1"),
        (["/up/..png"], "simpleocr"),
        (["/up/a.png", "/up/b.png"], "simpleocr"),
        ([b"data"], "simpleocr"),
        (["/up/" + "a" * 250 + ".png"], "a" * 60),
        (['/up/<"\u202e$(rm)>.pdf'], "rm"),
    ],
)
def test_downloads_have_harmless_names(given: list[str | bytes], name: str) -> None:
    assert app.file_name(given) == name


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("greedy", app.ANYTHING, "", 0.0), {"decoder": "greedy", "language_weight": 0.0}),
        (("beam", app.CHARSET, "0123 ", 0.5), {"decoder": "beam", "language_weight": 0.5, "charset": "0123 "}),
        (("greedy", app.PATTERN, r"\d+", 0), {"decoder": "greedy", "language_weight": 0, "pattern": r"\d+"}),
        (("greedy", app.LEXICON, "Open\n\n Closed ", 0), {"decoder": "greedy", "language_weight": 0, "lexicon": ("Open", "Closed")}),
    ],
)  # fmt: skip
def test_settings_become_options(settings: tuple[Any, ...], expected: dict[str, Any]) -> None:
    assert app.options(*settings) == expected


@pytest.mark.parametrize("held", ["", " \n", "x" * (app.MAX_CONSTRAINT + 1)])
def test_a_constraint_that_says_nothing_or_too_much_is_a_sentence(held: str) -> None:
    with pytest.raises(gr.Error) as caught:
        app.options("greedy", app.PATTERN, held, 0)
    assert SENTENCE.fullmatch(caught.value.message)


class PiecesOCR(FakeOCR):
    """Reads a row of two lines, each half of the picture; a crop says surely what it was read as and nothing else."""

    def __call__(self, image: Image.Image) -> Page:
        lines = []
        for left, says in ((0, "Oat milk"), (200, "5.80")):
            boxes = [box_to_polygon((left + 10 * i, 0, left + 10 * i + 10, 20)) for i in range(len(says))]
            chars = tuple(Char(c, 0.9, "", 0.0, box) for c, box in zip(says, boxes, strict=True))
            lines.append(Line(chars, box_to_polygon((left, 0, left + 10 * len(says), 20)), 0.9))
        return Page(tuple(lines), image.size)

    def score(self, image: Image.Image, candidates: Sequence[str]) -> list[Line]:
        says = {80: "Oat milk", 40: "5.80"}.get(image.width, "")
        return [Line((), box_to_polygon((0, 0, *image.size)), 0.5 if text == says else 0.0) for text in candidates]


def test_a_text_is_asked_of_the_words_that_read_most_like_it_over_the_cells_of_a_row() -> None:
    picture = png(Image.new("RGB", (300, 20)))
    asked = "Oat milk\t5.80\nOat milk\n5.80\noat milk 5.80\nTea"
    found = app.likelihoods(picture, asked, PiecesOCR())
    assert [(one["read"], one["line"], one["probability"]) for one in found[:4]] == [
        ("Oat milk 5.80", 1, 0.25),
        ("Oat milk", 1, 0.5),
        ("5.80", 2, 0.5),
        ("Oat milk 5.80", 1, 0.0),  # found all the same, but not what it says
    ]
    assert found[4]["probability"] == 0
    assert "<td>Oat milk 5.80</td>" in app.to_table(found)


def test_a_camera_without_text_or_at_rest_is_said_so() -> None:
    live = FakeLive()
    shown = [app.frozen(live.see(Image.new("RGB", (50, 20)))) for _ in range(3)]
    assert ["Settled" in text for text in shown] == [False, False, True]
    assert "90 % sure" in shown[-1]
    empty = SimpleNamespace(page=Page((), (5, 5)), stable=True)
    assert "Settled" not in app.frozen(empty)


def test_examples_are_there_small_and_readable() -> None:
    sizes = [Path(path).stat().st_size for path in app.EXAMPLES]
    assert len(sizes) >= 5
    assert max(sizes) < 60_000
    assert sum(sizes) < 300_000
    for path in app.EXAMPLES:
        app.look(path, fake_ocr)


def test_an_example_is_read_once_and_other_pictures_each_time() -> None:
    asked: list[tuple[int, int]] = []

    class Counting(FakeOCR):
        def __call__(self, image: Image.Image) -> Page:
            asked.append(image.size)
            return super().__call__(image)

    read = app.remembering(Counting(), app.EXAMPLES[:2])
    example = app.load_image(app.EXAMPLES[0])
    assert read(example) is read(app.load_image(app.EXAMPLES[0]))
    assert asked == [example.size]
    example.putpixel((0, 0), (1, 2, 3))
    assert read(example) == read(example)
    assert read(Image.new("RGB", (50, 20))).text == "a <b>"
    assert asked == [example.size] * 3 + [(50, 20)]


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
    assert set(endpoints) == {"/read", "/score"}
    scores = answering.predict(client.handle_file(tmp_path / "a.png"), "a <b>\nabc", api_name="/score")
    assert scores[0] == {"text": "a <b>", "probability": 0.75, "line": 1, "read": "a <b>"}
    assert scores[1] == {"text": "abc", "probability": 0.0, "line": 1, "read": "a"}


@pytest.mark.parametrize("texts", ["", "\n \n", "x\n" * 21, "x" * 201, "5 €"])
def test_a_question_that_cannot_be_asked_is_answered_with_a_sentence(url: str, texts: str) -> None:
    payload = {"path": upload(url, BLACK), "meta": {"_type": "gradio.FileData"}}
    event, answer = call(url, payload, texts, name="score")
    assert event == "error"
    assert SENTENCE.fullmatch(answer["error"]), answer


def test_the_client_of_the_readme_works(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python no-run\n(from gradio_client.*?)```", readme, flags=re.DOTALL)
    for name in ("receipt.jpg", "sign.jpg"):
        (tmp_path / name).write_bytes(BLACK)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block.replace("http://127.0.0.1:7860", url), names)
    assert names["text"] == "a <b>"
    assert [score["text"] for score in names["scores"]] == ["Bakery", "Bakers"]


def test_health_is_told_without_the_queue(url: str) -> None:
    answer = httpx.get(f"{url}/health", timeout=5)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "model": "english"})


def test_settings_are_kept_to_over_http_and_a_wrong_one_is_a_sentence(url: str) -> None:
    picture = {"path": upload(url, BLACK), "meta": {"_type": "gradio.FileData"}}

    def said(*settings: Any) -> str:
        return json.dumps(run(url, "show_picture", picture, "english", *settings))

    assert "lexicon=" in said("greedy", app.LEXICON, "Open\nClosed", 0)
    assert "charset=" in said("beam", app.CHARSET, "0123", 0)
    assert "not understood." in said("greedy", app.PATTERN, "(", 0)
    assert "The model has no language." in said("greedy", app.ANYTHING, "", 0.5)
    for wrong in (("magic", app.ANYTHING, "", 0), ("greedy", "nothing", "", 0), ("greedy", app.ANYTHING, "", 7)):
        assert "a <b>" not in said(*wrong)
        assert "Traceback" not in said(*wrong)
    assert "&lt;b&gt;" not in json.dumps(
        run(url, "show_picture", picture, "user/some-model", "greedy", app.ANYTHING, "", 0)
    )


def test_files_and_a_pdf_are_read_and_only_uploaded_ones(url: str, tmp_path: Path) -> None:
    (tmp_path / "server.png").write_bytes(BLACK)
    plain = ["english", "greedy", app.ANYTHING, "", 0]
    meta = {"meta": {"_type": "gradio.FileData"}}
    sent = [{"path": upload(url, BLACK, name), **meta} for name in ("a.png", "b.png")]
    assert "2 pages" in json.dumps(run(url, "show_files", sent, *plain))
    for path in (str(tmp_path / "server.png"), "/etc/passwd", "http://127.0.0.1:9/a.png", f"{sent[0]['path']}/../../x"):
        for kind in (meta, {}):
            answer = json.dumps(run(url, "show_files", [{"path": path, **kind}], *plain))
            assert "&lt;b&gt;" not in answer
            assert "Traceback" not in answer
            assert "root:" not in answer
    status, *_ = run(url, "show_files", sent * 11, *plain)  # in the status, not as an error that covers all
    assert "Up to 20 files" in status
    assert 'role="alert"' in status


def test_a_download_is_served_and_nothing_beside_it(url: str) -> None:
    answer = run(
        url, "show_picture", {"path": upload(url, BLACK, "my scan.png")}, "english", "greedy", app.ANYTHING, "", 0
    )
    served = [update["value"] for update in answer[5:]]
    assert [file["orig_name"] for file in served][:2] == ["my-scan.txt", "my-scan.json"]
    got = httpx.get(f"{url}/gradio_api/file={served[0]['path']}", timeout=10)
    assert (got.status_code, got.text) == (200, "a <b>\n")
    folder = Path(served[0]["path"]).parent
    root = folder.parent.parent
    for wrong in (
        f"{folder}/../../../../../../etc/passwd", "/etc/passwd", "//etc/passwd", "file:///etc/passwd", f"{root}", f"{folder}",
        str(ROOT / "app.py"), "app.py", "../app.py", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "http://127.0.0.1:9/",
        "HTTPS://example.com/", "%68ttps://example.com/", "ftp://example.com/",
    ):  # fmt: skip
        assert httpx.get(f"{url}/gradio_api/file={wrong}", timeout=10).status_code in (400, 403, 404), wrong
    assert httpx.get(f"{url}/gradio_api/proxy=https://example.com/", timeout=10).status_code == 403


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
        listener.setblocking(False)  # a connection that was made waits already when the answer has come
        payload = path.format(server=server, uploads=uploads, name=server.name, port=listener.getsockname()[1])
        event, answer = call(url, {"path": payload, **meta})
        assert event == "error"
        assert "a <b>" not in json.dumps(answer)
        assert str(server) not in json.dumps(answer)
        with pytest.raises(BlockingIOError):
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


@pytest.mark.slow
def test_a_kept_line_whose_picture_was_taken_away_does_not_stop_the_tab(tmp_path: Path) -> None:
    from training.teaching import Corrections

    kept = Corrections(tmp_path / "corrections")
    first, second, _ = (kept.keep(Image.new("L", (40, 20), grey), f"{grey}", "o", 0.25) for grey in (9, 99, 199))
    assert first is not None
    assert second is not None
    (kept.folder / first.file_name).unlink()
    (kept.folder / second.file_name).write_bytes(b"nonsense")
    code = f"""
from pathlib import Path
from tests.test_app import FakeLive, app, fake_ocr
from training.teach_tab import Teacher
demo = app.build_demo(fake_ocr, live=FakeLive, teacher=Teacher(Path({str(tmp_path)!r})))
print(*(block.value for block in demo.blocks.values() if getattr(block, "elem_id", "") == "kept"))
"""
    # in a process of its own, where Gradio may leave open what it likes
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 corrections kept" in done.stdout
    assert (done.stdout.count("its picture is gone"), done.stdout.count("<img ")) == (2, 1)

"""Demo: read a picture in the browser.

    python app.py [--model NAME] [--runtime NAME] [--host NAME] [--port NUMBER]

The same file runs as a Hugging Face Space. Nothing is sent anywhere: no analytics, no fonts, no scripts of others.
What is here is wiring: the evidence is a format of the package, what bounds requests is its guard.
"""

import argparse
import binascii
import html
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, Self

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by gradio when it is imported, and a Space sets it to True
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000000"  # else each request is summed up, ever slower
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"

import gradio as gr
from gradio.data_classes import FileData, ImageData, ListFiles
from gradio.state_holder import SessionState
from PIL import Image
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import simpleocr
from simpleocr import evidence
from simpleocr.decoding import DECODERS
from simpleocr.detection import crop_line
from simpleocr.documents import load_pages
from simpleocr.formats import FORMATS, page_to_dict
from simpleocr.geometry import Polygon, box_to_polygon
from simpleocr.guard import STRANGE, Guard, keep_swept
from simpleocr.image import InputError, load_image
from simpleocr.live import Live
from simpleocr.memory import keep_given_back, share_heap
from simpleocr.passages import Piece, closest
from simpleocr.pdf import PdfWriter
from simpleocr.reader import DEFAULT_MODEL
from simpleocr.remarks import alert, many, note
from simpleocr.runtimes import RUNTIMES

if TYPE_CHECKING:  # a Space has none
    from training.teach_tab import Teacher


class Reader(Protocol):
    """What the page needs of an OCR."""

    def __call__(self, source: Image.Image, /) -> simpleocr.Page:
        """Read a picture."""

    def score(self, source: Image.Image, candidates: Sequence[str], /) -> Sequence[simpleocr.Line]:
        """How likely a line says each of these texts."""

    def with_options(
        self,
        *,
        decoder: str = ...,
        charset: str | None = ...,
        lexicon: Iterable[str] | None = ...,
        pattern: str | None = ...,
        language_weight: float = ...,
    ) -> Self:
        """The same with another decoder or constraint."""


class Seen(Protocol):
    """What a watcher made of the frames until now."""

    @property
    def page(self) -> simpleocr.Page:
        """What they say together."""

    @property
    def stable(self) -> bool:
        """Whether that has settled."""


class Watcher(Protocol):
    """Reads the frames of one camera, one after the other."""

    def see(self, image: Image.Image) -> Seen:
        """Read a frame and fuse it with those before."""


Source = str | bytes | None
Outputs = tuple[Any, ...]

EXAMPLES = sorted(str(path) for path in (Path(simpleocr.__file__).parent / "examples").glob("*.*g"))
AT_ONCE = 4  # pictures read at the same time; they share the processor's cores
DOCUMENTS_AT_ONCE = 1  # several files or a PDF; they have a queue of their own, or pictures would wait behind them
WATCHED_AT_ONCE = 4  # cameras
WATCHED_FOR = 60  # seconds until a camera gives its place to the next
WATCHED_EVERY = 0.3  # seconds between two frames
WAITING = 96  # pictures in the queue; more are refused at once
TOLD_EVERY = 2.0  # seconds between two messages to all who wait; by default each gets one whenever any is served
MAX_FILE = 20 * 2**20  # bytes of an upload
MAX_FILES = 20  # that are read in one go
MAX_UPLOAD = 5 * MAX_FILE  # bytes of all files that are sent together
MAX_BODY = MAX_FILE * 4 // 3 + 2**16  # bytes of a request that uploads nothing: a picture as base64 fits
MAX_PAGES = 50  # that are read in one go
SHOWN_PAGES = 12  # with their evidence; the text and the downloads have all
MAX_CANDIDATES, MAX_CANDIDATE = 20, 200  # texts that are asked about, characters of each
MAX_CONSTRAINT = 20_000  # characters of a charset, lexicon or pattern
LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEPT = 1800  # seconds until an upload is deleted
TRIMMED_EVERY = 10  # seconds until free memory is given back to the system again
SUFFIXES = {"alto": "alto.xml"}  # of downloads; the others are called as their format
LABELS = {"txt": "Text", "json": "JSON", "tsv": "TSV", "hocr": "hOCR", "alto": "ALTO", "html": "HTML", "pdf": "PDF"}
ANYTHING, CHARSET, LEXICON, PATTERN = "anything", "only these characters", "one of these lines", "a pattern"
PLAIN = ("greedy", ANYTHING, "", 0.0)  # decoder, what lines are held to, which, how much the language has to say
WEBCAM = gr.WebcamOptions(
    mirror=False,  # mirrored text cannot be read
    constraints={"video": {"facingMode": {"ideal": "environment"}, "width": {"ideal": 1920}}},
)

HEADER = """<header><h1>Simple<span>OCR</span></h1>
<p>Give it a picture of printed text; it gives back the text, and shows for every letter why it reads so.</p></header>"""
FOOTER = """<div class="footer"><details><summary>How it works</summary>
<p>A small network finds the lines of the picture, whichever way they run. Each line, 32 pixels high, goes through a convolutional
network that looks at strokes and a bidirectional LSTM that looks at their order; together they name one character, or none, for
each narrow column (CTC). Repeats and blanks are dropped, and the rest is the text. Its confidence is the chance that all of it is
right, added up over every way in which the network may have seen it. What is doubtful is looked at again from other sides.</p>
<p>Print, in any direction, columns, tables and forms; handwriting and other scripts than the Latin are not read. JPEG, PNG, WebP,
GIF, BMP, TIFF, AVIF and PDF, up to 25 million pixels, 20 MB and 50 pages. Only the machine that serves this page sees the
pictures, and it deletes them within the hour.</p><p><a href="?view=api">Use it from a program</a></p></details></div>"""
PLACEHOLDER = "The text will appear here."
WELCOME = '<p class="welcome">What is read appears here: the picture with a box around each word, and the evidence of each letter.</p>'

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_sm,
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],  # of the visitor's system: none is loaded
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
).set(
    body_background_fill="*neutral_50",
    input_border_width="1px",  # a field is as white as what it stands on
    input_border_width_dark="1px",
    input_border_color="*neutral_400",
    input_border_color_dark="*neutral_600",
    error_text_color_dark="#f87171",  # of the theme's own, next to white, nobody sees that it is red
)
CSS = """
.gradio-container { width: 100%; max-width: 1240px !important; margin: 0 auto !important; --input-background-fill: #fff;
  --body-text-color-subdued: var(--neutral-500); --input-placeholder-color: var(--neutral-500); --block-info-text-color: var(--neutral-500);
  --button-primary-background-fill: var(--primary-700); --button-primary-background-fill-hover: var(--primary-800); }
.dark .gradio-container, .gradio-container.dark { --input-background-fill: var(--neutral-900);
  --body-text-color-subdued: var(--neutral-400); --input-placeholder-color: var(--neutral-400);
  --block-info-text-color: var(--neutral-400); }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1.25rem; }
header h1 { font-size: 1.6rem; font-weight: 650; letter-spacing: -0.02em; margin: 0.4rem 0; }
header h1 span { margin-left: 0.12em; padding: 0 0.14em; outline: 2px solid var(--color-accent); }
.gradio-container .html-container { padding-left: 0 !important; padding-right: 0 !important; }
header p, .welcome, .hint, #status p:not([role=alert]), .footer p { color: var(--body-text-color-subdued); line-height: 1.5; margin: 0.25rem 0; }
.welcome { border: 1px dashed var(--border-color-primary); border-radius: 6px; padding: 2.5rem 1.5rem; text-align: center; }
#text textarea, #frozen { font-family: var(--font-mono); font-size: 1.02rem; line-height: 1.6; }
.gradio-container .wrap:not(:focus-within):has(> .wrap-inner) { border-color: var(--input-border-color); } /* a list to choose from */
#picture .image-frame { padding-top: 2rem; }
#examples .gallery { display: grid; grid-template-columns: repeat(3, 1fr); }
#examples .container { position: relative; height: 4.5rem; width: 100%; max-width: none; background: var(--block-background-fill); }
#examples img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; padding: 2px; }
#status, #seen, #said, #kept, #taught, #corrected, #pushed, #read-lines { padding: 0 !important; }
#status { min-height: 1.75rem; }
.gradio-container p[role=alert] { color: var(--error-text-color); }
:is(#status, #taught) .busy::before { content: ""; display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.5em; border-radius: 50%;
  border: 2px solid var(--color-accent); border-top-color: transparent; animation: turn 0.9s linear infinite; vertical-align: -0.05em; }
@keyframes turn { to { transform: rotate(1turn); } }
#downloads { gap: 0.4rem; }
#downloads button { min-width: 4.2rem; flex: 1 1 4.2rem; }
#kept img { max-height: 2rem; max-width: 16rem; object-fit: contain; }
:is(#said, #kept, #taught, #read-lines) table { width: 100%; border-collapse: collapse; }
:is(#said, #kept, #taught, #read-lines) :is(table, thead, tbody, tr, th, td) { border: 0 solid var(--border-color-primary) !important; }
:is(#said, #kept, #taught, #read-lines) :is(th, td) { border-top-width: 1px !important; padding: 0.35rem 0.6rem 0.35rem 0; text-align: left; font-weight: 400; }
#said td:not(:last-child) { width: 40%; }
#said td:last-child { white-space: nowrap; }
:is(#said, #kept, #read-lines) td { overflow-wrap: anywhere; font-family: var(--font-mono); }
:is(#said, #read-lines) meter { width: clamp(2.5rem, 10vw, 6rem); margin-right: 0.5rem; vertical-align: middle; }
#read-lines :is(th, td):not(:nth-last-child(2)) { width: 1%; white-space: nowrap; overflow-wrap: normal; }
#frozen { border: 1px solid var(--input-border-color); border-radius: 6px; padding: 0.9rem 1rem; min-height: 9rem; white-space: pre-wrap;
  overflow-wrap: anywhere; background: var(--input-background-fill); }
#frozen:empty::before { content: "What the camera sees appears here."; }
#frozen.moving { border-style: dashed; color: var(--body-text-color-subdued); }
.footer summary { cursor: pointer; color: var(--link-text-color); }
""" + evidence.style()
NAMES = """  // for screen readers: Gradio leaves the examples and the text without a name
  const name = () => {
    document.querySelectorAll("#examples img").forEach(img => { img.alt = img.src.split("/").pop().split(".")[0]; });
    document.querySelectorAll("#text textarea").forEach(area => { area.ariaLabel = "Text"; });
  };
  name();
  new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
"""


async def health(request: Request) -> JSONResponse:
    """Whether the server answers; asked for without a place in the queue."""
    return JSONResponse({"status": "ok", "model": getattr(request.app.get_blocks(), "model_name", "")})


LAUNCH: dict[str, Any] = {  # what build_demo(...).launch() takes beside host and port
    "prevent_thread_lock": True, "quiet": True, "share": False, "show_error": False, "max_file_size": MAX_FILE,
    "ssr_mode": False, "pwa": False, "mcp_server": False, "enable_monitoring": False, "run_history": False,
    "state_session_capacity": 200, "footer_links": [], "theme": THEME, "css": CSS,
    "js": "() => {" + evidence.script() + NAMES + "}",  # scripts inside of gr.HTML do not run
    "app_kwargs": {
        "routes": [Route("/health", health)],
        "middleware": [Middleware(Guard, max_upload=MAX_UPLOAD, max_body=MAX_BODY)],
    },
}  # fmt: skip


def sorry(message: str) -> gr.Error:
    """One sentence for the user, without a trace for the log; the page shows it as HTML."""
    return gr.Error(html.escape(message, quote=False), title="Not read", print_exception=False)


def admit(image: gr.Image, payload: ImageData | None) -> Source:
    """What a client sent -> the path of a file it uploaded, or the bytes of a data: URL; nothing is decoded yet.

    Gradio lets a client name any file of the server; only what is in the upload folder is let through.

    Raises:
        gr.Error: anything else.
    """
    if payload is None:
        return None
    if payload.url and payload.url.startswith("data:"):
        head, _, body = payload.url.partition(",")
        if not head.endswith(";base64") or len(body) > MAX_FILE * 4 // 3 + 4:
            raise sorry("A picture sent as text must be base64 and hold at most 20 MB.")
        try:
            return b64decode(body, validate=True)
        except binascii.Error:
            raise sorry("The picture arrived damaged; please send it again.") from None
    return uploaded(image, payload.path)


def admit_files(block: gr.File, payload: ListFiles | FileData | None) -> list[str]:
    """As admit(), for a list of uploaded files; of too many, one more than are read: the page says so in its status."""
    if payload is None:
        return []
    files = list(payload.root) if isinstance(payload, ListFiles) else [payload]
    return [uploaded(block, getattr(file, "path", None)) for file in files[: MAX_FILES + 1]]


def uploaded(block: gr.blocks.Block, name: str | None) -> str:
    """The path of a file, if it is one in the upload folder.

    Raises:
        gr.Error: it is not.
    """
    try:
        path = Path(name or "").resolve()
        inside = path.is_relative_to(Path(block.GRADIO_CACHE).resolve()) and path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        inside = False
    if not inside:
        raise sorry("Only uploaded pictures are read; please upload yours.")
    return str(path)


async def keep(block: gr.blocks.Block, source: str | Path | None) -> str | None:
    """Gradio's move of a file into the upload folder, but never by a download."""
    if source is not None and str(source).lower().startswith(("http:", "https:")):
        raise sorry("Pictures are not fetched from the web; please upload yours.")
    if source is not None and Path(source).is_absolute() and Path(source).is_relative_to(block.GRADIO_CACHE):
        return str(source)  # written there by us; Gradio would remember the name of each for ever
    return await gr.blocks.Block.async_move_resource_to_block_cache(block, source)


# On the class: Gradio makes a component anew for each session that updates it, which a guard on the instance would not
# outlive. Not in a subclass: it would write an interface file beside this module.
gr.Image.preprocess = admit  # type: ignore[assignment]
gr.File.preprocess = admit_files  # type: ignore[assignment]
for guarded in (gr.Image, gr.File, gr.DownloadButton):
    guarded.async_move_resource_to_block_cache = keep  # type: ignore[method-assign, assignment]


def begin(session: SessionState, blocks: gr.Blocks, plain: Callable[..., None] = SessionState.__init__) -> None:
    """Gradio's start of a session, without a description of every component: that is for deep links, which are refused."""
    plain(session, SimpleNamespace(default_config=blocks.default_config, blocks={}))


def forget(session: SessionState, key: int, value: object) -> None:
    """Gradio would keep what was sent and answered for each of the latest sessions, for deep links again."""


async def understand(blocks: gr.Blocks, *args: Any, plain: Any = gr.Blocks.preprocess_data) -> list[Any]:
    """Gradio's look at what was sent for a handler; too few values, or of a wrong kind, would be a bare "Error"."""
    try:
        return list(await plain(blocks, *args))
    except gr.Error:  # said already
        raise
    except (ValueError, TypeError, LookupError, AttributeError):
        raise sorry(STRANGE) from None


async def answer(blocks: gr.Blocks, *args: Any, plain: Any = gr.Blocks.call_function, **options: Any) -> dict[str, Any]:
    """Gradio's call of a handler; whatever is raised there is one sentence."""
    try:
        return dict(await plain(blocks, *args, **options))
    except Exception as error:  # noqa: BLE001 - each becomes a sentence
        raise excuse(error) from None


gr.Blocks.call_function = answer  # type: ignore[method-assign, assignment]
gr.Blocks.preprocess_data = understand  # type: ignore[method-assign, assignment]
SessionState._update_value_in_config = forget  # type: ignore[method-assign, assignment]
SessionState.__init__ = begin  # type: ignore[method-assign, assignment]  # else a third of the time of a short answer


def look(source: Source, ocr: Reader) -> tuple[Image.Image, simpleocr.Page]:
    """The upright picture and what it says.

    Raises:
        gr.Error: one sentence that names the fault, whatever it is.
    """
    if source is None:
        raise sorry("There is no picture yet: upload, paste or photograph one, or click an example.")
    try:
        image = load_image(content(source))
        return image, ocr(image)
    except Exception as error:  # noqa: BLE001 - each becomes a sentence
        raise excuse(error) from None


def content(source: str | bytes) -> bytes:
    """The bytes of an upload, so that messages name no path."""
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def excuse(error: Exception) -> gr.Error:
    """What is said of any exception; those that are no fault of the picture are logged."""
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, InputError | simpleocr.ConstraintError):
        message = str(error).replace("the picture given as bytes", "the file").rstrip(".")
        message = " ".join(message.split())[:390]
        return sorry(f"{message[0].upper()}{message[1:]}.")
    logging.getLogger("simpleocr.app").error("reading failed", exc_info=error)
    return sorry("Something went wrong here while reading; please try again, or another picture.")


@dataclass
class Reading:
    """What was read of what one user gave, and the files it is written to page by page."""

    name: str
    pages: list[simpleocr.Page] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # with their evidence

    def add(self, image: Image.Image, page: simpleocr.Page) -> None:
        """One page more."""
        self.pages.append(page)
        if len(self.pages) <= SHOWN_PAGES:
            self.shown.append(evidence.to_fragment(page, image, number=len(self.pages)))

    @property
    def seen(self) -> str:
        """All evidence, as HTML."""
        return "".join(self.shown)

    @property
    def text(self) -> str:
        """All text; a blank line between pages, which in a text field is better than a form feed."""
        return "\n\n".join(page.text for page in self.pages if page.text)

    def write(self, folder: Path) -> list[str]:
        """A file of each format, in the order of LABELS; the PDF is there already."""
        paths = []
        for kind in LABELS:
            path = folder / f"{self.name}.{SUFFIXES.get(kind, kind)}"
            if kind != "pdf":
                whole = len(self.shown) == len(self.pages)  # else with boxes only: pictures of all would be too much
                text = evidence.to_document(self.shown) if kind == "html" and whole else FORMATS[kind](self.pages)
                path.write_text(text, encoding="utf-8", newline="\n")
            paths.append(str(path))
        return paths


def file_name(sources: Sequence[str | bytes]) -> str:
    """What the downloads are called: as the one file that was given, as far as that is a harmless name."""
    stem = Path(sources[0]).stem if len(sources) == 1 and isinstance(sources[0], str) else ""
    return re.sub(r"[^\w-]+", "-", stem, flags=re.ASCII).strip("-")[:60] or "simpleocr"


def remembering(ocr: Reader, paths: Iterable[str]) -> Callable[[Image.Image], simpleocr.Page]:
    """A reader that reads each of these pictures once only: the examples, which everybody clicks."""

    def key(image: Image.Image) -> tuple[tuple[int, int], bytes]:
        return image.size, sha256(image.tobytes()).digest()

    known: dict[Any, simpleocr.Page | None] = {key(load_image(path)): None for path in paths}
    sizes = {size for size, _ in known}

    def read(image: Image.Image) -> simpleocr.Page:
        at = key(image) if image.size in sizes else None
        if at not in known:
            return ocr(image)
        page = known[at] or ocr(image)
        known[at] = page
        return page

    return read


def pages_of(
    sources: Sequence[str | bytes], ocr: Callable[[Image.Image], simpleocr.Page], faults: list[str]
) -> Iterator[tuple[Image.Image, simpleocr.Page]]:
    """All pages of all files, and what they say, up to MAX_PAGES.

    Args:
        sources: paths of uploads, or their bytes.
        ocr: reads one page.
        faults: to which a sentence is added, as HTML, for each file that cannot be read, or not to its end; where there
            are several files it is named. Those after it are read.
    """
    count = 0
    for source in sources:
        try:
            for image in load_pages(content(source)):
                if count == MAX_PAGES:
                    faults.append(f"Only the first {MAX_PAGES} pages were read.")
                    return
                yield image, ocr(image)
                count += 1
        except Exception as error:  # noqa: BLE001 - each becomes a sentence
            name = Path(source).name if isinstance(source, str) else "The picture"
            named = f"<bdi>{html.escape(name)}</bdi>: " if len(sources) > 1 else ""
            faults.append(named + excuse(error).message)


def unread() -> Outputs:
    """The outputs as they are before anything was read; anew each time, because Gradio takes updates apart."""
    files = [gr.update(value=None) for _ in LABELS]
    return "", WELCOME, gr.update(value="", placeholder=PLACEHOLDER), "", gr.update(visible=False), *files


def read_all(sources: Sequence[str | bytes], ocr: Callable[[Image.Image], simpleocr.Page]) -> Iterator[Outputs]:
    """The outputs after each page of each file."""
    _, seen, text, *rest = unread()  # nothing of an earlier picture may stay beside this one
    if not sources:
        missing = "There is no picture yet: upload, paste or photograph one, or click an example."
        yield alert(missing), seen, text, *rest
        return
    yield note("Reading …", busy=True), "", text, *rest
    start = time.perf_counter()
    reading = Reading(file_name(sources))
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    faults: list[str] = []  # shown here, where they stay; Gradio would cover the text with the word "Error"
    with ExitStack() as stack:
        pdf = stack.enter_context(PdfWriter(stack.enter_context((folder / f"{reading.name}.pdf").open("wb"))))
        for image, page in pages_of(sources, ocr, faults):
            pdf.add(image, page)
            reading.add(image, page)
            done = note(f"{many(len(reading.pages), 'page')} read, reading on …", busy=True)
            yield done, reading.seen, gr.update(value=reading.text), *rest
    unread_files = "".join(map(alert, faults))
    if not reading.pages:
        yield unread_files, *unread()[1:]
        return
    lines = sum(len(page.lines) for page in reading.pages)
    count = (
        f"{many(lines, 'line')} on {many(len(reading.pages), 'page')}"
        if len(reading.pages) > 1
        else many(lines, "line")
    )
    said = note(f"{count} read in {time.perf_counter() - start:.1f} seconds") + unread_files
    hidden = len(reading.pages) - len(reading.shown)
    more = note(f"{many(hidden, 'page')} more in the text and the downloads.") if hidden else ""
    empty = "" if lines else "No text found in this picture."
    text = gr.update(value=reading.text, placeholder=empty)
    if lines:
        written = [gr.update(value=path) for path in reading.write(folder)]
        rest = [evidence.to_table(reading.pages), gr.update(visible=True), *written]
    yield said, reading.seen + more, text, *rest


def likelihoods(source: Source, texts: str | None, ocr: Reader) -> list[dict[str, Any]]:
    """How likely a picture says each of these texts, one a line: {"text", "probability", "line", "read"}, in their order.

    Each is compared with the words of one row that read most like it: "read" is what they were read as, "line" the number
    of the line in which they begin, "probability" that a picture of just these words says just the text; where they are
    in several lines, as in the cells of a table, it is the product of that of each. A picture without lines is compared
    as a whole.

    Raises:
        gr.Error: as look(); no texts, too many or too long ones, or characters that the model cannot write.
    """
    candidates = [text for text in (line.strip() for line in (texts or "").splitlines()) if text]
    if not candidates:
        raise sorry("Write one or several texts, each on a line of its own, and ask again.")
    if len(candidates) > MAX_CANDIDATES or max(map(len, candidates)) > MAX_CANDIDATE:
        raise sorry(f"Up to {MAX_CANDIDATES} texts of up to {MAX_CANDIDATE} characters are compared.")
    image, page = look(source, ocr)
    whole = box_to_polygon((0, 0, *page.size))
    try:
        passages = [closest(text, page) or (Piece(0, "", whole, text),) for text in candidates]
        asked: dict[Polygon, list[tuple[int, str]]] = {}  # texts about one place are scored together
        for i, pieces in enumerate(passages):
            for piece in pieces:
                asked.setdefault(piece.polygon, []).append((i, piece.text))
        found = [1.0] * len(candidates)
        for polygon, those in asked.items():
            scored = ocr.score(crop_line(image, polygon)[0], [text for _, text in those])
            for (i, _), one in zip(those, scored, strict=True):
                found[i] *= one.confidence
    except Exception as error:  # noqa: BLE001 - each becomes a sentence
        raise excuse(error) from None
    return [
        {
            "text": text,
            "probability": round(probability, 4),
            "line": pieces[0].line + 1,
            "read": " ".join(piece.read for piece in pieces),
        }
        for text, probability, pieces in zip(candidates, found, passages, strict=True)
    ]


def to_table(scores: Sequence[Mapping[str, Any]]) -> str:
    """What likelihoods() gives, as HTML."""
    rows = "".join(
        f"<tr><td>{html.escape(one['text'])}</td><td>{html.escape(one['read'])}</td>"
        f"<td>{evidence.meter(one['probability'])}</td></tr>"
        for one in scores
    )
    head = "<tr><th>Text</th><th>Compared with</th><th>How likely</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def options(decoder: str, kind: str, held: str, weight: float) -> dict[str, Any]:
    """The settings of the page -> arguments of OCR.with_options().

    Raises:
        gr.Error: a constraint without what it is to be.
    """
    chosen: dict[str, Any] = {"decoder": decoder, "language_weight": weight}
    if kind == ANYTHING:
        return chosen
    if not held.strip() or len(held) > MAX_CONSTRAINT:
        raise sorry(f"Write what lines may be, in up to {MAX_CONSTRAINT:,} characters, or let them be anything.")
    if kind == LEXICON:
        return {**chosen, "lexicon": tuple(line.strip() for line in held.splitlines() if line.strip())}
    return {**chosen, "charset" if kind == CHARSET else "pattern": held.strip("\n")}


def build_demo(
    ocr: Reader,
    *,
    name: str = DEFAULT_MODEL,
    others: Mapping[str, Reader] | None = None,
    live: Callable[[], Watcher] | None = None,
    teacher: "Teacher | None" = None,
) -> gr.Blocks:
    """The page and its public endpoints, "/read" and "/score"; serve it with its launch(**LAUNCH).

    Args:
        ocr: a reader that threads may share.
        name: what its model is called.
        others: more readers to choose from, by the names of their models.
        live: makes a reader of camera frames for each user; without it there is no such tab.
        teacher: where corrections are kept and what is learned from them; without it there is no such tab.
    """
    readers = {name: ocr, **(others or {})}
    read_once = remembering(ocr, EXAMPLES)

    @lru_cache(maxsize=32)
    def held_reader(model: str, decoder: str, kind: str, held: str, weight: float) -> Reader:
        chosen = options(decoder, kind, held, weight)
        return readers[model] if chosen == options(*PLAIN) else readers[model].with_options(**chosen)

    def reader(*settings: Any) -> Reader:
        try:
            return held_reader(*settings)
        except (gr.Error, ValueError) as error:
            wrong = (
                error
                if isinstance(error, gr.Error | simpleocr.ConstraintError)
                else simpleocr.ConstraintError(str(error))
            )
            raise excuse(wrong) from None

    def show(sources: Sequence[str | bytes], settings: Sequence[Any]) -> Iterator[Outputs]:
        try:
            if len(sources) > MAX_FILES:
                raise sorry(f"Up to {MAX_FILES} files are read in one go; please send fewer.")
            chosen = reader(*settings)
        except gr.Error as error:
            yield alert(error.message), *unread()[1:]
        else:
            yield from read_all(sources, read_once if chosen is ocr else chosen)

    def show_picture(source: Source, *settings: Any) -> Iterator[Outputs]:
        yield from [unread()] if source is None else show([source], settings)

    def show_files(files: list[str], *settings: Any) -> Iterator[Outputs]:
        yield from [unread()] if not files else show(files, settings)

    def show_given(source: Source, files: list[str], *settings: Any) -> Iterator[Outputs]:
        yield from show([*([source] if source is not None else []), *files], settings)

    def says(source: Source, files: list[str], texts: str, *settings: Any) -> str:
        try:
            return to_table(likelihoods(source or next(iter(files), None), texts, reader(*settings)))
        except gr.Error as error:
            return alert(error.message)

    def read(image: Source) -> tuple[str, list[dict[str, Any]]]:
        """Reads a picture: its text, and its lines, each with text, confidence, and polygon in the upright picture's pixels."""
        _, page = look(image, ocr)
        lines = page_to_dict(page)["lines"]
        return page.text, [{key: line[key] for key in ("text", "confidence", "polygon")} for line in lines]

    def score(image: Source, texts: str) -> list[dict[str, Any]]:
        """How likely a picture says each of some texts, one a line; each with its probability, and the line and its words that it was compared with."""
        return likelihoods(image, texts, ocr)

    shared: dict[str, Any] = {"concurrency_limit": AT_ONCE, "concurrency_id": "reading"}
    documents: dict[str, Any] = {"concurrency_limit": DOCUMENTS_AT_ONCE, "concurrency_id": "documents"}
    demo = gr.Blocks(title="SimpleOCR", analytics_enabled=False)
    demo.model_name = name  # type: ignore[attr-defined]  # for health()
    with demo:
        gr.HTML(HEADER)
        with gr.Tabs():
            with gr.Tab("Read"), gr.Row():
                with gr.Column(scale=3, min_width=320):
                    with gr.Tabs():
                        with gr.Tab("Picture"):
                            picture = gr.Image(
                                label="Picture", alt_text="The picture to read", type="filepath", image_mode=None, height=300,
                                placeholder="Drop a picture here, or click to upload\nPDFs go into the tab “Files, PDF”",
                                sources=["upload", "webcam", "clipboard"], webcam_options=WEBCAM, elem_id="picture",
                            )  # fmt: skip
                        with gr.Tab("Files, PDF"):
                            files = gr.File(
                                label="Pictures and PDFs", file_count="multiple", height=300, elem_id="files"
                            )
                    button = gr.Button("Read", variant="primary", elem_id="read")
                    gr.Examples(EXAMPLES, picture, elem_id="examples", api_visibility="private")
                    with gr.Accordion("Settings", open=False, elem_id="settings"):
                        model = gr.Dropdown(list(readers), value=name, label="Model")
                        decoder = gr.Radio(list(DECODERS), value=PLAIN[0], label="Decoder")
                        kind = gr.Radio([ANYTHING, CHARSET, LEXICON, PATTERN], value=ANYTHING, label="A line may say")
                        held = gr.Textbox(label="Which", lines=2, placeholder="0123456789.,$", elem_id="held")
                        weight = gr.Slider(0, 1, value=0, step=0.05, label="How much the language has to say")
                with gr.Column(scale=5, min_width=320):
                    status = gr.HTML(elem_id="status", apply_default_css=False)
                    seen = gr.HTML(WELCOME, elem_id="seen", apply_default_css=False)
                    text = gr.Textbox(
                        label="Text", lines=3, max_lines=16, placeholder=PLACEHOLDER, buttons=["copy"], elem_id="text",
                    )  # fmt: skip
                    with gr.Column(visible=False, elem_id="result") as result:
                        with gr.Row(elem_id="downloads"):
                            saved = [
                                gr.DownloadButton(label, size="sm", min_width=60, elem_id=f"save-{format_name}")
                                for format_name, label in LABELS.items()
                            ]
                        with gr.Accordion("Lines", open=False, elem_id="lines-read"):
                            lines = gr.HTML(elem_id="read-lines", apply_default_css=False)
                    with gr.Accordion("Does it say … ?", open=False, elem_id="asking"):
                        texts = gr.Textbox(
                            label="Texts, each on a line of its own",
                            info="Each is compared with the words, side by side in one row, that read most like it.",
                            lines=2,
                            placeholder="Bakery\nBakers",
                            elem_id="texts",
                        )
                        ask = gr.Button("How likely?", size="sm", elem_id="ask")
                        said = gr.HTML(elem_id="said", apply_default_css=False)
            if live is not None:
                with gr.Tab("Live"):
                    watch_live(live)
            if teacher is not None:
                with gr.Tab("Teach"):
                    from training.teach_tab import teach

                    teach(teacher, lambda source: look(source, ocr), readers, model, webcam=WEBCAM, seconds=KEPT)
        gr.HTML(FOOTER)
        settings: list[Any] = [model, decoder, kind, held, weight]
        outputs: list[Any] = [status, seen, text, lines, result, *saved]
        ours: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        picture.change(show_picture, [picture, *settings], outputs, trigger_mode="always_last", **ours, **shared)
        files.change(show_files, [files, *settings], outputs, trigger_mode="always_last", **ours, **documents)
        button.click(show_given, [picture, files, *settings], outputs, **ours, **documents)
        ask.click(says, [picture, files, texts, *settings], said, **ours, **shared)
        answer = [gr.Textbox(visible=False, label="text"), gr.JSON(visible=False, label="lines")]
        gr.Button(visible=False).click(read, picture, answer, api_name="read", **shared)
        scores = gr.JSON(visible=False, label="scores")
        gr.Button(visible=False).click(score, [picture, texts], scores, api_name="score", **shared)
    threading.Thread(target=lambda: [read_once(load_image(path)) for path in EXAMPLES], daemon=True).start()
    demo.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, status_update_rate=TOLD_EVERY)
    return demo


def watch_live(live: Callable[[], Watcher]) -> None:
    """The tab of the camera: its picture, the text as it is, and the last that was stable, with its confidence."""

    def watch(frame: Source, watcher: Watcher | None) -> tuple[Watcher | None, Any]:
        if frame is None:
            return watcher, gr.skip()
        watcher = watcher or live()
        try:
            now = watcher.see(load_image(content(frame)))
        except Exception as error:  # noqa: BLE001 - each becomes a sentence
            return watcher, alert(excuse(error).message)
        return watcher, frozen(now)

    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            camera = gr.Image(
                label="Camera", sources=["webcam"], streaming=True, type="filepath", image_mode=None,
                webcam_options=WEBCAM, elem_id="camera",
            )  # fmt: skip
        with gr.Column(scale=1, min_width=320):
            now = gr.HTML('<div id="frozen" class="moving"></div>', apply_default_css=False)
            again = gr.Button("Start over", size="sm")
            gr.HTML(
                f'<p class="hint">Hold text before the camera. After {WATCHED_FOR} seconds the place is the next one\'s.</p>'
            )
    state = gr.State(None, time_to_live=KEPT)  # not a Live: Gradio would copy it, with its networks, for every user
    ours: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    camera.stream(
        watch, [camera, state], [state, now], stream_every=WATCHED_EVERY, time_limit=WATCHED_FOR,
        concurrency_limit=WATCHED_AT_ONCE, concurrency_id="live", **ours,
    )  # fmt: skip
    again.click(lambda: (None, '<div id="frozen" class="moving"></div>'), None, [state, now], queue=False, **ours)


def frozen(seen: Seen) -> str:
    """What the camera says now, as HTML: settled, or still moving."""
    page = seen.page
    if not page.lines or not seen.stable:
        return f'<div id="frozen" class="moving" role="status">{html.escape(page.text)}</div>'
    sure = evidence.percent(min(line.confidence for line in page.lines))
    return f'<div id="frozen" role="status">{html.escape(page.text)}</div><p class="hint">Settled; every line at least {sure} sure.</p>'


def teacher_for(folder: Path | None, host: str | None, model: str) -> "Teacher | None":
    """Whoever serves only themselves may teach; on a network, or as a Space, only where a folder was given."""
    public = "SPACE_ID" in os.environ or (host or os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")) not in LOOPBACK
    if (folder is None and public) or find_spec("training") is None or find_spec("accelerate") is None:
        return None
    from training.teach_tab import Teacher

    return Teacher(folder or Path.home() / ".simpleocr", model)


def load_reader(name: str, runtime: str | None = None) -> simpleocr.OCR:
    """A reader for all users, with the fastest runtime there is; each reads with one thread, for there are many of them.

    Args:
        name: of a model.
        runtime: in RUNTIMES. By default the fastest that is installed and that the model's file is made for.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    if runtime is None:
        if find_spec("onnxruntime") and find_spec("onnx"):
            with suppress(simpleocr.ModelError):
                return load_reader(name, "onnx-int8")
        return load_reader(name, "torch")
    if runtime == "torch":
        import torch

        torch.set_num_threads(1)
        return simpleocr.OCR.from_pretrained(name).shared()
    said = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        return simpleocr.OCR.from_pretrained(name, runtime=runtime)
    finally:  # what is taught in a process of its own may have all
        os.environ.pop("OMP_NUM_THREADS")
        os.environ |= {"OMP_NUM_THREADS": said} if said else {}


def main(argv: Sequence[str] | None = None) -> None:
    """Load the model and serve until interrupted."""
    parser = argparse.ArgumentParser(description="Read pictures in the browser.")
    names = "a folder, a file, a shipped model or a Hub repository; default: SIMPLEOCR_MODEL or %(default)s"
    parser.add_argument("--model", default=os.environ.get("SIMPLEOCR_MODEL", DEFAULT_MODEL), help=names)
    parser.add_argument("--runtime", choices=[*RUNTIMES], help="default: the fastest that is installed")
    parser.add_argument("--host", help="0.0.0.0 serves every network; default: GRADIO_SERVER_NAME or 127.0.0.1")
    parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT or the first free one from 7860 on")
    parser.add_argument(
        "--teach",
        type=Path,
        default=os.environ.get("SIMPLEOCR_TEACH"),
        metavar="FOLDER",
        help="where corrections and taught models are kept; default: SIMPLEOCR_TEACH, or ~/.simpleocr where only this "
        "machine is served, else there is no such tab",
    )
    args = parser.parse_args(argv)
    share_heap()
    try:
        ocr = load_reader(args.model, args.runtime)
    except simpleocr.ModelError as error:
        sys.exit(f"app.py: {error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the uploads go, too
    with tempfile.TemporaryDirectory(prefix="simpleocr-", ignore_cleanup_errors=True) as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # of its own: Gradio's is shared by all its users on the machine
        keep_swept(Path(uploads), KEPT, KEPT / 3)  # Gradio's own clean-up leaves half-sent files, and dies under load
        keep_given_back(TRIMMED_EVERY)
        teacher = teacher_for(args.teach, args.host, args.model)
        # only the name: a visitor need not know where the model lies
        demo = build_demo(ocr, name=Path(args.model).name, live=partial(Live, ocr), teacher=teacher)
        _, url, _ = demo.launch(server_name=args.host, server_port=args.port, **LAUNCH)
        print(f"SimpleOCR is at {url}", flush=True)  # noqa: T201 - said once, to the user
        demo.block_thread()


if __name__ == "__main__":
    main()

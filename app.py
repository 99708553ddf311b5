"""Demo: read a picture in the browser.

    python app.py [--model NAME] [--host NAME] [--port NUMBER]

The same file runs as a Hugging Face Space. Nothing is sent anywhere: no analytics, no fonts, no scripts of others.
"""

import argparse
import binascii
import html
import logging
import os
import signal
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by gradio when it is imported, and a Space sets it to True
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000000"  # else each request is summed up, ever slower
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"

import gradio as gr
import torch
from gradio.data_classes import ImageData
from PIL import Image

import simpleocr
from simpleocr.drawing import draw
from simpleocr.formats import page_to_dict
from simpleocr.image import InputError, load_image
from simpleocr.reader import DEFAULT_MODEL

Reader = Callable[[Image.Image], simpleocr.Page]
Source = str | bytes | None
Outputs = tuple[Any, str, Any]

EXAMPLES = sorted(str(path) for path in (Path(simpleocr.__file__).parent / "examples").glob("*.*g"))
AT_ONCE = 2  # pictures read at the same time; they share the processor's cores
WAITING = 64  # pictures in the queue; more are refused at once
MAX_FILE = 20 * 2**20  # bytes of an upload
KEPT = 1800  # seconds until an upload is deleted
WEBCAM = gr.WebcamOptions(
    mirror=False,  # mirrored text cannot be read
    constraints={"video": {"facingMode": {"ideal": "environment"}, "width": {"ideal": 1920}}},
)

HEADER = """<header><h1>Simple<span>OCR</span></h1>
<p>Give it a picture of printed text; it gives back the text. Upload, paste or photograph one, or try an example.</p></header>"""
FOOTER = """<div class="footer"><details><summary>How it works</summary>
<p>The picture is split into lines where its rows hold no ink. Each line, 32 pixels high, goes through a convolutional network
that looks at strokes and a bidirectional LSTM that looks at their order; together they name one character, or none, for each
narrow column (CTC). Repeats and blanks are dropped, and the rest is the text. Its confidence is the chance
that all of it is right, added up over every way in which the network may have seen it.</p>
<p>Best at upright print in one column on an even ground; handwriting and other scripts are not read. JPEG, PNG, WebP, GIF,
BMP, TIFF and AVIF, up to 25 million pixels and 20 MB. Only the machine that serves this page sees the pictures, and it deletes
them within the hour.</p><p><a href="?view=api">Use it from a program</a></p></details></div>"""
PLACEHOLDER = "The text will appear here."

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_sm,
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],  # of the visitor's system: none is loaded
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
).set(body_background_fill="*neutral_50")
CSS = """
.gradio-container { width: 100%; max-width: 1120px !important; margin: 0 auto !important; --input-background-fill: #fff;
  --body-text-color-subdued: var(--neutral-500); --input-placeholder-color: var(--neutral-500);
  --button-primary-background-fill: var(--primary-700); --button-primary-background-fill-hover: var(--primary-800); }
.dark .gradio-container, .gradio-container.dark { --input-background-fill: var(--neutral-900);
  --body-text-color-subdued: var(--neutral-400); --input-placeholder-color: var(--neutral-400); }
header h1 { font-size: 1.75rem; font-weight: 650; letter-spacing: -0.02em; margin: 0.5rem 0; }
header h1 span { margin-left: 0.12em; padding: 0 0.14em; outline: 2px solid var(--color-accent); }
header p, #lines p, #lines th, #lines caption, .footer p { color: var(--body-text-color-subdued); line-height: 1.5; }
#text textarea { font-family: var(--font-mono); font-size: 1.05rem; line-height: 1.6; }
#picture .image-frame, #drawn .image-frame { padding-top: 2rem; }
#examples .gallery { display: grid; grid-template-columns: repeat(3, 1fr); }
#examples .container { position: relative; height: 4.5rem; width: 100%; max-width: none; background: var(--block-background-fill); }
#examples img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; padding: 2px; }
#lines [role=alert] { color: var(--error-text-color); }
#lines table { width: 100%; border-collapse: collapse; }
#lines :is(table, thead, tbody, tr, th, td) { border: 0 solid var(--border-color-primary) !important; }
#lines :is(th, td) { border-top-width: 1px !important; }
#lines :is(th, td, caption) { padding: 0.35rem 0.6rem 0.35rem 0; text-align: left; font-weight: 400; }
#lines :is(th, td):nth-child(2) { width: 100%; overflow-wrap: anywhere; }
.footer summary { cursor: pointer; color: var(--link-text-color); }
"""
NAMES = """() => {  // for screen readers: Gradio leaves the examples and the text without a name
  const name = () => {
    document.querySelectorAll("#examples img").forEach(img => { img.alt = img.src.split("/").pop().split(".")[0]; });
    document.querySelectorAll("#text textarea").forEach(area => { area.ariaLabel = "Text"; });
  };
  name();
  new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
}"""

LAUNCH: dict[str, Any] = {  # what build_demo(...).launch() takes beside host and port
    "prevent_thread_lock": True, "quiet": True, "share": False, "show_error": False, "max_file_size": MAX_FILE,
    "ssr_mode": False, "pwa": False, "mcp_server": False, "enable_monitoring": False, "run_history": False,
    "state_session_capacity": 200, "footer_links": [], "theme": THEME, "css": CSS, "js": NAMES,
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
    try:
        path = Path(payload.path or "").resolve()
        inside = path.is_relative_to(Path(image.GRADIO_CACHE).resolve()) and path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        inside = False
    if not inside:
        raise sorry("Only uploaded pictures are read; please upload yours.")
    return str(path)


async def keep(image: gr.Image, source: str | Path | None) -> str | None:
    """Gradio's move of a file into the upload folder, but never by a download."""
    if source is not None and str(source).lower().startswith(("http:", "https:")):
        raise sorry("Pictures are not fetched from the web; please upload yours.")
    return await gr.blocks.Block.async_move_resource_to_block_cache(image, source)


# On the class: Gradio makes a component anew for each session that updates it, which a guard on the instance would not
# outlive. Not in a subclass: it would write an interface file beside this module.
gr.Image.preprocess = admit  # type: ignore[assignment]
gr.Image.async_move_resource_to_block_cache = keep  # type: ignore[assignment]


def look(source: Source, ocr: Reader) -> tuple[Image.Image, simpleocr.Page]:
    """The upright picture and what it says.

    Raises:
        gr.Error: one sentence that names the fault, whatever it is.
    """
    if source is None:
        raise sorry("There is no picture yet: upload, paste or photograph one, or click an example.")
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()  # so that messages name no path
        image = load_image(data)
        return image, ocr(image)
    except InputError as error:
        message = str(error).replace("the picture given as bytes", "The file")
        raise sorry(f"{message[0].upper()}{message[1:]}.") from None
    except Exception:
        logging.getLogger("simpleocr.app").exception("reading failed")
        raise sorry("Something went wrong here while reading; please try again, or another picture.") from None


def to_table(page: simpleocr.Page, seconds: float) -> str:
    """The lines with their confidence, as HTML."""
    if not page.lines:
        return "<p>Text reads best upright, sharp and at least 12 pixels high.</p>"
    rows = "".join(
        f"<tr><td>{i}</td><td>{html.escape(line.text)}</td><td>{line.confidence:.2f}</td></tr>"
        for i, line in enumerate(page.lines, start=1)
    )
    count = f"{len(page.lines)} line{'s' * (len(page.lines) != 1)} read in {seconds:.1f} seconds"
    head = f"<caption>{count}</caption><thead><tr><th>Line</th><th>Text</th><th>Confidence</th></tr></thead>"
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def unread() -> Outputs:
    """The outputs as they are before anything was read; anew each time, because Gradio takes updates apart."""
    return gr.update(value="", placeholder=PLACEHOLDER), "", gr.update(value=None, visible=False)


def build_demo(ocr: Reader) -> gr.Blocks:
    """The page and its one public endpoint, "/read", for a reader that threads may share; serve it with its launch(**LAUNCH)."""

    def show(source: Source) -> Iterator[Outputs]:
        yield unread()  # nothing of an earlier picture may stay beside this one
        start = time.perf_counter()
        try:
            image, page = look(source, ocr)
        except gr.Error as error:  # shown here, where it stays; Gradio would cover the text with the word "Error"
            text, _, drawn = unread()
            yield text, f'<p role="alert">{error.message}</p>', drawn
        else:
            text = gr.update(value=page.text, placeholder="" if page.lines else "No text found in this picture.")
            drawn = gr.update(value=draw(image, page), visible=True) if page.lines else gr.update(visible=False)
            yield text, to_table(page, time.perf_counter() - start), drawn

    def show_or_clear(source: Source) -> Iterator[Outputs]:
        yield from [unread()] if source is None else show(source)

    def read(image: Source) -> tuple[str, list[dict[str, Any]]]:
        """Reads a picture: its text, and its lines, each with text, confidence, and polygon in the upright picture's pixels."""
        _, page = look(image, ocr)
        lines = page_to_dict(page)["lines"]
        return page.text, [{key: line[key] for key in ("text", "confidence", "polygon")} for line in lines]

    shared: dict[str, Any] = {"concurrency_limit": AT_ONCE, "concurrency_id": "reading"}
    demo = gr.Blocks(title="SimpleOCR", analytics_enabled=False, delete_cache=(KEPT // 3, KEPT))
    with demo:
        gr.HTML(HEADER)
        with gr.Row():
            with gr.Column(min_width=320):
                picture = gr.Image(
                    label="Picture", alt_text="The picture to read", type="filepath", image_mode=None, height=320,
                    sources=["upload", "webcam", "clipboard"], webcam_options=WEBCAM, elem_id="picture",
                )  # fmt: skip
                button = gr.Button("Read", variant="primary", elem_id="read")
                gr.Examples(EXAMPLES, picture, elem_id="examples", api_visibility="private")
            with gr.Column(min_width=320):
                text = gr.Textbox(
                    label="Text", lines=5, max_lines=16, placeholder=PLACEHOLDER, buttons=["copy"], elem_id="text",
                )  # fmt: skip
                table = gr.HTML(elem_id="lines")
                drawn = gr.Image(
                    label="What was read, and where", alt_text="The picture with a box around each line, and its text",
                    buttons=["download", "fullscreen"], interactive=False, elem_id="drawn", visible=False,
                )  # fmt: skip
        gr.HTML(FOOTER)
        outputs: list[Any] = [text, table, drawn]
        ours: dict[str, Any] = {"api_visibility": "private", "show_progress_on": text, **shared}
        picture.change(show_or_clear, picture, outputs, trigger_mode="always_last", **ours)
        button.click(show, picture, outputs, **ours)
        answer = [gr.Textbox(visible=False, label="text"), gr.JSON(visible=False, label="lines")]
        gr.Button(visible=False).click(read, picture, answer, api_name="read", **shared)
    demo.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE)
    return demo


def main(argv: Sequence[str] | None = None) -> None:
    """Load the model and serve until interrupted."""
    parser = argparse.ArgumentParser(description="Read pictures in the browser.")
    names = "a folder, a file, a shipped model or a Hub repository; default: SIMPLEOCR_MODEL or %(default)s"
    parser.add_argument("--model", default=os.environ.get("SIMPLEOCR_MODEL", DEFAULT_MODEL), help=names)
    parser.add_argument("--host", help="0.0.0.0 serves every network; default: GRADIO_SERVER_NAME or 127.0.0.1")
    parser.add_argument("--port", type=int, help="default: GRADIO_SERVER_PORT or the first free one from 7860 on")
    args = parser.parse_args(argv)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // AT_ONCE))
    try:
        ocr = simpleocr.OCR.from_pretrained(args.model)
    except simpleocr.ModelError as error:
        sys.exit(f"app.py: {error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the uploads go, too
    with tempfile.TemporaryDirectory(prefix="simpleocr-", ignore_cleanup_errors=True) as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads  # of its own: Gradio's is shared by all its users on the machine
        demo = build_demo(ocr)
        _, url, _ = demo.launch(server_name=args.host, server_port=args.port, **LAUNCH)
        print(f"SimpleOCR is at {url}", flush=True)  # noqa: T201 - said once, to the user
        demo.block_thread()


if __name__ == "__main__":
    main()

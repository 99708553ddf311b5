"""Teach: the tab of the demo in which a person corrects what was read wrong, and a model learns from it."""

import html
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from simpleocr import CRNN, OCR, ModelError, Page
from simpleocr.detection import crop_line
from simpleocr.evidence import percent, picture_url
from simpleocr.image import InputError, load_image
from simpleocr.reader import DEFAULT_MODEL
from simpleocr.remarks import alert, many, note
from training import teaching

SHOWN = 50  # corrections, the latest

Outputs = tuple[Any, ...]
Look = Callable[[str | bytes | None], tuple[Image.Image, Page]]


@dataclass(frozen=True)
class Teacher:
    """Where corrections are kept, and how a model is taught by them.

    Args:
        folder: of the corrections, and of what was learned, below "learned".
        init: the model that is taught.
        settings: more arguments of training.finetune.
    """

    folder: Path
    init: str = DEFAULT_MODEL
    settings: Sequence[str] = ()


def teach(
    teacher: Teacher, look: Look, readers: dict[str, Any], model: gr.Dropdown, *, webcam: gr.WebcamOptions, seconds: int
) -> None:
    """The tab in which lines are corrected, kept, learned from, and the model that comes of it used and pushed.

    Args:
        teacher: what is taught.
        look: an upload -> its upright picture and what it says; a gr.Error names what is wrong with it.
        readers: of the demo, by name; what was learned is put there.
        model: the demo's choice of them.
        webcam: how its camera is asked.
        seconds: until a picture that nobody keeps is forgotten.
    """
    kept = teaching.Corrections(teacher.folder / "corrections")
    learned: dict[str, dict[str, Any]] = {}  # reports by the name of the model
    busy = threading.Lock()

    def read_lines(source: str | bytes | None) -> Outputs:
        if source is None:
            return [], [], ""
        try:
            image, page = look(source)
        except gr.Error as error:
            return [], [], alert(error.message)
        crops = [(crop_line(image, line.polygon)[0], line.text, line.confidence) for line in page.lines]
        rows = [[percent(sure), text] for _, text, sure in crops]
        said = (
            note(f"{many(len(rows), 'line')}: correct what is wrong, then keep.") if rows else alert("No text found.")
        )
        return crops, rows, said

    def shown() -> tuple[str, Any]:
        corrections = kept.all()
        rows = "".join(
            f"<tr><td>{thumbnail(kept.folder / one.file_name)}</td>"
            f"<td>{html.escape(one.text)}</td><td>{html.escape(one.read)}</td></tr>"
            for one in corrections[-SHOWN:]
        )
        table = (
            f"<table><thead><tr><th>Line</th><th>Says</th><th>Was read</th></tr></thead><tbody>{rows}</tbody></table>"
        )
        choices = [(one.text[:60] or "(nothing)", one.file_name) for one in corrections]
        count = note(f"{many(len(corrections), 'correction')} kept in {html.escape(str(kept.folder))}.")
        return count + table * bool(corrections), gr.update(choices=choices, value=[])

    def keep_lines(crops: list[tuple[Image.Image, str, float]], rows: Sequence[Sequence[str]], too: bool) -> Outputs:
        try:
            changed = [
                (crop, str(text), was, sure)
                for (crop, was, sure), (_, text) in zip(crops, rows, strict=False)
                if too or str(text).strip() != was
            ]
            new = sum(kept.keep(*one) is not None for one in changed)
            again = f"; {many(len(changed) - new, 'line')} kept already" if new < len(changed) else ""
            said = note(f"{many(new, 'line')} kept{again}.") if changed else alert("No line was changed.")
        except (ValueError, OSError) as error:
            said = alert(html.escape(str(error)))
        return said, *shown()

    def forget(names: list[str]) -> tuple[str, Any]:
        kept.delete(names)
        return shown()

    def export() -> Any:
        folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
        kept.export(folder / "corrections.zip")
        return gr.update(value=str(folder / "corrections.zip"), visible=True)

    def run() -> Iterator[Outputs]:
        unchanged = gr.skip(), gr.skip(), gr.skip()
        if not kept.all():
            yield alert("Keep some corrected lines first; fifty or more of one look are best."), *unchanged
            return
        if not busy.acquire(blocking=False):
            yield alert("The model is being taught already; please wait."), *unchanged
            return
        try:
            number = 1 + len(learned)
            out = teacher.folder / "learned" / f"taught-{number}-{int(time.time())}"
            for now in teaching.learn(kept.folder, out, init=teacher.init, settings=teacher.settings):
                if now.done < 1:
                    yield note(f"{now.done:.0%}: {html.escape(now.what)}", busy=True), *unchanged
            if now.report is None:
                yield alert(html.escape(now.what)), *unchanged
                return
            said = to_figures(now.report)
            if not now.report["accepted"]:
                refused = (
                    "Refused: it did not read your lines better without reading others worse. The old model stays."
                )
                yield alert(refused) + said, *unchanged
                return
            label = f"taught {number}"
            readers[label] = OCR.from_pretrained(out / "model")
            learned[label] = {**now.report, "folder": str(out / "model")}
            choice = gr.update(choices=list(readers), value=label)
            taught = gr.update(choices=list(learned), value=label)
            file = gr.update(value=served(out / "model" / "model.safetensors"), visible=True)
            yield note(f"Taught. Read uses “{label}” from now on.") + said, choice, taught, file
        finally:
            busy.release()

    def push(label: str | None, repository: str, token: str, private: bool) -> str:
        if not label or not repository.strip():
            return alert("Teach a model, and name the repository it should go to: user/name.")
        report = learned[label]
        try:
            network = CRNN.from_pretrained(report["folder"])
            text = teaching.card(network, report, repository.strip())
            url = network.push_to_hub(repository.strip(), token=token.strip() or None, private=private, card=text)
        except ModelError as error:
            return alert(html.escape(str(error)))
        return note(f'Pushed: <a href="{html.escape(url, quote=True)}">{html.escape(repository.strip())}</a>')

    crops = gr.State([], time_to_live=seconds)
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            picture = gr.Image(
                label="Picture that is read wrong", type="filepath", image_mode=None, height=260,
                sources=["upload", "webcam", "clipboard"], webcam_options=webcam, elem_id="lesson",
            )  # fmt: skip
            said = gr.HTML(elem_id="corrected", apply_default_css=False)
            rows = gr.Dataframe(
                headers=["sure", "text"], datatype=["str", "str"], column_count=2, type="array",
                static_columns=[0], wrap=True, label="What it says", elem_id="lines",
            )  # fmt: skip
            too = gr.Checkbox(label="Keep lines that were read right, too")
            keep_button = gr.Button("Keep corrections", variant="primary", elem_id="keep")
        with gr.Column(scale=1, min_width=320):
            listed = gr.HTML(shown()[0], elem_id="kept", apply_default_css=False)
            with gr.Accordion("Delete or export", open=False):
                names = gr.Dropdown(shown()[1]["choices"], multiselect=True, label="Corrections")
                forget_button = gr.Button("Delete these", size="sm")
                export_button = gr.Button("Export all", size="sm", elem_id="export")
                archive = gr.DownloadButton("Download corrections.zip", visible=False, size="sm", elem_id="archive")
            teach_button = gr.Button("Teach", variant="primary", elem_id="teach")
            figures = gr.HTML(elem_id="taught", apply_default_css=False)
            file = gr.DownloadButton("Download the model", visible=False, size="sm", elem_id="model-file")
            with gr.Accordion("Push to the Hub", open=False, elem_id="pushing"):
                label = gr.Dropdown([], label="Model")
                repository = gr.Textbox(label="Repository", placeholder="user/my-ocr", elem_id="repository")
                token = gr.Textbox(label="Token", type="password", placeholder="of `hf auth login`", elem_id="token")
                private = gr.Checkbox(label="Private", value=True)
                push_button = gr.Button("Push", elem_id="push")
                pushed = gr.HTML(elem_id="pushed", apply_default_css=False)
    ours: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    queue: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "teaching"}
    picture.change(read_lines, picture, [crops, rows, said], **ours, **queue)
    keep_button.click(keep_lines, [crops, rows, too], [said, listed, names], **ours, **queue)
    forget_button.click(forget, names, [listed, names], **ours, **queue)
    export_button.click(export, None, archive, **ours, **queue)
    teach_button.click(run, None, [figures, model, label, file], **ours, concurrency_limit=1, concurrency_id="learning")
    push_button.click(push, [label, repository, token, private], pushed, **ours, **queue)


def thumbnail(file: Path) -> str:
    """A kept picture, as HTML; that it is gone where somebody took it away or spoilt it."""
    try:
        return f'<img alt="" src="{picture_url(load_image(file))}">'
    except InputError:
        return "(its picture is gone)"


def served(file: Path) -> str:
    """A copy of a file where downloads may come from."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    return shutil.copy(str(file), str(folder / file.name))


def to_figures(report: Mapping[str, Any]) -> str:
    """What teaching brought, as HTML: before and after, on one's own lines and on others."""
    rows = ""
    for what, key in (
        ("your lines, held out" if report["own_held_out"] else "your lines", "own"),
        ("other lines", "general"),
    ):
        before, after = report[f"{key}_before"], report[f"{key}_after"]
        rows += (
            f"<tr><td>{what} ({before['samples']})</td><td>{before['accuracy']:.1%} → {after['accuracy']:.1%}</td>"
            f"<td>{before['cer']:.2%} → {after['cer']:.2%}</td></tr>"
        )
    table = f"<table><thead><tr><th>Set</th><th>Read exactly</th><th>Wrong characters</th></tr></thead><tbody>{rows}</tbody></table>"
    doubtful = [f"“{html.escape(one['label'])}”, read “{html.escape(one['read'])}”" for one in report["doubtful"][:10]]
    return table + (note(f"Corrections that may be wrong: {'; '.join(doubtful)}.") if doubtful else "")

"""Detector card: what the model card of a LineNet says, from the reports of training.evaluate_pages on its very weights."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from simpleocr.detection import SIDE
from simpleocr.linenet import LineNet

TEMPLATE = Path(__file__).with_name("detector_card.md")
COLUMNS = {
    "detection_precision": "found, precision",
    "detection_recall": "found, recall",
    "detection_hmean": "found, hmean",
    "end_to_end_f1": "end to end F1",
    "word_f1": "words F1",
    "cer_in_order": "CER in order",
}
"""Figures of a report that go into the table, and their headings."""


def page_set_name(report: dict[str, Any]) -> str:
    """What a card calls a set of pages, and how it was read if not as usual."""
    name = Path(str(report["dataset"])).name
    notes = [f"turned by {report['turned']:g}°"] if report["turned"] else []
    notes += [report["runtime"]] if report["runtime"] != "torch" else []
    notes += ["one look"] if not report["retry"] else []
    return ", ".join([name, *notes])


def pages_table(reports: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row a set, figures with their intervals."""
    rows = [
        "| set | pages | boxes of | " + " | ".join(COLUMNS.values()) + " |",
        "|---|---|---|" + "---|" * len(COLUMNS),
    ]
    for report in reports:
        cells = []
        for name in COLUMNS:
            of = report["figures"].get(name)
            cells.append(f"{of['value']:.3f} ({of['low']:.3f}–{of['high']:.3f})" if of else "–")
        boxes = report["boxes"] if "detection_hmean" in report["figures"] else "–"
        rows.append(f"| {page_set_name(report)} | {report['pages']:,} | {boxes} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def render_detector_card(network: LineNet, model_file: Path, reports: Sequence[dict[str, Any]], repo_id: str) -> str:
    """The card: detector_card.md with every blank filled from the file and the reports.

    Args:
        network: as loaded from the file.
        model_file: its weights.
        reports: of training.evaluate_pages with these weights.
        repo_id: what the usage example loads.
    """
    results = [
        EvalResult(
            task_type="object-detection",
            dataset_type=Path(str(report["dataset"])).name,
            dataset_name=page_set_name(report),
            metric_type=name,
            metric_name=heading,
            metric_value=round(report["figures"][name]["value"], 4),
        )
        for report in reports
        for name, heading in COLUMNS.items()
        if name in report["figures"]
    ]
    name = repo_id.split("/")[-1]
    data = ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="simpleocr",
        pipeline_tag="object-detection",
        tags=["ocr", "text-detection", "linenet"],
        metrics=["f1"],
        model_name=name,
        eval_results=results,
    )
    content, samples = model_file.read_bytes(), network.training_summary.get("samples")
    recognizers = dict.fromkeys(f"`{r['model']['name']}` (sha256 {r['model']['sha256'][:12]}…)" for r in reports)
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        title=f"SimpleOCR {name}",
        repo_id=repo_id,
        size=network.config.size,
        parameters=f"{sum(p.numel() for p in network.parameters()):,}",
        file_size=f"{len(content) / 1e6:.1f} MB",
        dtype=str(network.storage_dtype).removeprefix("torch."),
        sha256=hashlib.sha256(content).hexdigest(),
        side=SIDE,
        threshold=network.threshold,
        results=pages_table(reports),
        command="\n".join(dict.fromkeys(report["command"] for report in reports)),
        recognizer=f"What was found was read by {' and '.join(recognizers)}.",
        training=f"On {samples:,} views of rendered pages; see `training/LOG.md`."
        if samples
        else "Not recorded in the model file.",
        license="Apache 2.0",
    )
    return str(card)

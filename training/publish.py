"""Publish a model: render its card from measured reports, write or push both.

    python -m training.publish --model runs/mine/final --reports reports/*.json --out simpleocr/weights/english
    python -m training.publish --model runs/mine/final --reports reports/*.json --push user/my-ocr --private
    python -m training.publish --model runs/lines/final --reports reports/*-pages.json --out simpleocr/weights/lines

    python -m training.publish --model runs/mine/final --space folder --push user/my-demo       the demo with this model
    python -m training.publish --corpus corpora/mine --push user/my-lines                       a corpus as a data set

The reports are what training.evaluate wrote for this very file, or, of a line detector, training.evaluate_pages; a report of
other weights is refused.
"""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData

from simpleocr.crnn import CRNN
from simpleocr.hub import FAULTS
from simpleocr.linenet import LineNet
from simpleocr.modelfile import ModelError, architecture_of, read_header
from simpleocr.models import MODEL_FILE
from simpleocr.options import Parser
from training.crops import SPLITS
from training.data import DataError, NoSplitError, open_corpus, open_pages
from training.detector_card import pages_table, render_detector_card
from training.space import write_space

TEMPLATE = Path(__file__).parent.parent / "model_card.md"
COLUMNS = {
    "exact_alphanumeric": "alphanumeric",
    "exact_caseless": "caseless",
    "exact_raw": "raw",
    "cer": "CER",
    "cer_caseless": "CER caseless",
}
"""Figures of a report that go into tables, and their headings."""
CALIBRATION = {"alphanumeric": "calibration error, alphanumeric", "raw": "calibration error, raw"}
"""Normalisations whose calibration error does."""
MARKS = ("<!-- figures: rendered by training.publish -->\n", "<!-- end of figures -->")
PAGE_MARKS = ("<!-- pages: rendered by training.publish -->\n", "<!-- end of pages -->")
"""Between them a README has the table of figures, of lines and of pages."""


class PublishError(ValueError):
    """A card that would say what was not measured."""


def read_reports(paths: Sequence[Path], sha256: str, *, pages: bool = False) -> list[dict[str, Any]]:
    """Reports on the weights with this checksum: of training.evaluate, or on `pages` of training.evaluate_pages.

    Raises:
        PublishError: none, one that cannot be read or is of the other kind, or one of other weights.
    """
    script, key, counted = ("evaluate_pages", "detector", "pages") if pages else ("evaluate", "model", "samples")
    reports = []
    for path in paths:
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            of, _ = report[key]["sha256"], report[counted]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PublishError(f"{path} is not a report of training.{script}: {error}") from error
        if of != sha256:
            raise PublishError(f"{path} is of other weights: sha256 {of[:12]}…, not {sha256[:12]}…")
        reports.append(report)
    if not reports:
        raise PublishError("no reports: a card has only figures that were measured")
    return reports


def set_name(report: dict[str, Any]) -> str:
    """What a card calls a set: its folder's name and what was read of it."""
    name = Path(str(report["dataset"])).name
    return name if report["split"] == "train" else f"{name} ({report['split']})"


def figures_table(reports: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row a set, figures with their intervals."""
    headings = [*COLUMNS.values(), *CALIBRATION.values()]
    rows = ["| set | samples | " + " | ".join(headings) + " |", "|---|---|" + "---|" * len(headings)]
    for report in reports:
        cells = []
        for name in COLUMNS:
            figure = report["figures"][name]
            cells.append(f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})")
        cells += [f"{report['calibration'][name]['error']:.3f}" for name in CALIBRATION]
        rows.append(f"| {set_name(report)} | {report['samples']:,} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def render_card(network: CRNN, model_file: Path, reports: Sequence[dict[str, Any]], repo_id: str) -> str:
    """The model card: model_card.md with every blank filled from the file and the reports."""
    results = [
        EvalResult(
            task_type="image-to-text",
            dataset_type=set_name(report).split(" ")[0],
            dataset_name=set_name(report),
            metric_type=name,
            metric_name=heading,
            metric_value=round(report["figures"][name]["value"], 4),
        )
        for report in reports
        for name, heading in COLUMNS.items()
    ]
    results += [
        EvalResult(
            task_type="image-to-text",
            dataset_type=set_name(report).split(" ")[0],
            dataset_name=set_name(report),
            metric_type=f"calibration_error_{name}",
            metric_name=heading,
            metric_value=round(report["calibration"][name]["error"], 4),
        )
        for report in reports
        for name, heading in CALIBRATION.items()
    ]
    data = ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="simpleocr",
        pipeline_tag="image-to-text",
        tags=["ocr", "crnn", "ctc"],
        metrics=["cer"],
        model_name=repo_id.split("/")[-1],
        eval_results=results,
    )
    header, preprocessing = network.to_header(), network.config.preprocessing
    content = model_file.read_bytes()
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        title=f"SimpleOCR {repo_id.split('/')[-1]}",
        summary="Reads lines of printed text in pictures, on a plain CPU, from one small file.",
        repo_id=repo_id,
        backbone=network.config.backbone,
        parameters=f"{sum(p.numel() for p in network.parameters()):,}",
        file_size=f"{len(content) / 1e6:.1f} MB",
        dtype=str(network.storage_dtype).removeprefix("torch."),
        sha256=hashlib.sha256(content).hexdigest(),
        height=preprocessing.height,
        stretch=preprocessing.stretch,
        vocabulary_size=len(network.vocabulary),
        vocabulary=network.vocabulary.characters.replace("|", "\\|"),
        results=figures_table(reports),
        command="\n".join(dict.fromkeys(report["command"] for report in reports)),
        training=f"On {samples:,} views of rendered lines; see `training/LOG.md`."
        if (samples := header["training"].get("samples"))
        else "Not recorded in the model file.",
        license="Apache 2.0",
    )
    return str(card)


def push_space(folder: Path, repo_id: str, *, private: bool) -> str:
    """Upload a Space that write_space() wrote; returns its address.

    Raises:
        PublishError: what the Hub answered.
    """
    try:
        api = HfApi()
        repo = api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repo.repo_id, repo_type="space", folder_path=folder, commit_message="Push Space with SimpleOCR"
        )
    except FAULTS as error:
        raise PublishError(f"{repo_id}: {str(error).partition(chr(10))[0]}") from error
    return str(repo)


def corpus_rows(name: str, split: str) -> Any:
    """A split of a corpus of lines as training reads it, or of pages.

    Raises:
        NoSplitError: no such split.
        DataError: neither of the two.
    """
    try:
        return open_corpus(name, split)
    except NoSplitError:
        raise
    except DataError as error:
        try:
            return open_pages(name, split)
        except NoSplitError:
            raise
        except DataError:
            raise error from None


def push_corpus(folder: Path, repo_id: str, *, private: bool) -> str:
    """Upload a corpus as a data set, train, validation and test; load_dataset() and every --dataset take its id then.

    Its labels are those that training reads: `datasets` by itself takes "007" for a number and "NA" for nothing.

    Raises:
        PublishError: no corpus there, or what the Hub answered.
    """
    from datasets import DatasetDict
    from datasets import Image as ImageFeature
    from datasets.exceptions import DatasetsError

    if not folder.is_dir():
        raise PublishError(f"{folder}: no such folder")
    splits = DatasetDict()
    try:
        for split in SPLITS:
            with suppress(NoSplitError):
                # as a picture again, whose bytes go along
                splits[split] = corpus_rows(str(folder), split).cast_column("image", ImageFeature())
    except DataError as error:
        raise PublishError(str(error)) from error
    if not splits:
        raise PublishError(f"{folder} has none of the splits {', '.join(SPLITS)}")
    try:
        splits.push_to_hub(repo_id, private=private or None)
    except (*FAULTS, DatasetsError) as error:
        raise PublishError(f"{repo_id}: {str(error).partition(chr(10))[0]}") from error
    counts = ", ".join(f"{len(rows)} rows {split}" for split, rows in splits.items())
    return f"{repo_id}: {folder} as a data set, {counts}"


def update_readme(readme: Path, table: str, marks: tuple[str, str] = MARKS) -> None:
    """Put a table of figures between the marks of a README.

    Raises:
        PublishError: the README has no such place.
    """
    text = readme.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(marks[0]) + ".*?" + re.escape(marks[1]), re.DOTALL)
    if not pattern.search(text):
        raise PublishError(f"{readme} has no place for figures, {marks[0].strip()}")
    readme.write_text(pattern.sub(lambda _: f"{marks[0]}{table}\n{marks[1]}", text), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, render, write and push, and turn what the user can mend into one sentence."""
    parser = Parser(description="Render a model's card from measured reports, write or push both.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, help="folder of the model")
    what.add_argument("--corpus", type=Path, help="folder of a corpus, which is pushed as a data set")
    parser.add_argument(
        "--reports",
        type=Path,
        nargs="+",
        default=[],
        help="JSON files of training.evaluate, of a detector those of training.evaluate_pages",
    )
    parser.add_argument("--space", type=Path, help="an empty folder that becomes a Space with this model")
    parser.add_argument("--out", type=Path, help="folder to write model and card into")
    parser.add_argument("--push", metavar="USER/REPO", help="repository to push model and card to")
    parser.add_argument("--private", action="store_true", help="if the repository is made, make it private")
    parser.add_argument("--readme", type=Path, help="a README whose figures are brought up to date")
    args = parser.parse_args(argv)
    if not (args.out or args.push or args.space):
        parser.error("nothing to do: give --out, --push or --space")
    if args.corpus and (args.out or args.space or not args.push):
        parser.error("--corpus goes with --push alone")
    try:
        if args.corpus:
            print(push_corpus(args.corpus, args.push, private=args.private))
            return
        if args.space:
            write_space(args.space, args.model, (args.push or args.space.name).split("/")[-1])
            print(f"{args.space}: a Space; python app.py runs it")
            if args.push:
                print(push_space(args.space, args.push, private=args.private))
            return
        model_file = args.model / MODEL_FILE
        sha256, name = hashlib.sha256(model_file.read_bytes()).hexdigest(), args.push or getattr(args.out, "name", "")
        network: CRNN | LineNet
        if architecture_of(read_header(model_file)) == LineNet.architecture:
            network = LineNet.from_pretrained(args.model)
            reports = read_reports(args.reports, sha256, pages=True)
            card, figures, marks = (
                render_detector_card(network, model_file, reports, name),
                pages_table(reports),
                PAGE_MARKS,
            )
        else:
            network = CRNN.from_pretrained(args.model)
            reports = read_reports(args.reports, sha256)
            card, figures, marks = render_card(network, model_file, reports, name), figures_table(reports), MARKS
        if args.out:
            (args.out / "README.md").unlink(missing_ok=True)  # save_pretrained keeps a card that is there
            network.save_pretrained(args.out, card=card)
            print(f"{args.out}: model and card")
        if args.push:
            print(network.push_to_hub(args.push, private=args.private or None, card=card))
        if args.readme:
            update_readme(args.readme, figures, marks)
    except (ModelError, PublishError, OSError) as error:
        sys.exit(f"training.publish: {error}")


if __name__ == "__main__":
    main()

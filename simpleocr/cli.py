"""Command line: `simpleocr read` and `simpleocr export`; the only module that prints."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from simpleocr import __version__
from simpleocr.constraints import ConstraintError
from simpleocr.decoding import DECODERS
from simpleocr.document import Page
from simpleocr.documents import load_pages
from simpleocr.drawing import draw
from simpleocr.evidence import to_document, to_fragment
from simpleocr.export import export_onnx, export_torchscript
from simpleocr.formats import FORMATS, page_to_dict
from simpleocr.image import MAX_PIXELS, InputError
from simpleocr.inputs import Input, find_inputs, in_order, with_suffix
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.pdf import PdfWriter
from simpleocr.reader import DEFAULT_DETECTOR, DEFAULT_MODEL, OCR
from simpleocr.runtimes import RUNTIMES

ALL_READ, SOME_FAILED, NOTHING_TRIED = 0, 1, 2
MOST_MEGAPIXELS = 10_000  # as RGB they take 30 GB


def parser() -> argparse.ArgumentParser:
    """What the command accepts."""
    top = Parser(prog="simpleocr", description="Read text from pictures.")
    top.add_argument("--version", action="version", version=f"simpleocr {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    read = commands.add_parser(
        "read",
        help="read pictures and write their text",
        epilog="Exit status: 0 everything was read, 1 some pictures could not be read, 2 nothing was tried.",
    )
    read.add_argument(
        "pictures",
        nargs="+",
        metavar="INPUT",
        help='pictures, PDFs, folders of them or patterns like "scans/*.png"; "-" reads one from standard input',
    )
    written = read.add_mutually_exclusive_group()
    written.add_argument(
        "--format", choices=[*FORMATS, "pdf"], default="txt", help="what is written (default: %(default)s)"
    )
    written.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    read.add_argument("--out", type=Path, metavar="DIR", help="write a file for each input there; else to the terminal")
    read.add_argument(
        "--visualize", action="store_true", help="with --out: also a picture with what was found drawn on it"
    )
    read.add_argument("--jobs", type=int, default=1, metavar="N", help="inputs that are read at a time (default: 1)")
    read.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="a folder, a file, a shipped model or a Hub repository (default: %(default)s)",
    )
    read.add_argument(
        "--detector",
        default=DEFAULT_DETECTOR,
        help='what finds lines, named like a model; "none" for clean print in one column (default: %(default)s)',
    )
    read.add_argument(
        "--runtime",
        choices=[*RUNTIMES],
        default="torch",
        help="what computes the networks; onnx needs onnx and onnxruntime, and is faster (default: %(default)s)",
    )
    read.add_argument("--decoder", choices=sorted(DECODERS), default="greedy", help="default: %(default)s")
    held = read.add_mutually_exclusive_group()
    held.add_argument("--charset", metavar="CHARACTERS", help="lines have these characters only")
    held.add_argument("--lexicon", metavar="FILE", help="lines are one of those in this text file")
    held.add_argument("--pattern", metavar="EXPRESSION", help=r"lines match this regular expression: '[A-Z]{2}\d{4}'")
    read.add_argument(
        "--language_weight", type=float, default=0.0, help="how much the model's language has to say (default: 0)"
    )
    read.add_argument(
        "--min_confidence",
        type=_probability,
        metavar="P",
        help='words less likely right than P are written as "unsure"; in JSON, as "sure_text"',
    )
    read.add_argument(
        "--max_megapixels",
        type=_megapixels,
        default=MAX_PIXELS / 1e6,
        metavar="N",
        help="larger pictures are refused (default: %(default)g)",
    )
    read.add_argument("--no_retry", action="store_true", help="do not look at doubtful lines again")
    export = commands.add_parser("export", help="write a model as a file that other programs run")
    export.add_argument("model", help='a folder, a file, a shipped model ("english", "lines") or a Hub repository')
    export.add_argument("--onnx", type=Path, metavar="FILE", help="ONNX, of any width; needs the library onnx")
    export.add_argument("--int8", action="store_true", help="with --onnx: convolutions in whole numbers")
    export.add_argument("--torchscript", type=Path, metavar="FILE", help="TorchScript, of any width")
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # names of files need not be text: they are shown as well as they can be, whatever the locale
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    top = parser()
    args = top.parse_args(argv)
    if args.command == "export":
        if args.onnx is None and args.torchscript is None:
            top.error("export: --onnx FILE or --torchscript FILE says what is written")
        if args.int8 and args.onnx is None:
            top.error("export: --int8 goes with --onnx")
        sys.exit(export(args))
    if args.out is None and (args.format == "pdf" or args.visualize):
        top.error("--format pdf and --visualize write files: --out says where")
    if args.min_confidence is not None and args.format not in ("txt", "json"):
        top.error(f"--min_confidence goes with the formats txt and json, not with {args.format}")
    if args.jobs < 1:
        top.error("--jobs must be at least 1")
    try:
        try:
            ocr = OCR.from_pretrained(
                args.model,
                decoder=args.decoder,
                charset=args.charset,
                lexicon=_lexicon(args.lexicon) if args.lexicon is not None else None,
                pattern=args.pattern,
                language_weight=args.language_weight,
                retry=not args.no_retry,
                detector=None if args.detector == "none" else args.detector,
                runtime=args.runtime,
                max_pixels=round(args.max_megapixels * 1e6),
            )
            inputs = find_inputs(args.pictures)
            if args.out is not None:
                _make(args.out)
        except (ValueError, OSError) as error:  # ModelError and ConstraintError are ValueErrors
            print(f"simpleocr: {_said(error)}", file=sys.stderr)
            sys.exit(NOTHING_TRIED)
        sys.exit(read(ocr, inputs, args))
    except BrokenPipeError:  # the reader of a pipe has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(SOME_FAILED)
    except OSError as error:  # of what is read and written elsewhere, read() and export() say it themselves
        print(f"simpleocr: standard output cannot be written: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it would fail again at the exit
        sys.exit(SOME_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


def export(args: argparse.Namespace) -> int:
    """Write a model in the forms that are asked for."""
    try:
        if args.onnx is not None:
            export_onnx(args.model, args.onnx, quantized=args.int8)
            print(f"{args.onnx}: {args.onnx.stat().st_size:,} bytes")
        if args.torchscript is not None:
            export_torchscript(args.model, args.torchscript)
            print(f"{args.torchscript}: {args.torchscript.stat().st_size:,} bytes")
    except (ModelError, OSError) as error:
        print(f"simpleocr: {_said(error)}", file=sys.stderr)
        return NOTHING_TRIED
    return ALL_READ


def read(ocr: OCR, inputs: Sequence[Input], args: argparse.Namespace) -> int:
    """Read each input and write what it says; one that cannot be read is told of and does not stop the rest."""
    failed = False
    progress = args.out is not None and sys.stderr.isatty()
    with ThreadPoolExecutor(args.jobs) as pool:
        tasks = (partial(_read_one, ocr, one, args) for one in inputs)
        for number, (one, done) in enumerate(zip(inputs, in_order(pool, tasks, args.jobs), strict=True), 1):
            if done.fault:
                failed = True
                print(f"simpleocr: {done.fault}", file=sys.stderr)
            if args.out is None:
                if args.format == "txt" and len(inputs) > 1 and not done.fault:
                    print(f"{_shown(one.source)}:")
                print(done.text, end="", flush=True)
            if progress:
                print(f"\r{number} of {len(inputs)} read", end="\n" * (number == len(inputs)), file=sys.stderr)
    return SOME_FAILED if failed else ALL_READ


@dataclass(frozen=True)
class Done:
    """What became of an input: its text, and why it could not be read, or not to its end."""

    text: str
    fault: str = ""


def _read_one(ocr: OCR, one: Input, args: argparse.Namespace) -> Done:
    """Read all pages of an input, and write its files if there is a folder for them."""
    pages: list[Page] = []
    texts: list[str] = []
    seen: list[str] = []  # of HTML: with its pictures, which are not kept
    fault = ""
    target = args.out / one.name if args.out is not None else None
    try:
        with ExitStack() as files:
            pdf = None
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                if args.format == "pdf":
                    pdf = files.enter_context(PdfWriter(files.enter_context(_whole_file(with_suffix(target, "pdf")))))
            images = load_pages(_opened(one), max_pixels=ocr.max_pixels)
            for number, image in enumerate(images, 1):
                page = ocr(image)
                pages.append(page)
                if pdf is not None:
                    pdf.add(image, page)
                if args.format == "html":
                    seen.append(to_fragment(page, image, number=number))
                if target is not None and args.visualize:
                    drawn = with_suffix(target, f"{number}.seen.png" if number > 1 else "seen.png")
                    draw(image, page).save(drawn)
    except InputError as error:
        fault = str(error)
    except OSError as error:
        fault = _unwritten(one, error)
    if args.format == "json":
        texts = [_json(one, number, page, args.min_confidence) for number, page in enumerate(pages, 1)]
        if fault:
            texts.append(json.dumps({"file": _shown(one.source), "error": fault}, ensure_ascii=False) + "\n")
        text = "".join(texts)
    elif args.format == "txt" and args.min_confidence is not None:
        text = "\f".join(page.sure_text(args.min_confidence) + "\n" * bool(page.lines) for page in pages)
    elif args.format == "pdf" or (fault and not pages):
        text = ""
    elif args.format == "html":
        text = to_document(seen)
    else:
        text = FORMATS[args.format](pages)
    if target is not None and args.format != "pdf" and pages:
        suffix = {"alto": "alto.xml"}.get(args.format, args.format)
        try:
            with_suffix(target, suffix).write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            fault = fault or _unwritten(one, error)
    return Done(text, fault)


def _opened(one: Input) -> str | BinaryIO:
    """What load_pages() takes of an input.

    Raises:
        InputError: it is standard input, and that is closed.
    """
    if one.source != "-":
        return one.source
    if sys.stdin is None:
        raise InputError("standard input is closed")
    return sys.stdin.buffer


def _json(one: Input, number: int, page: Page, min_confidence: float | None) -> str:
    found = {"file": _shown(one.source), "page": number, **page_to_dict(page)}
    if min_confidence is not None:
        found["sure_text"] = page.sure_text(min_confidence)
    return json.dumps(found, ensure_ascii=False) + "\n"


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there only when all of it was written."""
    partial_path = path.with_name(f".{path.name}.partial")
    try:
        with partial_path.open("wb") as file:
            yield file
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)


def _probability(given: str) -> float:
    with suppress(ValueError):
        if 0 <= (number := float(given)) <= 1:  # nan is not
            return number
    raise argparse.ArgumentTypeError(f"{given!r} is not a number from 0 to 1")


def _megapixels(given: str) -> float:
    with suppress(ValueError):
        if 1e-6 <= (number := float(given)) <= MOST_MEGAPIXELS:
            return number
    raise argparse.ArgumentTypeError(f"{given!r} is not a number above 0 and up to {MOST_MEGAPIXELS:,}")


def _lexicon(file: str) -> list[str]:
    """The lines of a text file that say something.

    Raises:
        ConstraintError: it cannot be read, or is no text.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConstraintError(f"the lexicon {file!r} is not UTF-8 text") from None
    except OSError as error:
        raise ConstraintError(f"the lexicon {file!r} cannot be read: {error.strerror or error}") from error
    return [line for line in text.splitlines() if line.strip()]


def _make(folder: Path) -> None:
    """Make a folder if it is not there.

    Raises:
        ValueError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"--out needs a folder, and {str(folder)!r} is a file") from None
    except OSError as error:
        raise ValueError(f"--out: the folder {str(folder)!r} cannot be made: {error.strerror or error}") from error


def _unwritten(one: Input, error: OSError) -> str:
    return f"what {_shown(one.source)!r} says cannot be written: {error.strerror or error}"


def _said(error: Exception) -> str:
    """A fault in plain words: of the system's, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename!r}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _shown(name: str) -> str:
    """A file name that can be printed and put into JSON, undecodable bytes escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")

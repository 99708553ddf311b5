"""Command line: `simpleocr read`; the only module that prints."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from simpleocr import __version__
from simpleocr.decoding import DECODERS
from simpleocr.formats import FORMATS, page_to_dict
from simpleocr.image import InputError
from simpleocr.reader import DEFAULT_MODEL, OCR

ALL_READ, SOME_FAILED, NOTHING_TRIED = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """What the command accepts."""
    top = argparse.ArgumentParser(prog="simpleocr", description="Read text from pictures.")
    top.add_argument("--version", action="version", version=f"simpleocr {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    read = commands.add_parser(
        "read",
        help="read pictures and write their text",
        epilog="Exit status: 0 everything was read, 1 some pictures could not be read, 2 nothing was tried.",
    )
    read.add_argument("pictures", nargs="+", metavar="PICTURE", help='files; "-" reads one picture from standard input')
    read.add_argument("--json", action="store_true", help="one JSON object a picture and line, failures included")
    read.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="a folder, a file, a shipped model or a Hub repository (default: %(default)s)",
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
        type=float,
        metavar="P",
        help='words less likely right than P are written as "unsure"; in JSON, as "sure_text"',
    )
    read.add_argument("--no-retry", action="store_true", help="do not look at doubtful lines again")
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # names of files need not be text: they are shown as well as they can be, whatever the locale
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    args = parser().parse_args(argv)
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
            )
        except (ValueError, OSError) as error:  # ModelError and ConstraintError are ValueErrors
            print(f"simpleocr: {error}", file=sys.stderr)
            sys.exit(NOTHING_TRIED)
        sys.exit(read(ocr, args.pictures, as_json=args.json, min_confidence=args.min_confidence))
    except BrokenPipeError:  # the reader of a pipe has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(SOME_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


def read(ocr: OCR, pictures: Sequence[str], *, as_json: bool, min_confidence: float | None) -> int:
    """Read each picture and print what it says; one that cannot be read is told of and does not stop the rest."""
    failed = False
    for picture in pictures:
        try:
            page = ocr(sys.stdin.buffer if picture == "-" else picture)
        except InputError as error:
            failed = True
            print(f"simpleocr: {error}", file=sys.stderr)
            if as_json:
                print(json.dumps({"file": _shown(picture), "error": str(error)}, ensure_ascii=False), flush=True)
            continue
        if as_json:
            found = {"file": _shown(picture), **page_to_dict(page)}
            if min_confidence is not None:
                found["sure_text"] = page.sure_text(min_confidence)
            print(json.dumps(found, ensure_ascii=False), flush=True)
        else:
            if len(pictures) > 1:
                print(f"{_shown(picture)}:")
            sure = page.sure_text(min_confidence) + "\n" * bool(page.lines) if min_confidence is not None else None
            print(FORMATS["txt"]([page]) if sure is None else sure, end="", flush=True)
    return SOME_FAILED if failed else ALL_READ


def _lexicon(file: str) -> list[str]:
    """The lines of a text file that say something."""
    text = Path(file).read_text(encoding="utf-8-sig")
    return [line for line in text.splitlines() if line.strip()]


def _shown(name: str) -> str:
    """A file name that can be printed and put into JSON, undecodable bytes escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")

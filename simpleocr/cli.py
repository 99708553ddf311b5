"""Command line: `simpleocr read`; the only module that prints."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from simpleocr import __version__
from simpleocr.decoding import DECODERS
from simpleocr.formats import FORMATS, page_to_dict
from simpleocr.image import InputError
from simpleocr.modelfile import ModelError
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
    return top


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        # names of files need not be text: they are shown as well as they can be, whatever the locale
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    args = parser().parse_args(argv)
    try:
        sys.exit(read(args.pictures, model=args.model, decoder=args.decoder, as_json=args.json))
    except BrokenPipeError:  # the reader of a pipe has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(SOME_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


def read(pictures: Sequence[str], *, model: str, decoder: str, as_json: bool) -> int:
    """Read each picture and print what it says; one that cannot be read is told of and does not stop the rest."""
    try:
        ocr = OCR.from_pretrained(model, decoder=decoder)
    except ModelError as error:
        print(f"simpleocr: {error}", file=sys.stderr)
        return NOTHING_TRIED
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
            print(json.dumps({"file": _shown(picture), **page_to_dict(page)}, ensure_ascii=False), flush=True)
        else:
            if len(pictures) > 1:
                print(f"{_shown(picture)}:")
            print(FORMATS["text"](page), end="", flush=True)
    return SOME_FAILED if failed else ALL_READ


def _shown(name: str) -> str:
    """A file name that can be printed and put into JSON, undecodable bytes escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")

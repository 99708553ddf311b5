"""simpleocr.options: both spellings of every option, of every command."""

import re
from pathlib import Path

import pytest

from simpleocr import cli
from simpleocr.options import Parser
from training import evaluate_pages, settings

ROOT = Path(__file__).parent.parent
COMMANDS = [*(ROOT / "training").glob("*.py"), ROOT / "simpleocr/cli.py"]


@pytest.mark.parametrize("option", ["--min_confidence", "--min-confidence"])
@pytest.mark.parametrize("joined", [False, True])
def test_both_spellings_are_understood(option: str, joined: bool) -> None:
    given = [f"{option}=0.5"] if joined else [option, "0.5"]
    assert cli.parser().parse_args(["read", "a-b.png", *given]).min_confidence == 0.5
    assert cli.parser().parse_args(["read", "--no-retry", "a-b.png"]).no_retry
    assert evaluate_pages.parse(["--dataset", "a-b", "--no-retry"]).no_retry
    assert settings.parse(["--dataset", "a", "--max-bad", "0.5", "--batch_size", "4"]).batch_size == 4


def test_what_is_given_without_arguments_is_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["simpleocr", "read", "--max-megapixels", "2", "x-y.png"])
    args = cli.parser().parse_args()
    assert (args.max_megapixels, args.pictures) == (2, ["x-y.png"])


def test_only_names_change() -> None:
    parser = Parser()
    parser.add_argument("--some_text")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args(["--some-text=--a-b=c-d", "-", "--", "--e-f", "g-h"])
    assert (args.some_text, args.files) == ("--a-b=c-d", ["-", "--e-f", "g-h"])
    assert parser.parse_args(["--some-text", "a-b"]).some_text == "a-b"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_every_option_of_every_command_is_declared_in_one_spelling(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"add_argument\(\s*\"--\w+-", text)
    assert "argparse.ArgumentParser(" not in text, "Parser() understands both spellings"

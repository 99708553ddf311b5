import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
import torch

from simpleocr import CRNN, CRNNConfig, Vocabulary, cli
from simpleocr.formats import FORMATS
from tests.test_projection import LINES, page


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    network = CRNN(CRNNConfig(Vocabulary("abc "), "tiny"))
    with torch.no_grad():
        network.classifier.bias[0] = -1.0
    folder = tmp_path_factory.mktemp("model")
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    page(LINES).save(tmp_path / "page.png")
    return str(tmp_path / "page.png")


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(args))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_it_writes_the_text(model: str, picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("read", picture, "--model", model) == 0
    out, err = capsys.readouterr()
    assert out.strip()
    assert err == ""


def test_a_bad_file_does_not_stop_the_rest(
    model: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    assert (
        run("read", str(tmp_path / "bad.png"), picture, str(tmp_path / "missing.png"), "--json", "--model", model) == 1
    )
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert ["error" in row for row in rows] == [True, False, True]
    assert rows[1]["text"]
    assert rows[1]["file"] == picture
    assert len(err.splitlines()) == 2
    assert "Traceback" not in err


def test_every_message_says_of_which_file_it_is(
    model: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.png").write_bytes(Path(picture).read_bytes()[:200])
    (tmp_path / "large.bmp").write_bytes(Path(picture).read_bytes())
    bad = [str(tmp_path / name) for name in ("cut.png", "missing.png", "large.bmp")]
    assert run("read", *bad, "--max_megapixels", "1e-5", "--json", "--model", model) == 1
    out, err = capsys.readouterr()
    said = [line.removeprefix("simpleocr: ") for line in err.splitlines()]
    assert [json.loads(line)["error"] for line in out.splitlines()] == said
    assert [line.count(repr(file)) for line, file in zip(said, bad, strict=True)] == [1, 1, 1]


def test_what_was_read_and_cannot_be_written_is_said(
    model: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "page.txt").mkdir(parents=True)
    assert run("read", picture, "--out", str(tmp_path / "out"), "--model", model) == 1
    assert capsys.readouterr().err == f"simpleocr: what {picture!r} says cannot be written: Is a directory\n"


def test_files_where_folders_are_needed_are_named_in_plain_words(
    model: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("read", picture, "--out", picture, "--model", model) == 2
    assert capsys.readouterr().err == f"simpleocr: --out needs a folder, and {picture!r} is a file\n"
    assert run("read", picture, "--out", f"{picture}/in", "--model", model) == 2
    assert f"the folder '{picture}/in' cannot be made: Not a directory" in capsys.readouterr().err
    assert run("read", "x" * 300, "--model", model) in (1, 2)
    assert "Errno" not in capsys.readouterr().err


def test_a_bad_model_is_told_before_anything_is_tried(picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("read", picture, "--model", "./nowhere") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nowhere" in err


@pytest.mark.parametrize("args", [(), ("read",), ("write", "x"), ("read", "x", "--decoder", "magic")])
def test_wrong_usage_exits_with_2(args: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*args) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.slow
def test_standard_input_and_odd_names_in_a_plain_locale(model: str, tmp_path: Path) -> None:
    data = BytesIO()
    page(LINES).save(data, "PNG")
    odd = os.fsencode(tmp_path) + b"/\xff\n\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(data.getvalue())
    command: list[str | bytes] = [
        sys.executable,
        "-m",
        "simpleocr",
        "read",
        "-",
        odd,
        b"\xfe",
        "--json",
        "--model",
        model,
    ]
    env = {**os.environ, "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    done = subprocess.run(command, input=data.getvalue(), capture_output=True, env=env, timeout=120, check=False)
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert done.returncode == 1, done.stderr
    assert rows[0]["text"] == rows[1]["text"] != ""
    assert "error" in rows[2]
    assert b"Traceback" not in done.stderr


def test_lines_can_be_held_to_something(
    model: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_text("ab\n\ncab\n")
    assert run("read", picture, "--model", model, "--lexicon", str(tmp_path / "words.txt")) == 0
    assert set(capsys.readouterr().out.split()) <= {"ab", "cab"}
    assert run("read", picture, "--model", model, "--charset", "c", "--no_retry") == 0
    assert set(capsys.readouterr().out) <= set("c\n\t")
    assert run("read", picture, "--model", model, "--min_confidence", "1") == 0
    assert set(capsys.readouterr().out.split()) <= {"unsure"}
    for other in ("tsv", "hocr", "alto", "html"):  # have the confidence of each word
        assert run("read", picture, "--model", model, "--min_confidence", "0.5", "--format", other) == 2
        assert "goes with the formats txt and json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pattern", "(a"], "not closed"),
        (["--lexicon", "/nowhere/words.txt"], "the lexicon '/nowhere/words.txt' cannot be read: No such file"),
        (["--lexicon", __file__.removesuffix("test_cli.py")], "Is a directory"),
        (["--language_weight", "0.5"], "no language"),
    ],
)
def test_what_cannot_be_held_to_is_one_sentence(
    arguments: list[str], message: str, model: str, picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("read", picture, "--model", model, *arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_lexicon_that_is_no_text_is_named(
    model: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_bytes("Größe".encode("latin-1"))
    for file in (str(tmp_path / "words.txt"), picture):
        assert run("read", picture, "--model", model, "--lexicon", file) == 2
        assert capsys.readouterr().err == f"simpleocr: the lexicon {file!r} is not UTF-8 text\n"


@pytest.mark.parametrize(
    ("option", "numbers", "span"),
    [
        ("--max_megapixels", ["nan", "-1", "0", "1e-9", "inf", "many"], "above 0 and up to 10,000"),
        ("--min_confidence", ["nan", "-1", "7", "inf", "high"], "from 0 to 1"),
    ],
)
def test_numbers_out_of_their_range_are_refused_with_it(
    option: str, numbers: list[str], span: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in numbers:
        assert run("read", "x.png", f"{option}={number}") == 2
        assert f"argument {option}: {number!r} is not a number {span}" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*FORMATS, "pdf"])
def test_every_format_is_written_to_a_folder(name: str, model: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    page(LINES).save(tmp_path / "in" / "one.png")
    page(LINES[:2]).save(tmp_path / "in" / "two.tif", save_all=True, append_images=[page(LINES[2:])])
    (tmp_path / "in" / "bad.jpg").write_bytes(b"nothing")
    arguments = ["--format", name, "--out", str(tmp_path / "out"), "--jobs", "2", "--visualize", "--detector", "none"]
    assert run("read", str(tmp_path / "in"), "--model", model, *arguments) == 1
    suffix = {"alto": "alto.xml"}.get(name, name)
    written = {file.name for file in (tmp_path / "out").iterdir()} - {"bad.json"}
    assert written == {f"one.{suffix}", f"two.{suffix}", "one.seen.png", "two.seen.png", "two.2.seen.png"}
    assert all((tmp_path / "out" / file).stat().st_size for file in written)
    if name == "txt":
        assert (tmp_path / "out" / "two.txt").read_text().count("\f") == 1


@pytest.mark.parametrize(
    "args", [("--format", "pdf"), ("--visualize",), ("--jobs", "0"), ("--json", "--format", "tsv")]
)
def test_what_does_not_go_together_is_said(
    args: tuple[str, ...], picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("read", picture, *args) == 2
    assert "usage" in capsys.readouterr().err


def shell(line: str, *args: str) -> subprocess.CompletedProcess[str]:
    """The command with `line` behind it: what its standard input and output are."""
    command = [sys.executable, "-m", "simpleocr", "read", *args]
    return subprocess.run(["sh", "-c", f'"$@" {line}', "sh", *command], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_closed_standard_input_is_one_sentence(model: str) -> None:
    done = shell("<&-", "-", "--json", "--model", model)
    assert (done.returncode, done.stderr) == (1, "simpleocr: standard input is closed\n")
    assert json.loads(done.stdout) == {"file": "-", "error": "standard input is closed"}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output_is_one_sentence(model: str, picture: str) -> None:
    done = shell(">/dev/full", picture, "--model", model)
    says = "simpleocr: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, says)

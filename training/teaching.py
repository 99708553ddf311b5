"""Teaching: lines that a person corrected, kept on this machine as a corpus, and what is learned from them.

The folder is what `datasets` calls an image folder: pictures of lines and metadata.csv with file_name, text (what it
says), read (what a model read) and confidence. Nothing of it leaves the machine unless it is pushed.
"""

import csv
import io
import json
import secrets
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from simpleocr.modelfile import write_atomically
from simpleocr.vocabulary import normalize

if TYPE_CHECKING:  # torch is large, and the demo does without it until a model is taught
    from simpleocr.crnn import CRNN

MOST = 5000  # corrections that are kept
TABLE = "metadata.csv"


@dataclass(frozen=True)
class Correction:
    """One line.

    Args:
        file_name: of its picture, in the folder.
        text: what it says.
        read: what a model read.
        confidence: of that reading.
    """

    file_name: str
    text: str
    read: str
    confidence: float


class TeachingError(ValueError):
    """What cannot be kept or learned; one sentence."""


class Corrections:
    """The corrections in a folder; any number of threads may use it.

    Args:
        folder: made when the first is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def all(self) -> list[Correction]:
        """In the order in which they were kept.

        Raises:
            TeachingError: a table that somebody else has written.
        """
        try:
            text = (self.folder / TABLE).read_text(encoding="utf-8-sig")  # Excel writes a byte order mark
        except FileNotFoundError:
            return []
        names = [field.name for field in fields(Correction)]
        rows = csv.DictReader(io.StringIO(text))
        if rows.fieldnames != names:
            raise TeachingError(f"{self.folder / TABLE} has the columns {rows.fieldnames}, not {names}")
        return [Correction(row["file_name"], row["text"], row["read"], float(row["confidence"])) for row in rows]

    def keep(self, image: Image.Image, text: str, read: str, confidence: float) -> Correction | None:
        """One more; None where the same picture with the same text is kept already.

        Raises:
            TeachingError: there are too many already.
        """
        with self._lock:
            kept = self.all()
            picture, says = image.convert("RGB"), normalize(text)
            if any(one.text == says and self._shows(one, picture) for one in kept):
                return None
            if len(kept) >= MOST:
                raise TeachingError(f"{MOST} corrections are kept already: export and delete some first")
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{secrets.token_hex(8)}.png"
            picture.save(self.folder / name)
            correction = Correction(name, says, read, round(confidence, 4))
            self._write([*kept, correction])
        return correction

    def delete(self, names: Sequence[str]) -> None:
        """Those whose pictures have these names; others are passed over."""
        with self._lock:
            kept = self.all()
            gone = {one.file_name for one in kept} & set(names)
            if not gone:  # then there may be no folder, either
                return
            self._write([one for one in kept if one.file_name not in gone])
            for name in gone:  # only names of the table: never a path that somebody sent
                (self.folder / name).unlink(missing_ok=True)

    def export(self, path: Path) -> None:
        """All of them that have their pictures yet, as a zip archive, which is a corpus once unpacked."""
        with self._lock, zipfile.ZipFile(path, "w") as archive:
            there = [one for one in self.all() if (self.folder / one.file_name).is_file()]
            for one in there:
                archive.write(self.folder / one.file_name, one.file_name)
            if there:
                archive.writestr(TABLE, _table(there))

    def _shows(self, one: Correction, picture: Image.Image) -> bool:
        """Whether the picture of a correction is this one, to the pixel."""
        try:
            with Image.open(self.folder / one.file_name) as kept:
                return kept.size == picture.size and kept.convert("RGB").tobytes() == picture.tobytes()
        except OSError:  # somebody took it away
            return False

    def _write(self, corrections: Sequence[Correction]) -> None:
        write_atomically(self.folder / TABLE, _table(corrections))


def _table(corrections: Sequence[Correction]) -> bytes:
    """The contents of TABLE."""
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Correction)])
    table.writeheader()
    table.writerows(asdict(one) for one in corrections)
    return text.getvalue().encode()


@dataclass(frozen=True)
class Progress:
    """Where learning stands.

    Args:
        done: 0..1.
        what: is being done, or what went wrong.
        report: of training.finetune, when it has ended well.
    """

    done: float
    what: str
    report: dict[str, Any] | None = None


def learn(folder: Path, out: Path, *, init: str, settings: Sequence[str] = ()) -> Iterator[Progress]:
    """Fine-tune in a process of its own, so that the memory it takes is given back; OUT/model is what it learned.

    A generator that is closed ends the process.

    Args:
        folder: with corrections.
        out: for the model and its report.
        init: the model to begin with.
        settings: more arguments of training.finetune.
    """
    command = [sys.executable, "-m", "training.finetune", str(folder), "--init", init, "--out", str(out), *settings]
    root = Path(__file__).parent.parent
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stderr is not None
        try:
            last, said = "", ""
            for last in _pieces(process.stderr):
                done, _, what = last.partition("% ")
                if done.strip().isdigit() and what:
                    yield Progress(int(done) / 100, what.strip())
                elif last.strip() and not last.lstrip().startswith(("step ", "|")) and "step/s" not in last:
                    said = last.strip()
            process.wait()
        finally:
            process.terminate()
    report = out / "report.json"
    if process.returncode not in (0, 1) or not report.exists():
        yield Progress(1.0, said.removeprefix("training.finetune: ") or "learning ended without a word")
    elif process.returncode == 1 and said.startswith("training.finetune: "):
        yield Progress(1.0, said.removeprefix("training.finetune: "))
    else:
        yield Progress(1.0, "done", json.loads(report.read_text(encoding="utf-8")))


def _pieces(stream: Any) -> Iterator[str]:
    """What comes between carriage returns and line feeds."""
    piece = ""
    while character := stream.read(1):
        if character in "\r\n":
            yield piece
            piece = ""
        else:
            piece += character
    yield piece


def card(network: "CRNN", report: dict[str, Any], name: str) -> str:
    """The card of a model that was taught: what the network knows of itself, and what was measured.

    Args:
        network: the model.
        report: of training.finetune.
        name: the repository it is pushed to.
    """
    rows = ["| set | lines | CER before | after | exact before | after |", "|---|---|---|---|---|---|"]
    own = "corrected lines, held out" if report["own_held_out"] else "corrected lines, trained on too"
    for what, key in ((own, "own"), ("rendered lines in fonts never seen", "general")):
        before, after = report[f"{key}_before"], report[f"{key}_after"]
        rows.append(
            f"| {what} | {before['samples']} | {before['cer']:.4f} | {after['cer']:.4f} |"
            f" {before['accuracy']:.4f} | {after['accuracy']:.4f} |"
        )
    table = "\n".join(rows)
    measured = f"## What teaching brought\n\nTaught by {report['trained_on']} corrected lines.\n\n{table}"
    return network.model_card(name, measured)

"""Claims: what determines a corpus, written beside its shards, so that a later run goes on with the same one or none."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NOTE = ".corpus.json"
SINCE = ("text", "fonts", "backgrounds", "vocabulary", "pdfs")  # what corpora of older versions do not tell


class OtherCorpusError(ValueError):
    """A folder holds another corpus; says what differs."""


def claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to mix a corpus into a folder that holds another; shards are told apart by their numbers alone.

    A corpus of an older version does not tell what it was made of: that is taken to be the same.

    Args:
        out: the folder.
        settings: JSON-able, by name.

    Raises:
        OtherCorpusError: the folder holds another corpus; names what differs.
        ValueError: nobody can tell what it holds.
    """
    note = out / NOTE
    if not note.exists():
        partial = note.with_name(f"{note.name}.partial")
        partial.write_text(json.dumps(settings, sort_keys=True))
        partial.replace(note)
        return
    then = claimed(out)
    names = [name for name in {**then, **settings} if name in then or name not in SINCE]
    if other := [name for name in names if then.get(name) != settings.get(name)]:
        # digests say nothing to anybody
        said = [name if name in SINCE else f"{name} {then.get(name)}, not {settings.get(name)}" for name in other]
        raise OtherCorpusError(f"{out} holds another corpus, which differs in: {'; '.join(said)}")


def claimed(out: Path) -> dict[str, Any]:
    """The settings with which a folder was claimed; none where nobody did.

    Raises:
        ValueError: they cannot be read.
    """
    note = out / NOTE
    if not note.exists():
        return {}
    try:
        return dict(json.loads(note.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{note} cannot be read, which says what corpus the folder holds: {error}") from error


def digest(parts: Iterable[str | bytes]) -> str:
    """16 hexadecimal digits that tell one sequence of texts or bytes from another."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8))
        found.update(data)
    return found.hexdigest()[:16]


def digest_of_files(files: Iterable[Path]) -> str:
    """Tells lists of files apart by names and sizes, wherever the files are kept.

    Raises:
        OSError: a file is not there.
    """
    return digest(f"{file.name} {file.stat().st_size}" for file in files)

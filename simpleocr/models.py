"""Models: where the file of a model lies: with the package, in a folder, or on the Hub."""

import os
import re
from pathlib import Path

from simpleocr.modelfile import ModelError

MODEL_FILE = "model.safetensors"
SHIPPED = Path(__file__).parent / "weights"
"""The models that come with the package: one folder each."""


def locate(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> Path:
    """The model file of that name, downloaded if it lies on the Hub; arguments as for PretrainedModel.from_pretrained().

    Raises:
        ModelError: names the model and the fault.
        TypeError: as local_path().
    """
    if path := local_path(name):
        return path
    from simpleocr import hub  # takes half a second to import, and most models lie here

    return hub.fetch(
        str(name),
        MODEL_FILE,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
    )


def local_path(name: str | os.PathLike[str]) -> Path | None:
    """The model file that `name` means on this machine; None if it can only be a repository of the Hub.

    Raises:
        ModelError: no such model.
        TypeError: a name that is no text and no path.
    """
    if not isinstance(name, str | os.PathLike):
        raise TypeError(f"{name!r:.60} does not name a model: a text or a path does")
    text = os.fspath(name)
    if isinstance(name, str):
        shipped = SHIPPED / text / MODEL_FILE
        if re.fullmatch(r"\w[\w.-]{0,99}", text) and shipped.is_file():
            return shipped  # before a folder of that name: "english" must not depend on where the caller stands
        like_a_path = re.match(r"\.{0,2}[/\\]|\.{1,2}$|~|[A-Za-z]:[/\\]", text) or text.endswith(".safetensors")
        if not like_a_path and not os.path.exists(text):  # noqa: PTH110 - never raises, whatever the text
            if "/" in text:
                return None
            names = sorted(path.parent.name for path in SHIPPED.glob(f"*/{MODEL_FILE}"))
            raise ModelError(f"{text!r}: no such model or folder; the models that come with simpleocr are {names}")
    text = os.path.expanduser(text)  # noqa: PTH111 - never raises, like the next
    return Path(text, MODEL_FILE) if os.path.isdir(text) else Path(text)  # noqa: PTH112

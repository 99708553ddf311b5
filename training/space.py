"""Spaces: a folder that is a working Hugging Face Space, with the demo, the package and a model."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

from simpleocr.modelfile import ModelError
from simpleocr.models import MODEL_FILE
from simpleocr.reader import DEFAULT_MODEL

ROOT = Path(__file__).parent.parent
TAKEN = ("app.py", "LICENSE")
TORCH = "--extra-index-url https://download.pytorch.org/whl/cpu\n"  # Spaces have no GPU unless one is rented


def write_space(folder: Path, model: Path, title: str) -> None:
    """Write a Space: push the folder as it is, or run its app.py anywhere.

    Args:
        folder: made if missing; must be empty.
        model: the folder of the model that it reads with; in the Space it is the one that comes with the package.
        title: what the Space is called.

    Raises:
        ModelError: no model there.
        OSError: the folder is not empty, or cannot be written.
    """
    if not (model / MODEL_FILE).is_file():
        raise ModelError(f"{model}: no {MODEL_FILE} in it")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    for name in TAKEN:
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "simpleocr", folder / "simpleocr", ignore=shutil.ignore_patterns("__pycache__"))
    weights = folder / "simpleocr" / "weights" / DEFAULT_MODEL
    shutil.rmtree(weights)
    shutil.copytree(model, weights)
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (folder / "requirements.txt").write_text(TORCH + requirements, encoding="utf-8")
    (folder / "README.md").write_text(_front_matter(title), encoding="utf-8")


def _front_matter(title: str) -> str:
    """What tells the Hub how to run it."""
    return f"""---
title: {json.dumps(title, ensure_ascii=False)}
emoji: 🔎
colorFrom: green
colorTo: gray
sdk: gradio
sdk_version: {version("gradio")}
python_version: "3.11"
app_file: app.py
license: apache-2.0
short_description: Reads printed text in pictures and shows why
---

Text from pictures, with a model small enough to own. `python app.py` runs this page on any machine; no picture leaves it.
Teaching is off where strangers come; duplicate the Space and set `SIMPLEOCR_TEACH` to a folder to have it.
"""

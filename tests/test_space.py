"""training.space and what training.publish pushes beside models: Spaces and data sets, with the real clients."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from huggingface_hub import RepoCard
from PIL import Image

from simpleocr import CRNN
from simpleocr.config import CRNNConfig
from simpleocr.modelfile import ModelError
from simpleocr.vocabulary import VOCABULARIES
from tests.fakehub import FakeHub
from training import publish
from training.space import write_space

ROOT = Path(__file__).parent.parent
PUSH_AND_PULL = """
import sys
from datasets import config, load_dataset
from training import publish
publish.main(["--corpus", sys.argv[1], "--push", "tester/lines"])
publish.main(["--model", sys.argv[2], "--space", sys.argv[3], "--push", "tester/demo"])
config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0  # 5 s after every stream
rows = load_dataset("tester/lines", split="train")
streamed = load_dataset("tester/lines", split="train", streaming=True)
texts = [row["text"] for row in streamed]
assert texts == rows["text"][:] and rows[0]["image"].size == (60, 30), rows
from training.data import open_corpus
assert len(open_corpus("tester/lines", "train")) == len(texts)
print(*texts)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    CRNN(CRNNConfig(VOCABULARIES["english"], "tiny")).save_pretrained(tmp_path / "model", dtype=torch.float16)
    return tmp_path / "model"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


def run(hub: FakeHub, home: Path, *command: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**clean, **hub.environment(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_space_has_all_it_needs(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    publish.main(["--model", str(model), "--space", str(folder)])
    text = (folder / "README.md").read_text(encoding="utf-8")
    front = RepoCard(text).data
    assert (front["sdk"], front["app_file"], front["title"]) == ("gradio", "app.py", "space")
    assert (folder / front["app_file"]).read_bytes() == (ROOT / "app.py").read_bytes()
    assert front["license"] == "apache-2.0"
    wanted = (folder / "requirements.txt").read_text()
    assert "gradio" in wanted
    assert wanted.count("\npypdfium2") == 1
    assert "download.pytorch.org/whl/cpu" in wanted
    weights = folder / "simpleocr" / "weights" / "english" / "model.safetensors"
    assert weights.read_bytes() == (model / "model.safetensors").read_bytes()
    assert (folder / "simpleocr" / "weights" / "lines" / "model.safetensors").is_file()
    assert not list(folder.rglob("__pycache__"))
    with pytest.raises(FileExistsError, match="not empty"):
        write_space(folder, model, "again")
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        write_space(tmp_path / "other", tmp_path, "other")


@pytest.mark.slow
def test_the_app_of_a_space_runs_and_has_no_teaching(model: Path, tmp_path: Path) -> None:
    write_space(tmp_path / "space", model, "demo")
    environment = {**os.environ, "SPACE_ID": "tester/demo", "GRADIO_SERVER_PORT": "7991", "PYTHONPATH": ""}
    with subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path / "space", env=environment) as process:
        try:
            for _ in range(120):
                time.sleep(0.5)
                try:
                    page = urlopen("http://127.0.0.1:7991/config", timeout=5).read().decode()
                    break
                except OSError:
                    continue
            assert '"Live"' in page
            assert '"Teach"' not in page
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_space_and_a_corpus_are_pushed_and_pulled(hub: FakeHub, model: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "lines"
    corpus.mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (30, 60), dtype=np.uint8)
        Image.fromarray(noise).save(corpus / f"{i}.png")
    (corpus / "metadata.csv").write_text("file_name,text\n0.png,zero\n1.png,one\n2.png,two\n")
    home = tmp_path / "home"
    # one process for all, for each takes seconds to begin
    said = run(hub, home, "-c", PUSH_AND_PULL, str(corpus), str(model), str(tmp_path / "space"))
    assert "tester/lines" in said
    assert said.split()[-3:] == ["zero", "one", "two"]
    assert {"app.py", "README.md", "requirements.txt"} <= hub.files("tester/demo", kind="spaces").keys()

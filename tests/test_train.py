"""training.train: the loss is CTC, a run can be killed at any step and goes on bit for bit, faults are one sentence."""

import csv
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file, save_file
from torch import nn

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.image import load_image
from simpleocr.inference import has_bf16
from simpleocr.preprocessing import Preprocessing, to_grey
from simpleocr.recognition import recognize
from simpleocr.vocabulary import VOCABULARIES
from training import batches, synth, train
from training.batches import Batch
from training.checkpoint import CheckpointError, load_checkpoint, read_state, save_checkpoint
from training.claim import claim
from training.data import picture
from training.outcome import Figures
from training.progress import MetricsLog
from training.settings import SettingError, parse, settings
from training.train import Trainee, ctc_loss, learning_rate, main, memory_format, update_average

EIGHT = ["3141", "59265", "35", "8979", "3238", "462", "64338", "327"]
TEXTS = [*EIGHT, *["9502", "884", "1971", "69", "39937", "510"]]
BY_HEART = ["3141", "5926", "5358", "9793", "2384", "6264", "3383", "2795"]
DIGITS = VOCABULARIES["digits"]
BASE = [
    "--backbone",
    "tiny",
    "--vocabulary",
    "digits",
    "--mixed_precision",
    "no",
    "--threads",
    "1",
    "--batch_size",
    "4",
]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No cache outside, no network, no pickle; torch's threads as they were."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle")

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # 5 s after every stream
    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def draw(text: str) -> Image.Image:
    image = Image.new("L", (14 * len(text) + 8, 32), 255)
    ImageDraw.Draw(image).text((4, 3), text, fill=0, font=ImageFont.load_default(24))
    return image


def write_lines(folder: Path, texts: list[str]) -> Path:
    folder.mkdir(parents=True)
    for i, text in enumerate(texts):
        draw(text).save(folder / f"{i}.png")
    rows = "".join(f"{i}.png,{text}\n" for i, text in enumerate(texts))
    (folder / "metadata.csv").write_text(f"file_name,text\n{rows}")
    return folder


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(
    path: Path, texts: list[str], pictures: list[bytes], sizes: list[tuple[int, int]] | None = None
) -> Path:
    columns: dict[str, list[Any]] = {"image": [{"bytes": data, "path": None} for data in pictures], "text": list(texts)}
    if sizes:
        columns |= {"width": [w for w, _ in sizes], "height": [h for _, h in sizes]}
    kinds = {"image": datasets.Image(), "text": datasets.Value("string")}
    kinds |= {name: datasets.Value("int32") for name in ("width", "height") if sizes}
    datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen lines of digits: four batches of an epoch."""
    return write_lines(tmp_path_factory.mktemp("corpus") / "lines", TEXTS)


def arguments(corpus: Path, out: Path, *more: str) -> list[str]:
    return ["--dataset", str(corpus), "--out", str(out), *BASE, *more]


def log_of(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def refusal(argv: list[str]) -> str:
    """The one sentence that main() ends with."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    message = str(caught.value)
    assert message.startswith("training.train: ")
    return message


class StopError(Exception):
    """Stands for a kill, in the same process."""


def run_to(step: int, argv: list[str]) -> None:
    """Trains, and stops before the gradient of `step`."""

    def rate(now: int, steps: int, peak: float) -> float:
        if now == step:
            raise StopError
        return learning_rate(now, steps, peak)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "learning_rate", rate)
        with pytest.raises(StopError):
            main(argv)


# parts --------------------------------------------------------------------------------------------------------------


def test_the_rate_rises_in_a_line_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 1000, 2.0) for step in range(1001)]
    assert rates[0] == pytest.approx(2.0 / 50)
    assert max(rates) == rates[50] == 2.0
    assert np.allclose(np.diff(rates[:50]), 2.0 / 50)
    assert all(b < a for a, b in itertools.pairwise(rates[50:]))
    assert rates[525] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)
    assert learning_rate(5000, 1000, 2.0) == pytest.approx(0.0, abs=1e-12), "past the end it stays there"


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_a_short_run_has_a_rate_in_every_step(steps: int) -> None:
    rates = [learning_rate(step, steps, 1.0) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[0] == 1.0


def batch_of(targets: list[list[int]]) -> Batch:
    return Batch(
        images=torch.zeros(len(targets), 1, 8, 8),
        targets=torch.tensor([i for row in targets for i in row], dtype=torch.int64),
        target_lengths=torch.tensor([len(row) for row in targets], dtype=torch.int64),
        names=[str(row) for row in targets],
    )


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(c for c, _ in itertools.groupby(path) if c)


@pytest.mark.parametrize(("steps", "classes"), [(1, 2), (3, 3), (4, 3), (5, 4)])
def test_the_loss_is_the_sum_over_all_alignments(steps: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    ids = range(1, classes)
    targets = [
        t
        for n in range(4)
        for t in itertools.product(ids, repeat=n)
        if n + sum(a == b for a, b in itertools.pairwise(t)) <= steps
    ]
    logits = 2 * torch.randn(len(targets), steps, classes, generator=generator, dtype=torch.float64)
    probs = logits.softmax(-1)
    expected = []
    for target, rows in zip(targets, probs, strict=True):
        paths = (p for p in itertools.product(range(classes), repeat=steps) if collapse(p) == target)
        total = sum(math.prod(float(rows[t, c]) for t, c in enumerate(path)) for path in paths)
        expected.append(-math.log(total) / max(1, len(target)))
    loss = ctc_loss(logits, batch_of([list(t) for t in targets]))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    for i, target in enumerate(targets):
        assert ctc_loss(logits[i : i + 1], batch_of([list(target)])).item() == pytest.approx(
            expected[i], rel=1e-4, abs=1e-6
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_loss_is_taken_in_float32(dtype: torch.dtype) -> None:
    logits = 30 * torch.randn(2, 50, 11, generator=torch.Generator().manual_seed(0))
    half = logits.to(dtype)
    loss = ctc_loss(half, batch_of([[1, 2, 3], [4, 4]]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(ctc_loss(half.float(), batch_of([[1, 2, 3], [4, 4]])).item(), rel=1e-6)


def test_a_target_too_long_is_not_hidden() -> None:
    logits = torch.zeros(1, 3, 3)
    assert math.isinf(ctc_loss(logits, batch_of([[1, 1, 1]])).item()), "no zero_infinity"


def test_both_heads_read_the_same_features() -> None:
    network = CRNN(CRNNConfig(DIGITS, "tiny"))
    logits, auxiliary = Trainee(network).eval()(torch.zeros(2, 1, 32, 50))
    assert logits.shape == auxiliary.shape == (2, 13, 11)
    assert torch.equal(logits, network.eval()(torch.zeros(2, 1, 32, 50)))


def test_the_average_follows_weights_and_statistics() -> None:
    average, current = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    current(torch.randn(8, 2) + 5)
    with torch.no_grad():
        current.weight.fill_(3)
    update_average(average, current, 0.75)
    assert torch.allclose(average.weight, torch.full((2,), 1.5))
    assert current.running_mean is not None
    assert average.running_mean is not None
    assert torch.allclose(average.running_mean, 0.25 * current.running_mean)
    assert average.num_batches_tracked == current.num_batches_tracked
    update_average(average, current, 0.0)
    assert torch.equal(average.weight, current.weight)


def test_what_the_processor_can_is_known() -> None:
    assert has_bf16() in (True, False)


def test_a_log_is_cut_where_the_run_stands(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv", 0)
    for step in (5, 10, 15):
        state = {"step": step, "epoch": 0, "samples": step * 4, "seconds": 1.0, "batch": 1, "best": 1.0}
        log.add(state, 2.0, 1e-3, {"cer": 0.5, "accuracy": 0.25})
    assert [row["step"] for row in log_of(tmp_path)] == ["5", "10", "15"]
    assert [row["step"] for row in MetricsLog(tmp_path / "metrics.csv", 10).rows] == ["5", "10"]
    assert MetricsLog(tmp_path / "metrics.csv", 0).rows == []
    assert load_image(tmp_path / "curves.png").width > 300


def test_a_log_cut_by_a_kill_does_not_end_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,epoch,samples,seconds,lr,loss,cer,accuracy\n5,0,20,1.0,0.001,2.00")
    log = MetricsLog(tmp_path / "metrics.csv", 5)
    log.add({"step": 10, "epoch": 0, "samples": 40, "seconds": 1.0}, 2.0, 1e-3, {"cer": 0.5, "accuracy": 0.25})


@pytest.mark.parametrize("header", ["", "step,epoch", "step,epoch,samples,seconds,lr,loss,cer,exact,more"])
def test_a_log_of_other_columns_is_one_sentence(tmp_path: Path, header: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(f"{header}\n5,0\n" if header else "")
    with pytest.raises(
        CheckpointError, match=r"metrics\.csv has the columns .*: move it away, and the run goes on"
    ) as caught:
        MetricsLog(path, 10)
    assert f"{header or '(none)'} instead of step,epoch,samples," in str(caught.value)
    assert MetricsLog(path, 0).rows == [], "a run that begins writes its own"


@pytest.mark.slow
def test_a_run_that_cannot_go_on_with_its_log_says_so(corpus: Path, tmp_path: Path) -> None:
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "2", "--save_every", "1")
    main(argv)
    (tmp_path / "out" / "metrics.csv").write_text("step,epoch\n2,0\n")
    assert "has the columns step,epoch instead of" in refusal([*argv, "--resume"])
    (tmp_path / "out" / "metrics.csv").unlink()
    main([*argv, "--resume"])


# checkpoints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["tiny", "small", "base"])
def test_a_thin_network_does_not_learn_channels_last(backbone: str) -> None:
    """PyTorch 2.13 on a CPU writes beyond its memory there: pictures 464 wide ended the process by signal 11."""
    network = CRNN(CRNNConfig(DIGITS, backbone)).train()
    layout = memory_format(network)
    assert layout == (torch.contiguous_format if backbone == "tiny" else torch.channels_last)
    if backbone == "tiny":
        network.to(memory_format=layout)  # type: ignore[call-overload]
        for _ in range(3):
            network(torch.randn(4, 1, 32, 928).to(memory_format=layout)).sum().backward()


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
    return module, optimizer


def test_a_checkpoint_brings_all_back(tmp_path: Path) -> None:
    module, optimizer = trained()
    state = {"step": 3, "best": 0.25, "text": "é", "settings": {"lr": 0.1, "dataset": ["a"]}}
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, state)
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    again = torch.optim.AdamW(other.parameters(), lr=0.1)
    assert load_checkpoint(tmp_path / "c", {"net": other}, again) == state
    for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    before, after = optimizer.state_dict()["state"], again.state_dict()["state"]
    assert all(torch.equal(before[i][k], after[i][k]) for i in before for k in before[i])
    save_checkpoint(tmp_path / "d", {"net": other}, again, state)
    assert (tmp_path / "c").read_bytes() == (tmp_path / "d").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c", "d"], "nothing temporary is left"


def test_no_cut_of_a_checkpoint_is_believed(tmp_path: Path) -> None:
    module, optimizer = trained()
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3})
    data = (tmp_path / "c").read_bytes()
    for end in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:end])
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            load_checkpoint(tmp_path / "cut", {"net": module}, optimizer)
    for name, content in (("garbage", b"x" * 500), ("json", b"{}"), ("longer", data + b"\0")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            load_checkpoint(tmp_path / name, {"net": module}, optimizer)


@pytest.mark.parametrize("metadata", [None, {"checkpoint": "{"}, {"checkpoint": "[]"}, {"other": "{}"}])
def test_other_files_are_no_checkpoints(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "c", metadata)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        read_state(tmp_path / "c")


def test_missing_and_foreign_checkpoints_are_named(tmp_path: Path) -> None:
    module, optimizer = trained()
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(CheckpointError, match=str(path)):
            read_state(path)
    save_checkpoint(tmp_path / "c", {"net": nn.Linear(2, 2)}, optimizer, {"step": 3})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(tmp_path / "c", {"net": module}, optimizer)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    module, optimizer = trained()
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3})
    data = bytearray((tmp_path / "c").read_bytes())
    data[-20] ^= 0x40
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "c", {"net": module}, optimizer)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, optimizer = trained()
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="No space left"):
        save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 4})
    assert load_checkpoint(tmp_path / "c", {"net": module}, optimizer) == {"step": 3}
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_a_checkpoint_from_before_a_setting_goes_on_with_its_default(tmp_path: Path) -> None:
    args = parse(["--out", str(tmp_path)])
    module, optimizer = trained()
    then = {name: value for name, value in settings(args, 1).items() if name not in ("head_rate", "teacher")}
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3, "settings": then})
    assert train.resumed(tmp_path / "c", args, 1, {"net": module}, optimizer).step == 3
    args.head_rate = 10.0
    with pytest.raises(CheckpointError, match=r"head_rate: 1.0 then, 10.0 now"):
        train.resumed(tmp_path / "c", args, 1, {"net": module}, optimizer)


def test_the_head_may_learn_faster() -> None:
    trainee = Trainee(CRNN(CRNNConfig(DIGITS, "tiny")))
    plain = train.parameter_groups(trainee, parse([]))
    assert [(group["rate"], group["weight_decay"]) for group in plain] == [(1.0, 0.01), (1.0, 0.0)]
    trainee.network.stem.requires_grad_(False)
    groups = train.parameter_groups(trainee, parse(["--head_rate", "10"]))
    assert [(group["rate"], group["weight_decay"]) for group in groups] == [(1, 0.01), (1, 0), (10, 0.01), (10, 0)]
    head = trainee.network.classifier
    assert groups[2]["params"] == [head.weight]
    assert groups[3]["params"] == [head.bias]
    kept = [p for group in groups for p in group["params"]]
    assert len({*kept}) == len(kept) == len([*trainee.parameters()]) - 1


# runs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_lines_are_learned_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it is and will be read, 96 columns: what training varies would take a tiny network thousands of steps."""

    def plain(row: dict[str, Any], width: int, preprocessing: Preprocessing, _: Any) -> Any:
        return to_grey(picture(row), width, preprocessing.height)

    monkeypatch.setattr(batches, "load_line", plain)
    monkeypatch.setattr(batches, "plan_widths", lambda widths, *_: -(-widths // batches.BUCKET) * batches.BUCKET)
    lines, again = (write_lines(tmp_path / name, BY_HEART) for name in ("lines", "again"))
    more = [
        "--max_steps",
        "200",
        "--eval_every",
        "50",
        "--lr",
        "0.01",
        "--ema",
        "0.9",
        "--seed",
        __import__("os").environ.get("SEED", "0"),
        "--batch_size",
        "8",
        "--validation",
        str(again),
    ]
    main(arguments(lines, tmp_path / "out", *more))
    rows = log_of(tmp_path / "out")
    assert float(rows[-1]["cer"]) == 0
    assert float(rows[-1]["accuracy"]) == 1
    assert [float(row["loss"]) for row in rows] == sorted((float(row["loss"]) for row in rows), reverse=True)
    network = CRNN.from_pretrained(tmp_path / "out" / "best")
    assert [line.text for line in recognize(network, [load_image(png(draw(text))) for text in BY_HEART])] == BY_HEART


def test_gradients_below_eps_move_hardly_anything(corpus: Path, tmp_path: Path) -> None:
    moved = []
    for name, eps in (("as a rule", "1e-8"), ("large", "1e6")):
        more = ["--max_steps", "2", "--weight_decay", "0", "--eps", eps]
        args = parse(arguments(corpus, tmp_path / name, *more))
        before, after = train.build(args).state_dict(), train.run(args).state_dict()
        moved.append(float((after["classifier.weight"] - before["classifier.weight"]).abs().max()))
    assert moved[1] < 1e-4 * moved[0]


SHORT = ["--max_steps", "12", "--eval_every", "4", "--save_every", "4"]


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve steps, three epochs, without a stop."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    threads = torch.get_num_threads()
    main(arguments(corpus, out, *SHORT))
    torch.set_num_threads(threads)
    return out


def assert_same_run(out: Path, unbroken: Path) -> None:
    for model in ("best", "final"):
        files = [folder / model / "model.safetensors" for folder in (out, unbroken)]
        assert files[0].read_bytes() == files[1].read_bytes(), model
    ours, theirs = load_file(out / "last.safetensors"), load_file(unbroken / "last.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert log_of(out) == log_of(unbroken)


def test_a_run_leaves_models_a_log_and_a_picture_and_no_pickle(unbroken: Path) -> None:
    files = {str(file.relative_to(unbroken)) for file in unbroken.rglob("*") if file.is_file()}
    assert {
        "last.safetensors",
        "metrics.csv",
        "curves.png",
        "best/model.safetensors",
        "final/model.safetensors",
    } <= files
    assert {Path(name).suffix for name in files} <= {".safetensors", ".json", ".csv", ".png", ".md"}
    for name in files:
        assert (
            not (unbroken / name).read_bytes().startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"))
        ), name
    rows = log_of(unbroken)
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["lr"]) == 0
    assert load_image(unbroken / "curves.png").width > 300
    summary = CRNN.from_pretrained(unbroken / "final").training_summary
    assert summary["samples"] == read_state(unbroken / "last.safetensors")["samples"] > 30
    assert set(summary["validation"]) == {"cer", "accuracy"}
    assert json.dumps(summary)


KILLED = """
import os, signal, sys
from training import train
rate = train.learning_rate
def kill(step, *rest):
    if step == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return rate(step, *rest)
train.learning_rate = kill
train.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(corpus: Path, tmp_path: Path, unbroken: Path) -> None:
    argv = arguments(corpus, tmp_path / "out", *SHORT)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *argv], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 8
    main([*argv, "--resume"])
    assert_same_run(tmp_path / "out", unbroken)


@pytest.mark.slow
def test_a_run_stopped_again_and_again_goes_on_bit_for_bit(
    corpus: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints in the middle of an epoch; no step is made twice differently."""
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "12", "--eval_every", "4", "--save_every", "1")
    for step in (5, 6, 11):
        run_to(step, [*argv, *(["--resume"] if step != 5 else [])])
    main([*argv, "--resume"])
    weights = [load_file(out / "last.safetensors") for out in (tmp_path / "out", unbroken)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    without_loss = [
        [{k: v for k, v in row.items() if k != "loss"} for row in log_of(out)] for out in (tmp_path / "out", unbroken)
    ]
    assert without_loss[0] == without_loss[1]


@pytest.mark.slow
def test_the_loss_in_the_log_is_that_of_the_unbroken_run(
    corpus: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "12", "--eval_every", "4", "--save_every", "3")
    run_to(7, argv)
    main([*argv, "--resume"])
    assert log_of(tmp_path / "out") == log_of(unbroken)


def test_resuming_a_finished_run_changes_nothing(corpus: Path, tmp_path: Path) -> None:
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "2")
    main(argv)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    main([*argv, "--resume"])
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_run_is_not_overwritten(corpus: Path, unbroken: Path) -> None:
    before = (unbroken / "last.safetensors").read_bytes()
    message = refusal(arguments(corpus, unbroken, *SHORT))
    assert "--resume" in message
    assert str(unbroken) in message
    assert (unbroken / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (["--batch_size", "8"], ["batch_size: 4 then, 8 now"]),
        (["--lr", "0.5", "--seed", "3"], ["lr: 0.001 then, 0.5 now", "seed: 0 then, 3 now"]),
        (["--vocabulary", "ascii"], ["vocabulary: digits then, ascii now"]),
        (["--height", "40"], ["height: 32 then, 40 now"]),
        (["--stretch", "2"], ["stretch: 1.5 then, 2.0 now"]),
        (["--unknown", "strip"], ["unknown"]),
        (["--max_columns", "500"], ["max_columns: None then, 500 now"]),
        (["--weights", "2"], ["weights: [1.0] then, [2.0] now"]),
        (["--backbone", "small"], ["backbone"]),
    ],
)
def test_another_run_is_not_gone_on_with(corpus: Path, unbroken: Path, given: list[str], keys: list[str]) -> None:
    message = refusal([*arguments(corpus, unbroken, *SHORT, "--resume"), *given])
    assert "another run" in message
    for key in keys:
        assert key in message
    if len(keys) == 1:
        assert "processes" not in message


def test_another_corpus_is_not_gone_on_with(tmp_path: Path, unbroken: Path) -> None:
    other = write_lines(tmp_path / "other", EIGHT)
    assert "dataset" in refusal(arguments(other, unbroken, *SHORT, "--resume"))


@pytest.mark.parametrize(
    "given",
    [["--weight_decay", "0.5"], ["--clip", "1"], ["--ema", "0.5"], ["--auxiliary", "0"], ["--streaming"]],
    ids=" ".join,
)
def test_settings_of_the_optimizer_are_settings_of_the_run(corpus: Path, unbroken: Path, given: list[str]) -> None:
    refusal([*arguments(corpus, unbroken, *SHORT, "--resume"), *given])


def test_resuming_without_a_checkpoint_names_it(corpus: Path, tmp_path: Path) -> None:
    message = refusal(arguments(corpus, tmp_path / "none", *SHORT, "--resume"))
    assert str(tmp_path / "none" / "last.safetensors") in message


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9999])
def test_a_cut_checkpoint_is_one_sentence(corpus: Path, tmp_path: Path, unbroken: Path, share: float) -> None:
    data = (unbroken / "last.safetensors").read_bytes()
    (tmp_path / "last.safetensors").write_bytes(data[: int(len(data) * share)])
    message = refusal(arguments(corpus, tmp_path, *SHORT, "--resume"))
    assert "last.safetensors is not a checkpoint" in message
    assert "\n" not in message


def test_a_checkpoint_without_settings_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "last.safetensors", {"checkpoint": "{}"})
    refusal(arguments(corpus, tmp_path, *SHORT, "--resume"))


def test_a_loss_that_is_no_number_names_the_lines(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def poisoned(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        loss = ctc_loss(logits, batch)
        return loss * math.nan if next(calls) == 6 else loss  # two heads a step: the fourth

    monkeypatch.setattr(train, "ctc_loss", poisoned)
    message = refusal(arguments(corpus, tmp_path / "out", "--max_steps", "12", "--save_every", "2"))
    assert "the loss is nan at step 3" in message
    assert sum(repr(text) in message for text in TEXTS) in (1, 4)
    assert "corpus 0 row" in message
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 2
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "out" / "last.safetensors").values())


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    for split, texts in (("train", TEXTS), ("validation", EIGHT[:3])):
        write_parquet(
            folder / f"{split}-00000-of-00001.parquet",
            texts,
            [png(draw(t)) for t in texts],
            [draw(t).size for t in texts],
        )
    return folder


@pytest.mark.slow  # joined lines are decided by seed and epoch, which test_joining shows at once
def test_a_run_with_joined_lines_goes_on_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    more = [*SHORT, "--join", "0.5", "--vocabulary", "ascii"]
    main(arguments(corpus, tmp_path / "whole", *more))
    run_to(10, arguments(corpus, tmp_path / "out", *more))
    main(arguments(corpus, tmp_path / "out", *more, "--resume"))
    assert_same_run(tmp_path / "out", tmp_path / "whole")
    message = refusal([*arguments(corpus, tmp_path / "out", *more, "--resume"), "--join", "0"])
    assert "join: 0.5 then, 0.0 now" in message


def test_lines_are_not_joined_without_a_space_in_the_vocabulary(corpus: Path, tmp_path: Path) -> None:
    assert "space" in refusal(arguments(corpus, tmp_path / "out", *SHORT, "--join", "0.5"))


def test_a_stream_is_trained_on_and_gone_on_with(
    parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--streaming", "--max_steps", "7", "--eval_every", "7", "--save_every", "3"]
    main(arguments(parquet, tmp_path / "whole", *more))
    run_to(5, arguments(parquet, tmp_path / "out", *more))
    main(arguments(parquet, tmp_path / "out", *more, "--resume"))
    whole, out = (load_file(folder / "last.safetensors") for folder in (tmp_path / "whole", tmp_path / "out"))
    assert all(torch.equal(whole[name], out[name]) for name in whole)


def test_bad_rows_of_a_stream_are_counted_named_and_printed(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*TEXTS, "12a", "1" * 60, "77"]
    pictures = [*(png(draw(text)) for text in TEXTS), png(draw("12a")), png(draw("1")), b"nonsense"]
    path = write_parquet(tmp_path / "lines.parquet", texts, pictures, [draw(text[:5]).size for text in texts])
    more = ["--streaming", "--validation", str(corpus), "--max_steps", "12", "--max_bad", "0.2"]
    main(arguments(path, tmp_path / "out", *more))
    printed = capsys.readouterr().out
    assert "17 rows, 14 used" in printed
    assert "1 dropped: unknown characters: row" in printed
    assert "'12a' has 'a' U+0061" in printed
    assert "1 dropped: label too long for its picture" in printed
    assert "1 dropped: no readable picture" in printed
    main(arguments(path, tmp_path / "out", *more, "--resume"))
    assert "rows" not in capsys.readouterr().out, "a run that has ended reads none"


def test_a_stream_of_too_many_bad_rows_is_refused_however_short_the_run(corpus: Path, tmp_path: Path) -> None:
    texts = [text for pair in zip(TEXTS, ["a" * 3] * len(TEXTS), strict=True) for text in pair]
    path = write_parquet(tmp_path / "lines.parquet", texts, [png(draw(text)) for text in texts])
    more = ["--streaming", "--validation", str(corpus), "--batch_size", "1"]
    message = refusal(arguments(path, tmp_path / "out", *more, "--max_steps", "5"))
    assert "rows cannot be used, more than 1.0%" in message
    assert "unknown characters: row" in message
    assert "'aaa' has 'a' U+0061" in message


def test_a_stream_has_to_know_its_end(parquet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments(parquet, tmp_path / "out", "--streaming"))
    assert "--max_steps" in capsys.readouterr().err


def test_a_model_can_be_started_from(parquet: Path, tmp_path: Path) -> None:
    config = CRNNConfig(DIGITS, "tiny", Preprocessing(height=24, stretch=2.0))
    torch.manual_seed(9)
    CRNN(replace(config, ranges=((0.0, 1.0),)), {"samples": 1000}).save_pretrained(tmp_path / "first")
    argv = [
        "--dataset",
        str(parquet),
        "--out",
        str(tmp_path / "out"),
        "--mixed_precision",
        "no",
        "--threads",
        "1",
        "--batch_size",
        "4",
    ]
    main([*argv, "--init", str(tmp_path / "first"), "--max_steps", "1", "--lr", "1e-9"])
    first, network = CRNN.from_pretrained(tmp_path / "first"), CRNN.from_pretrained(tmp_path / "out" / "final")
    assert network.config == config, "its vocabulary and preprocessing, and no ranges of other weights"
    assert network.training_summary["samples"] > 1000
    for name, parameter in network.named_parameters():
        assert torch.allclose(parameter, first.get_parameter(name), atol=1e-3), name


def test_of_a_model_started_from_the_second_head_is_drawn_by_the_seed(tmp_path: Path) -> None:
    CRNN(CRNNConfig(DIGITS, "tiny")).save_pretrained(tmp_path / "first")

    def head(seed: str) -> torch.Tensor:
        args = parse(["--init", str(tmp_path / "first"), "--seed", seed])
        return Trainee(train.build(args)).auxiliary.weight

    assert torch.equal(head("5"), head("5"))
    assert not torch.equal(head("5"), head("6"))


def test_a_model_started_from_belongs_to_the_run(parquet: Path, tmp_path: Path) -> None:
    config = CRNNConfig(DIGITS, "tiny", Preprocessing(stretch=2.0))
    CRNN(config).save_pretrained(tmp_path / "first")
    CRNN(config).save_pretrained(tmp_path / "other")
    argv = arguments(parquet, tmp_path / "out", "--max_steps", "2", "--save_every", "1")
    main([*argv, "--init", str(tmp_path / "first")])
    assert "first then" in refusal([*argv, "--resume", "--init", str(tmp_path / "other")])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--dataset", "/no/such"], "no such corpus: /no/such"),
        (["--init", "/no/such"], "/no/such"),
        (["--validation", "/no/such"], "/no/such"),
        (["--max_columns", "500", "--init", "nosuchmodel"], "nosuchmodel"),
    ],
)
def test_what_is_not_there_is_one_sentence(corpus: Path, tmp_path: Path, given: list[str], says: str) -> None:
    message = refusal([*arguments(corpus, tmp_path / "out", *SHORT), *given])
    assert says in message
    assert not list((tmp_path / "out").glob("*")), "before anything is written"


def test_a_corpus_of_other_characters_is_refused_with_examples(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines", [*EIGHT, "12a"])
    message = refusal(arguments(lines, tmp_path / "out", *SHORT))
    assert "1 of 9 rows cannot be used" in message
    assert "'a' U+0061" in message


def test_weights_have_to_be_as_many_as_corpora(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--dataset", str(corpus), "--weights", "1", "2"])
    assert "1 corpora but 2 weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        ["--height", "30"],
        ["--mixed_precision", "fp16"],
    ],
    ids=" ".join,
)
def test_a_network_or_a_precision_that_is_not_there_is_one_sentence(
    corpus: Path, tmp_path: Path, given: list[str]
) -> None:
    if given[-1] == "fp16" and torch.cuda.is_available():
        pytest.skip("this machine can")
    with pytest.raises(SystemExit):
        main([*arguments(corpus, tmp_path / "out", *SHORT), *given])


def test_an_output_that_is_a_file_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    refusal(arguments(corpus, tmp_path / "out" / "run", *SHORT))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Fourteen lines whose sizes are told, so that two broken ones are met only in training."""
    pictures = [png(draw(text)) for text in TEXTS]
    pictures[3], pictures[8] = b"nonsense", pictures[8][:-40]
    return write_parquet(tmp_path / "broken.parquet", TEXTS, pictures, [draw(text).size for text in TEXTS])


@pytest.mark.slow
def test_a_broken_picture_in_a_sized_corpus_is_left_out_and_named(
    broken: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*SHORT, "--validation", str(corpus), "--max_bad", "0.2"]
    main(arguments(broken, tmp_path / "whole", *more))
    printed = capsys.readouterr().out
    assert "14 rows, 14 used" in printed, "before the first step"
    assert "14 rows, 12 used" in printed
    assert "2 dropped: no readable picture: corpus 0 row " in printed
    assert "corpus 0 row 3 '8979': " in printed
    assert "corpus 0 row 8 '9502': " in printed
    run_to(6, arguments(broken, tmp_path / "out", *more))
    main(arguments(broken, tmp_path / "out", *more, "--resume"))
    assert_same_run(tmp_path / "out", tmp_path / "whole")


def test_too_many_broken_pictures_in_a_sized_corpus_are_refused(broken: Path, corpus: Path, tmp_path: Path) -> None:
    message = refusal(arguments(broken, tmp_path / "out", *SHORT, "--validation", str(corpus)))
    assert "1 of 14 rows cannot be used, more than 1.0%" in message
    assert "no readable picture: corpus 0 row" in message


def test_a_validation_picture_too_wide_is_passed_over(corpus: Path, tmp_path: Path) -> None:
    pictures = [png(draw("1")), png(Image.new("L", (30_000, 20), 255))]
    path = write_parquet(tmp_path / "validation.parquet", ["1", "2"], pictures)
    main(arguments(corpus, tmp_path / "out", "--max_steps", "1", "--validation", str(path)))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """What runs are told to validate on, and what they train on."""
    seen: dict[str, set[str]] = {"validated": set(), "trained": set()}

    def measured(_: CRNN, samples: list[tuple[Any, str]]) -> Figures:
        seen["validated"].update(target for _, target in samples)
        return Figures(len(samples), 1.0, 0.0)

    def loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        ids = torch.split(batch.targets, batch.target_lengths.tolist())
        seen["trained"].update(DIGITS.decode(row.tolist()) for row in ids)
        return ctc_loss(logits, batch)

    monkeypatch.setattr(train, "measured", measured)
    monkeypatch.setattr(train, "ctc_loss", loss)
    return seen


MANY = [str(number) for number in range(1000, 1040)]


@pytest.mark.parametrize(
    ("more", "held"),
    [
        ([], MANY[::10]),
        (["--eval_samples", "2"], MANY[::20]),
        (["--batch_size", "3", "--seed", "5", "--weights", "1.5"], MANY[::10]),
    ],
    ids=["a tenth", "at most --eval_samples", "whatever the batches"],
)
def test_what_validates_is_not_trained_on_where_there_is_no_split(
    tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str], more: list[str], held: list[str]
) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    main(arguments(lines, tmp_path / "out", "--epochs", "2", *more))
    assert watched["validated"] == set(held)
    assert watched["trained"] == set(MANY) - set(held)
    printed = capsys.readouterr().out
    assert f"{lines} has no validation split: {len(held)} of its 40 usable lines" in printed
    assert "40 rows, 40 used" in printed
    assert read_state(tmp_path / "out" / "last.safetensors")["held_out"] == len(held)


def test_of_few_lines_one_validates_and_that_is_said(
    tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write_lines(tmp_path / "lines", EIGHT[:2])
    main(arguments(lines, tmp_path / "out", "--max_steps", "2"))
    assert (watched["validated"], watched["trained"]) == ({EIGHT[0]}, {EIGHT[1]})
    assert "1 of its 2 usable lines" in (printed := capsys.readouterr().out)
    assert "the CER of so few says little" in printed
    assert "--validation" in refusal(arguments(write_lines(tmp_path / "one", ["1"]), tmp_path / "b", *SHORT))


def test_a_corpus_that_is_named_to_validate_on_or_given_twice_spares_its_lines(
    corpus: Path, tmp_path: Path, watched: dict[str, set[str]]
) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    argv = [
        "--dataset",
        str(corpus),
        f"{lines}/",
        str(lines),
        "--validation",
        str(lines),
        "--out",
        str(tmp_path / "out"),
    ]
    main([*argv, *BASE, "--epochs", "1"])
    assert watched["validated"] == set(MANY[::10])
    assert watched["trained"] == {*TEXTS, *MANY} - set(MANY[::10])


@pytest.mark.parametrize("spelled", ["/lines", "./lines/", "elsewhere", "lines/metadata.csv"])
def test_lines_that_are_trained_on_validate_nothing_however_their_path_is_spelled(
    tmp_path: Path, watched: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    (tmp_path / "elsewhere").symlink_to(lines)
    monkeypatch.chdir(tmp_path)
    name = f"{tmp_path}{spelled}" if spelled.startswith("/") else spelled
    main(["--dataset", "lines", "--validation", name, "--out", str(tmp_path / "out"), *BASE, "--epochs", "1"])
    assert watched["validated"] == set(MANY[::10])
    assert watched["trained"] == set(MANY) - set(MANY[::10])


def test_a_validation_split_leaves_every_line_to_train_on(
    parquet: Path, tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(parquet, tmp_path / "out", "--epochs", "1"))
    assert (watched["validated"], watched["trained"]) == (set(EIGHT[:3]), set(TEXTS))
    assert "no validation split" not in capsys.readouterr().out


def test_a_validation_split_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_lines(tmp_path / "lines" / split, EIGHT)
    (tmp_path / "lines" / "validation" / "metadata.csv").write_bytes("file_name,text\n0.png,für\n".encode("latin-1"))
    assert "is not UTF-8" in refusal(arguments(tmp_path / "lines", tmp_path / "out", *SHORT))


@pytest.mark.parametrize("validation", [True, False], ids=["--validation", "a split"])
def test_of_many_lines_to_validate_on_those_are_read_that_are_spread_over_them(
    corpus: Path, tmp_path: Path, watched: dict[str, set[str]], validation: bool
) -> None:
    more = ["--eval_samples", "4", "--max_steps", "1"]
    if validation:
        main(arguments(corpus, tmp_path / "out", *more, "--validation", str(write_lines(tmp_path / "lines", MANY))))
    else:
        for split, texts in (("train", TEXTS), ("validation", MANY)):
            write_lines(tmp_path / "lines" / split, texts)
        main(arguments(tmp_path / "lines", tmp_path / "out", *more))
    assert watched["validated"] == set(MANY[::10])


def test_a_stream_without_a_validation_split_asks_for_one(corpus: Path, tmp_path: Path) -> None:
    message = refusal(arguments(corpus, tmp_path / "out", "--streaming", *SHORT))
    assert "has no validation split" in message
    assert "--validation" in message


def test_a_broken_line_that_is_held_out_is_counted(
    tmp_path: Path, watched: dict[str, set[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [png(draw(text)) for text in MANY]
    pictures[10] = b"nonsense"
    path = write_parquet(tmp_path / "lines.parquet", MANY, pictures, [draw(text).size for text in MANY])
    main(arguments(path, tmp_path / "out", "--epochs", "1", "--max_bad", "0.1"))
    assert watched["validated"] == {MANY[0], MANY[20], MANY[30]}
    assert watched["trained"] == set(MANY) - set(MANY[::10])
    printed = capsys.readouterr().out
    assert "40 rows, 39 used" in printed
    assert "no readable picture: corpus 0 row 10 '1010': " in printed
    assert "no line that can be read to validate on" in refusal(
        arguments(tmp_path / "lines.parquet", tmp_path / "b", *SHORT, "--validation", str(nothing_readable(tmp_path)))
    )


def nothing_readable(folder: Path) -> Path:
    return write_parquet(folder / "nothing.parquet", ["1"], [b"nonsense"])


class Alone:
    """In place of an Accelerator: one process."""

    is_main_process = True

    def wait_for_everyone(self) -> None:
        pass


def test_a_corpus_whose_rendering_was_cut_off_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered: list[list[str]] = []
    monkeypatch.setattr(train, "DEFAULT_CORPUS", tmp_path)
    monkeypatch.setattr(synth, "main", rendered.append)

    def ensured() -> int:
        args = parse([])
        train.ensure_corpus(args, cast(Accelerator, Alone()))
        assert args.dataset == [str(tmp_path)]
        return len(rendered)

    assert ensured() == 1, "nothing is there"
    counts = {"train": synth.SHARD + 1, "validation": 2}
    claim(tmp_path, {"counts": counts})
    (tmp_path / "data").mkdir()
    files = [path for *_, path in synth.shards(tmp_path, counts)]
    assert [path.name[:-8] for path in files] == [
        "train-00000-of-00002",
        "train-00001-of-00002",
        "validation-00000-of-00001",
    ]
    for number, path in enumerate(files):
        assert ensured() == 2 + number, "not all is there"
        path.touch()
    capsys.readouterr()
    assert ensured() == 4
    assert "rendered before" in capsys.readouterr().out
    (tmp_path / ".corpus.json").write_text("{")
    with pytest.raises(SettingError, match="cannot be read"):
        ensured()


# going on with what a run began with --------------------------------------------------------------------------------


def test_a_run_goes_on_with_the_settings_of_its_checkpoint(
    corpus: Path, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a corpus is rendered")

    monkeypatch.setattr(synth, "main", refuse)
    run_to(10, arguments(corpus, tmp_path / "out", *SHORT))
    main(["--resume", "--out", str(tmp_path / "out")])
    assert_same_run(tmp_path / "out", unbroken)


def test_what_contradicts_a_run_is_named_before_anything_else(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a run began")

    monkeypatch.setattr(train, "run", refuse)
    message = refusal(["--resume", "--out", str(unbroken), "--dataset", "a", "b", "--lr", "0.5"])
    assert "is of another run: dataset: [" in message
    assert "then, ['a', 'b'] now; lr: 0.001 then, 0.5 now" in message
    assert "strength: 1.0 then, 0.5 now" in refusal(["--resume", "--out", str(unbroken), "--strength", "0.5"])


def test_what_may_change_may_change_and_another_end_takes_the_place_of_the_old(unbroken: Path) -> None:
    def now(*more: str) -> Any:
        return parse(["--resume", "--out", str(unbroken), *more])

    kept = now()
    assert (kept.max_steps, kept.eval_every, kept.threads, kept.fonts) == (12, 4, 1, [])
    changed = now("--save_every", "2", "--threads", "2", "--max_bad", "0.5")
    assert (changed.save_every, changed.threads, changed.max_bad, changed.max_steps) == (2, 2, 0.5, 12)
    longer = now("--epochs", "5")
    assert (longer.epochs, longer.max_steps, longer.minutes) == (5, None, None)
    assert (now("--minutes", "5").max_steps, now("--minutes", "5").minutes) == (None, 5.0)


def test_paths_come_back_as_paths(tmp_path: Path) -> None:
    args = parse(["--render", "1", "--max_steps", "1", "--fonts", "a", "b", "--out", str(tmp_path)])
    module, optimizer = trained()
    state = {"settings": settings(args, 1)}
    save_checkpoint(tmp_path / "last.safetensors", {"net": module}, optimizer, state)
    again = parse(["--resume", "--out", str(tmp_path)])
    assert again.fonts == [Path("a"), Path("b")]
    assert {**vars(again), "resume": False} == vars(args)


def test_other_lines_held_out_are_another_run(corpus: Path, parquet: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines", MANY)
    main(arguments(lines, tmp_path / "out", "--max_steps", "2", "--save_every", "1"))
    for more in (["--validation", str(corpus)], ["--eval_samples", "2"]):
        message = refusal(["--resume", "--out", str(tmp_path / "out"), *more])
        assert "4 lines of --dataset were held out then" in message
        assert more[0] in message


@pytest.mark.slow
def test_two_processes_train_one_model(corpus: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
        "training.train",
    ]
    more = [
        "--max_steps",
        "120",
        "--eval_every",
        "40",
        "--save_every",
        "40",
        "--lr",
        "0.01",
        "--ema",
        "0.9",
        "--seed",
        __import__("os").environ.get("SEED", "0"),
    ]
    argv = arguments(corpus, tmp_path / "out", *more)
    done = subprocess.run([*command, *argv], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    rows = log_of(tmp_path / "out")
    assert [row["step"] for row in rows] == ["40", "80", "120"]
    assert float(rows[2]["loss"]) < float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert done.stdout.count("14 rows, 14 used") == 1, "one of them speaks"
    assert read_state(tmp_path / "out" / "last.safetensors")["settings"]["processes"] == 2
    assert "processes: 2 then, 1 now" in refusal([*argv, "--resume"])


@pytest.mark.slow
def test_two_processes_stay_in_step_where_one_has_only_a_broken_picture(
    broken: Path, corpus: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    more = ["--batch_size", "1", "--epochs", "2", "--validation", str(corpus), "--max_bad", "0.2"]
    argv = [*command, "-m", "training.train", *arguments(broken, tmp_path / "out", *more)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("14 rows, 12 used") == 1, "one of them speaks for both"
    assert "2 dropped: no readable picture" in done.stdout
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 14


@pytest.mark.slow
def test_two_processes_killed_go_on_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    more = ["--max_steps", "12", "--eval_every", "4", "--save_every", "4"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}

    def launched(what: list[str], out: Path, *flags: str) -> int:
        argv = [*command, *what, *arguments(corpus, out, *more, *flags)]
        return subprocess.run(argv, capture_output=True, timeout=400, check=False, env=environment).returncode

    assert launched(["-m", "training.train"], tmp_path / "whole") == 0
    assert launched([str(script)], tmp_path / "out") != 0
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 8
    assert launched(["-m", "training.train"], tmp_path / "out", "--resume") == 0
    assert_same_run(tmp_path / "out", tmp_path / "whole")


@pytest.mark.slow
def test_a_kill_while_saving_leaves_the_last_checkpoint(corpus: Path, tmp_path: Path, unbroken: Path) -> None:
    killed = """
import os, signal, sys
from training import train
calls = 0
sync = os.fsync
def kill(descriptor):
    global calls
    calls += 1
    if calls == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    sync(descriptor)
os.fsync = kill
train.main(sys.argv[2:])
"""
    for number in (9, 12, 15):  # while a model, its configuration or a checkpoint is written
        out = tmp_path / str(number)
        argv = arguments(corpus, out, *SHORT)
        done = subprocess.run(
            [sys.executable, "-c", killed, str(number), *argv], capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        main([*argv, *(["--resume"] if (out / "last.safetensors").exists() else [])])
        assert_same_run(out, unbroken)

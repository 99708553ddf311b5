"""training.train_detector: it learns, is resumed, and says what is wrong in one sentence."""

import csv
from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import cv2
import datasets
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from simpleocr.linenet import LineNet
from tests.test_pages import made_page
from training import checkpoint, train_detector, trainee
from training.page_crops import PageCrop, crop_page
from training.train_detector import PageCrops, join_pages, map_loss


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    page, lines = made_page()
    data = bytes(cv2.imencode(".png", page)[1])
    columns = {"image": [{"bytes": data, "path": None}] * 2, "lines": [lines, []]}
    (tmp_path / "pages" / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        table = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
        table.to_parquet(tmp_path / "pages" / "data" / f"{split}-00000-of-00001.parquet")
    return str(tmp_path / "pages")


def arguments(corpus: str, out: Path, *more: str) -> list[str]:
    fixed = ["--size", "tiny", "--crop", "64", "--batch_size", "2", "--eval_samples", "2", "--eval_every", "4"]
    return ["--dataset", corpus, "--out", str(out), *fixed, *more]


def interrupted_at(step: int) -> Callable[..., None]:
    """update_average() that fails once, at this step."""
    steps = count(1)

    def update(average: nn.Module, network: nn.Module, decay: float) -> None:
        if next(steps) == step:
            raise OSError("a disk is full")
        trainee.update_average(average, network, decay)

    return update


@pytest.mark.slow
def test_a_run_gives_a_model_and_goes_on(corpus: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_detector.main(arguments(corpus, out, "--max_steps", "4"))
    network = LineNet.from_pretrained(out / "final")
    assert network.training_summary["samples"] == 8
    with pytest.raises(SystemExit, match="--resume goes on from it"):
        train_detector.main(arguments(corpus, out, "--max_steps", "8"))
    train_detector.main(arguments(corpus, out, "--max_steps", "8", "--resume"))
    assert LineNet.from_pretrained(out / "final").training_summary["samples"] == 16
    with (out / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["samples"]) for row in rows] == [("4", "8"), ("8", "16")]
    assert float(rows[1]["seconds"]) >= float(rows[0]["seconds"])
    assert all(0 <= float(row["overlap"]) <= 1 and float(row["held_out"]) > 0 for row in rows)
    assert (out / "curves.png").exists()
    # a checkpoint is of the run that made it
    with pytest.raises(SystemExit, match=r"of another run: lr: 0\.002 then, 0\.1 now; seed: 0 then, 3 now"):
        train_detector.main(arguments(corpus, out, "--max_steps", "12", "--resume", "--lr", "0.1", "--seed", "3"))
    network = LineNet.from_pretrained("lines")  # of a checkpoint as they were before they said so
    checkpoint.save_checkpoint(
        out / "last.safetensors", {"network": network}, torch.optim.AdamW(network.parameters()), {"step": 8}
    )
    with pytest.raises(SystemExit, match="does not say of which run"):
        train_detector.main(arguments(corpus, out, "--max_steps", "12", "--resume"))


@pytest.mark.slow
def test_a_final_model_is_there_only_at_the_end(corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    monkeypatch.setattr(train_detector, "update_average", interrupted_at(6))
    with pytest.raises(SystemExit, match="a disk is full"):
        train_detector.main(arguments(corpus, out, "--max_steps", "8"))
    assert (out / "last.safetensors").exists(), "of step 4"
    assert not (out / "final").exists()
    train_detector.main(arguments(corpus, out, "--max_steps", "8", "--resume"))
    assert LineNet.from_pretrained(out / "final").training_summary["samples"] == 16


def test_pages_of_several_corpora_are_drawn(corpus: str, tmp_path: Path) -> None:
    page, lines = made_page()
    data = bytes(cv2.imencode(".png", page)[1])
    columns = {"image": [{"bytes": data, "path": None}], "width": [500], "height": [600], "lines": [lines[:3]]}
    (tmp_path / "other" / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        table = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
        table.to_parquet(tmp_path / "other" / "data" / f"{split}-00000-of-00001.parquet")
    both = join_pages([corpus, str(tmp_path / "other")], "train")
    assert [len(row["lines"]) for row in both] == [len(lines), 0, 3]
    assert set(both.column_names) == {"image", "lines"}, "what only one of them has is of no use"
    out = tmp_path / "run"
    train_detector.main(["--dataset", str(tmp_path / "other"), *arguments(corpus, out, "--max_steps", "1")[1:]])
    assert (out / "final").is_dir()
    with pytest.raises(SystemExit, match="no such corpus"):
        train_detector.main(["--dataset", corpus, "nowhere/", *arguments(corpus, tmp_path / "x")[2:]])


def test_the_size_is_that_of_the_model_that_is_started_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init = ["--dataset", "a", "--init", "lines"]
    own = LineNet.from_pretrained("lines").config.size
    assert own != "tiny"
    train_detector.parse(init)
    assert train_detector.parse([*init, "--size", own]).size == own
    with pytest.raises(SystemExit):
        train_detector.main([*init, "--size", "tiny"])
    assert f"--size tiny contradicts --init lines, which brings its own: {own}" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"training\.train_detector: .*none"):
        train_detector.main(["--dataset", "a", "--init", str(tmp_path / "none"), "--size", "tiny"])


def test_each_worker_makes_crops_of_its_own(corpus: str) -> None:
    stream = PageCrops(join_pages([corpus], "train"), [], 64, "0/0/0")
    pairs = zip(DataLoader(stream, 4, num_workers=2), range(2), strict=False)  # the first batch of either
    first, second = (images for (images, _, _), _ in pairs)
    assert not torch.equal(first, second)


def test_photographs_without_text_are_among_the_crops(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.tile(np.arange(300, dtype=np.uint8) // 20 % 2 * 255, (200, 1))
    shown: list[bool] = []

    def crop(page: npt.NDArray[np.uint8], lines: list[dict[str, Any]], *given: Any) -> PageCrop:
        shown.append(page is photo)
        assert not (page is photo and lines)
        return crop_page(page, lines, *given)

    monkeypatch.setattr(train_detector, "crop_page", crop)
    stream = PageCrops(join_pages([corpus], "train"), [], 64, "0", [photo])
    for _, maps, _ in islice(stream, 200):
        assert not (shown[-1] and maps.any())
    assert 0.08 < sum(shown) / len(shown) < 0.25


@pytest.mark.slow
def test_the_average_lies_where_the_network_does(corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one device, that is; a machine without a GPU shows it by the order in memory, which is moved to as well."""
    strides: list[list[tuple[int, ...]]] = []

    def update(average: nn.Module, network: nn.Module, decay: float) -> None:
        strides.extend([value.stride() for value in of.state_dict().values()] for of in (average, network))
        trainee.update_average(average, network, decay)

    monkeypatch.setattr(train_detector, "update_average", update)
    train_detector.main(arguments(corpus, tmp_path / "run", "--max_steps", "1", "--size", "small"))
    average, network = strides
    assert average == network


@pytest.mark.parametrize("halves", [False, True])
def test_the_precision_is_the_devices(
    halves: bool, corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accelerator(**given: Any) -> Any:
        raise OSError(f"asked for {given}")

    monkeypatch.setattr(train_detector, "Accelerator", accelerator)
    monkeypatch.setattr(trainee, "has_bf16", lambda: not halves)  # of the CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: halves)
    wanted = "'bf16'" if halves else "'no'"
    with pytest.raises(SystemExit, match=f"'cpu': False, 'mixed_precision': {wanted}"):
        train_detector.main(arguments(corpus, tmp_path / "run"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_it_learns_on_a_gpu(corpus: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_detector.main(arguments(corpus, out, "--max_steps", "2"))
    train_detector.main(arguments(corpus, out, "--max_steps", "3", "--resume"))
    assert LineNet.from_pretrained(out / "final").training_summary["samples"] == 6


@pytest.mark.slow
def test_a_run_starts_from_a_model(corpus: str, tmp_path: Path) -> None:
    """With a rate of next to nothing, what comes out is what was given, to the precision of the file."""
    for name, more in (("lines", ()), ("given", ("--seed", "5", "--max_steps", "1"))):
        start = name
        if more:
            start = str(tmp_path / name / "final")
            train_detector.main(arguments(corpus, tmp_path / name, *more))
        out = tmp_path / f"from_{name}"
        same = ("--size", LineNet.from_pretrained(start).config.size, "--lr", "1e-9", "--max_steps", "1")
        train_detector.main(arguments(corpus, out, "--init", start, *same))
        old, new = LineNet.from_pretrained(start), LineNet.from_pretrained(out / "final")
        assert new.config == replace(old.config, ranges=())
        assert new.training_summary["samples"] == old.training_summary["samples"] + 2, "views of before count"
        for (key, a), b in zip(old.named_parameters(), new.parameters(), strict=True):
            assert torch.allclose(a.float(), b.float(), atol=1e-3), key


@pytest.mark.parametrize(
    "given",
    [
        *(f"--crop={number}" for number in (0, -32, 48)),
        *(f"--lr={number}" for number in (0, -1, "nan", "inf")),
        *(
            f"--{name}={number}"
            for name in ("batch_size", "eval_every", "eval_samples", "max_steps")
            for number in (0, -1)
        ),
        *("--ema=1.1", "--workers=-1", "--seed=-1"),
    ],
)
def test_a_number_that_means_nothing_is_one_sentence(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train_detector.parse(["--dataset", "a", given])
    assert caught.value.code == 2
    assert f"error: {given.partition('=')[0]} must be" in capsys.readouterr().err.splitlines()[-1]


def test_every_number_has_its_range() -> None:
    args = vars(train_detector.parse(["--dataset", "a"]))
    numbers = {name for name, value in args.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    assert numbers == set(train_detector.RANGES)


def test_other_corpora_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training\.train_detector: no such corpus"):
        train_detector.main(arguments(str(tmp_path / "none"), tmp_path / "run"))


def test_the_loss_is_least_where_the_maps_are_right() -> None:
    maps = torch.zeros(1, 2, 8, 8)
    maps[:, :, 3:5] = 1
    weights = torch.ones(1, 1, 8, 8)
    right, wrong = 20 * maps - 10, 10 - 20 * maps
    assert float(map_loss(right, maps, weights)) < 0.01
    assert float(map_loss(wrong, maps, weights)) > 5
    weights[..., :4] = 0  # what is not asked for costs nothing
    half = right.clone()
    half[..., :4] = -half[..., :4]
    assert float(map_loss(half, maps, weights)) < 0.01

"""training.distillation: what a teacher reads rightly is kept; train --teacher and --fixed_norms."""

import csv
import math
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from simpleocr import CRNN
from simpleocr.config import CRNNConfig
from simpleocr.extension import extended
from simpleocr.vocabulary import VOCABULARIES, Vocabulary
from training import train
from training.batches import Batch
from training.distillation import taught_loss
from training.train import SettingError, ctc_loss


def batch(*targets: list[int]) -> Batch:
    flat = torch.tensor([c for target in targets for c in target], dtype=torch.int64)
    return Batch(
        torch.zeros(len(targets), 1, 48, 32), flat, torch.tensor([len(t) for t in targets]), ["?"] * len(targets)
    )


def probs(*rows: tuple[float, ...]) -> Tensor:
    """One line's logits whose softmax these rows are."""
    return torch.tensor([rows]).log()


def test_the_loss_is_that_by_hand() -> None:
    taught = probs((0.25, 0.75))
    logits = probs((0.25, 0.25, 0.5))  # among the teacher's classes: 0.5, 0.5
    divergence = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    # the teacher finds the target 0.75 likely, the network 0.25; it is a character long
    by_hand = 0.25 * -math.log(0.25) + 0.75 * divergence
    assert taught_loss(logits, taught, batch([1])).item() == pytest.approx(by_hand)
    # two timesteps: the target is written by all alignments but blank, blank
    twice = logits.repeat(1, 2, 1), taught.repeat(1, 2, 1)
    likely, said = 1 - 0.25**2, 0.25**2 + 2 * 0.25**2
    by_hand = (1 - likely) * -math.log(said) + likely * 2 * divergence
    assert taught_loss(*twice, batch([1])).item() == pytest.approx(by_hand)
    # no character counts as one
    by_hand = 0.75 * -math.log(0.25) + 0.25 * divergence
    assert taught_loss(logits, taught, batch([])).item() == pytest.approx(by_hand)


def test_where_all_is_read_and_nothing_changed_there_is_no_loss() -> None:
    sure = torch.full((2, 6, 4), -40.0)
    for line, path in enumerate(([1, 1, 0, 2, 0, 0], [0, 0, 3, 0, 0, 0])):
        sure[line, range(6), path] = 40.0
    targets = batch([1, 2], [3])
    logits = sure.clone().requires_grad_()
    loss = taught_loss(logits, sure, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6
    # whatever is said of classes that the teacher lacks is no divergence
    torch.manual_seed(0)
    noise = torch.randn(2, 6, 4)
    assert taught_loss(noise, sure, targets).item() > 1
    assert taught_loss(torch.cat([sure, torch.full((2, 6, 2), 60.0)], dim=-1), sure, targets).item() == pytest.approx(
        0, abs=1e-4
    )


def test_lines_that_the_teacher_cannot_write_or_misreads_are_learned_by_ctc() -> None:
    torch.manual_seed(0)
    taught, logits = torch.randn(1, 8, 4), torch.randn(1, 8, 6)
    new = batch([5, 1, 4])
    assert taught_loss(logits, taught, new).item() == pytest.approx(ctc_loss(logits, new).item())
    taught[..., 2] = 30.0  # reads class 2 and nothing else
    misread = batch([1, 3])
    assert taught_loss(logits, taught, misread).item() == pytest.approx(ctc_loss(logits, misread).item())


def corpus(folder: Path) -> Path:
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file_name", "text"))
        for i, text in enumerate(["abc", "cab", "b c", "no"] * 2):
            image = Image.new("RGB", (90, 40), "white")
            ImageDraw.Draw(image).text((8, 2), text, "black", font=ImageFont.load_default(28))
            image.save(folder / f"{i}.png")
            table.writerow((f"{i}.png", text))
    return folder


def test_statistics_that_are_fixed_stay_bit_for_bit(tmp_path: Path) -> None:
    torch.manual_seed(3)
    old = CRNN(CRNNConfig(VOCABULARIES["ascii"], "tiny"))
    old.save_pretrained(tmp_path / "old", dtype=torch.float32)
    extended(old, "é").save_pretrained(tmp_path / "start", dtype=torch.float32)
    args = train.parse(
        [
            *(
                "--dataset",
                str(corpus(tmp_path / "own")),
                "--init",
                str(tmp_path / "start"),
                "--out",
                str(tmp_path / "run"),
            ),
            *("--teacher", str(tmp_path / "old"), "--fixed_norms", "--auxiliary", "0", "--max_steps", "2"),
            *("--batch_size", "4", "--lr", "1e-2", "--threads", "1"),
        ]
    )
    threads = torch.get_num_threads()
    try:
        after = train.run(args).state_dict()
    finally:
        torch.set_num_threads(threads)
    before = CRNN.from_pretrained(tmp_path / "start").state_dict()
    still = [name for name in before if "running" in name or "num_batches" in name]
    assert len(still) > 10
    for name in still:
        assert torch.equal(after[name], before[name]), name
    for name in ("stem_norm.weight", "classifier.weight"):  # what is learned is learned
        assert not torch.equal(after[name], before[name]), name


def test_a_teacher_of_other_characters_is_refused(tmp_path: Path) -> None:
    CRNN(CRNNConfig(Vocabulary("xyz"), "tiny")).save_pretrained(tmp_path / "other")
    args = train.parse(
        [
            *("--dataset", str(corpus(tmp_path / "own")), "--backbone", "tiny", "--out", str(tmp_path / "run")),
            *("--teacher", str(tmp_path / "other"), "--max_steps", "1", "--threads", "1"),
        ]
    )
    with pytest.raises(SettingError, match="cannot teach"):
        train.run(args)

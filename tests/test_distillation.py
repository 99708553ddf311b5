"""training.distillation: what a teacher says is kept; train --teacher and --fixed_norms."""

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
from training.settings import SettingError, parse
from training.trainee import ctc_loss


def batch(*targets: list[int], origins: tuple[int, ...]) -> Batch:
    flat = torch.tensor([c for target in targets for c in target], dtype=torch.int64)
    lengths = torch.tensor([len(target) for target in targets])
    return Batch(torch.zeros(len(targets), 1, 48, 32), flat, lengths, ["?"] * len(targets), origins)


def probs(*rows: tuple[float, ...]) -> Tensor:
    """One line's logits whose softmax these rows are."""
    return torch.tensor([rows]).log()


def test_the_loss_is_that_by_hand() -> None:
    taught = probs((0.25, 0.75), (0.5, 0.5))
    logits = probs((0.2, 0.3, 0.5), (0.5, 0.25, 0.25))
    by_hand = 0.25 * math.log(0.25 / 0.2) + 0.75 * math.log(0.75 / 0.3) + 0.5 * math.log(0.5 / 0.25)
    assert taught_loss(logits, taught, batch([1], origins=(1,))).item() == pytest.approx(by_hand)
    # per character, of a label that is not looked at; none counts as one
    assert taught_loss(logits, taught, batch([2, 1], origins=(3,))).item() == pytest.approx(by_hand / 2)
    assert taught_loss(logits, taught, batch([], origins=(1,))).item() == pytest.approx(by_hand)
    # one's own line: CTC, whatever the teacher says; "1" is written by three alignments
    said = 0.2 * 0.25 + 0.3 * 0.5 + 0.3 * 0.25
    own = batch([1], origins=(0,))
    assert taught_loss(logits, taught, own).item() == pytest.approx(-math.log(said))
    assert taught_loss(logits, taught, own).item() == pytest.approx(ctc_loss(logits, own).item())
    both = taught_loss(logits.repeat(2, 1, 1), taught.repeat(2, 1, 1), batch([1], [1], origins=(0, 1))).item()
    assert both == pytest.approx((by_hand - math.log(said)) / 2)


def test_a_network_that_has_not_changed_is_not_pulled_at() -> None:
    torch.manual_seed(0)
    taught = torch.randn(3, 8, 5)
    logits = taught.clone().requires_grad_()
    loss = taught_loss(logits, taught, batch([1, 2], [4], [], origins=(1, 2, 1)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_new_characters_do_not_come_where_the_teacher_sees_others() -> None:
    taught = torch.zeros(1, 4, 3)
    more = torch.cat([taught, torch.zeros(1, 4, 1)], dim=-1)  # a fourth class, as likely as the others
    assert taught_loss(more, taught, batch([1], origins=(1,))).item() == pytest.approx(4 * math.log(4 / 3))


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
    args = parse(
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
    args = parse(
        [
            *("--dataset", str(corpus(tmp_path / "own")), "--backbone", "tiny", "--out", str(tmp_path / "run")),
            *("--teacher", str(tmp_path / "other"), "--max_steps", "1", "--threads", "1"),
        ]
    )
    with pytest.raises(SettingError, match="cannot teach"):
        train.run(args)

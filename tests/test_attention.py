"""training.attention: what is before and after each character, no look ahead, and a loss that learns."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F  # noqa: N812

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.vocabulary import VOCABULARIES
from tests.runs import EIGHT, arguments, write_lines
from training import train
from training.attention import FORGOTTEN, NOTHING, AttentionDecoder, attention_loss, forced, forgetful, places
from training.batches import Batch
from training.checkpoint import save_checkpoint
from training.train import main
from training.trainee import Trainee


def batch_of(texts: list[list[int]]) -> Batch:
    flat = torch.tensor([i for text in texts for i in text], dtype=torch.int64)
    return Batch(torch.zeros(len(texts), 1, 32, 8), flat, torch.tensor([len(text) for text in texts]), [])


def test_before_and_after_by_hand() -> None:
    before, after = forced(batch_of([[5, 7, 5], [], [9]]))
    assert before.tolist() == [[0, 5, 7, 5], [0, 0, 0, 0], [0, 9, 0, 0]]
    assert after.tolist() == [[5, 7, 5, 0], [0, *[NOTHING] * 3], [9, 0, *[NOTHING] * 2]]


def test_lines_without_text_have_an_end() -> None:
    before, after = forced(batch_of([[], []]))
    assert before.tolist() == after.tolist() == [[0], [0]]


def test_nothing_is_told_of_what_comes_later() -> None:
    torch.manual_seed(0)
    decoder = AttentionDecoder(12, 9, size=16, heads=2).eval()
    sequence, before = torch.randn(3, 7, 12), torch.randint(0, 9, (3, 5))
    logits = decoder(sequence, before)
    assert logits.shape == (3, 5, 9)
    changed = before.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 9
    other = decoder(sequence, changed)
    assert torch.allclose(logits[:, :3], other[:, :3], atol=1e-6)
    assert not torch.allclose(logits[:, 3:], other[:, 3:], atol=1e-3)
    assert not torch.allclose(logits, decoder(sequence.flip(1), before), atol=1e-3), (
        "the picture matters, and its order"
    )


def test_places_are_sines_and_cosines() -> None:
    found = places(4, 6, torch.zeros(1))
    for place in range(4):
        for pair in range(3):
            angle = torch.tensor(place / 10_000 ** (2 * pair / 6))
            assert found[place, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(
                [math.sin(angle), math.cos(angle)], abs=1e-6
            )


def test_a_part_is_forgotten() -> None:
    before = torch.full((100, 100), 3)
    kept = forgetful(before, 7)
    assert torch.equal(kept, forgetful(before, 7))
    assert not torch.equal(kept, forgetful(before, 8))
    assert set(kept.flatten().tolist()) == {0, 3}
    assert (kept == 0).float().mean().item() == pytest.approx(FORGOTTEN, abs=0.02)
    assert before.eq(3).all()


def test_the_loss_is_that_of_characters_and_ends_alone() -> None:
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    after = torch.tensor([[2, 0, NOTHING], [1, 3, 0]])
    log_probs = F.log_softmax(logits, dim=-1)
    expected = (
        -(log_probs[0, 0, 2] + log_probs[0, 1, 0] + log_probs[1, 0, 1] + log_probs[1, 1, 3] + log_probs[1, 2, 0]) / 5
    )
    assert attention_loss(logits, after).item() == pytest.approx(expected.item(), rel=1e-5)


def test_its_loss_reaches_the_network_and_not_the_other_heads() -> None:
    torch.manual_seed(0)
    trainee = Trainee(CRNN(CRNNConfig(VOCABULARIES["digits"], "tiny")), attends=True)
    before, after = forced(batch_of([[3, 4], [5]]))
    written = trainee(torch.randn(2, 1, 32, 48), before)[2]
    attention_loss(written, after).backward()  # type: ignore[no-untyped-call]
    stem = trainee.network.stem.weight.grad
    assert stem is not None
    assert bool(stem.abs().sum() > 0)
    assert trainee.network.classifier.weight.grad is None
    assert trainee.auxiliary.weight.grad is None


@pytest.mark.slow
def test_a_run_with_it_goes_on_bit_for_bit_and_leaves_no_trace_in_the_model(tmp_path: Path) -> None:
    corpus = write_lines(tmp_path / "corpus", EIGHT)
    more = ("--attention", "0.5", "--eval_every", "2", "--save_every", "2")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    main(arguments(corpus, whole, "--max_steps", "4", *more))

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        steps = iter((save_checkpoint, killed))
        patch.setattr(train, "save_checkpoint", lambda *given, **named: next(steps)(*given, **named))
        with pytest.raises(KeyboardInterrupt):
            main(arguments(corpus, cut, "--max_steps", "4", *more))
    main([*arguments(corpus, cut, "--max_steps", "4", *more), "--resume"])
    network, again = CRNN.from_pretrained(whole / "final"), CRNN.from_pretrained(cut / "final")
    assert not [name for name in network.state_dict() if "decoder" in name]
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    kept, went_on = (load_file(out / "last.safetensors") for out in (whole, cut))
    assert kept.keys() == went_on.keys()
    assert all(torch.equal(kept[name], went_on[name]) for name in kept)

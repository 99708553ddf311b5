"""hypotheses: every variant learns two words, alignments are as described, and the curves are written and drawn."""

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from simpleocr.preprocessing import to_grey
from simpleocr.vocabulary import VOCABULARIES
from training import hypotheses
from training.batches import collate
from training.hypotheses import VARIANTS, even_shares, measure, split

VOCABULARY = VOCABULARIES["english"]


def word(text: str) -> Image.Image:
    image = Image.new("L", (64, 32), 255)
    ImageDraw.Draw(image).text((4, 2), text, 0, font=ImageFont.load_default(22))
    return image


def test_even_shares_by_hand() -> None:
    assert even_shares(torch.tensor([5, 7]), 8).tolist() == [5, 5, 0, 0, 7, 7, 0, 0]
    assert even_shares(torch.tensor([3, 3, 3]), 6).tolist() == [3, 0, 3, 0, 3, 0]
    assert even_shares(torch.tensor([], dtype=torch.int64), 3).tolist() == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns_two_words(name: str) -> None:
    torch.manual_seed(0)
    variant = VARIANTS[name]("tiny").train()
    preprocessing = variant.network.config.preprocessing
    texts = ["ab", "c12"]
    greys = [to_grey(word(text), preprocessing.width((64, 32)), preprocessing.height) for text in texts]
    batch = collate(greys, texts, texts, VOCABULARY, preprocessing)
    assert [VOCABULARY.decode(ids.tolist()) for ids in split(batch)] == texts
    optimizer = torch.optim.Adam(variant.parameters(), lr=2e-3)
    samples = [(word(text), text) for text in texts]
    for step in range(1, 1501):  # how many it takes depends on how a processor rounds
        loss = variant.loss(batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 100 == 0:
            with torch.no_grad():
                for _ in range(30):  # BatchNorm's running statistics come to where the weights are
                    variant.loss(batch)
            if measure(variant, samples) == {"cer": 0.0, "exact": 1.0}:
                break
    else:
        pytest.fail(f"not read after {step} steps: {measure(variant, samples)}, loss {loss.item():.3f}")
    assert variant.training


def test_curves_are_written_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str], apart: None) -> None:
    for split_name in ("train", "validation"):
        folder = tmp_path / "set" / split_name
        folder.mkdir(parents=True)
        rows = ["file_name,text"]
        for i in range(12):
            word("ab").save(folder / f"{i}.png")
            rows.append(f"{i}.png,ab")
        (folder / "metadata.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    for name in ("cnn", "attention", "joint"):
        hypotheses.main(
            [
                *("--variant", name, "--backbone", "tiny", "--dataset", str(tmp_path / "set"), "--steps", "8"),
                *("--batch_size", "4", "--eval_samples", "3", "--out", str(out)),
            ]
        )
        with (out / f"{name}.csv").open() as file:
            curve = list(csv.DictReader(file))
        assert len(curve) == hypotheses.EVALUATIONS
        assert int(curve[-1]["samples"]) == 32
    hypotheses.main(["--plot", "--out", str(out)])
    assert (out / "hypotheses.png").stat().st_size > 5000
    assert "| attention | 32 |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no such"):
        hypotheses.main(["--variant", "cnn", "--dataset", str(tmp_path / "none"), "--out", str(out)])
    with pytest.raises(SystemExit):
        hypotheses.main(["--variant", "cnn"])

"""The hypotheses that the project began with, tested: what the BiLSTM and CTC are worth.

    python -m training.hypotheses --variant crnn --dataset corpora/easy --steps 1500 --out runs/hypotheses
    python -m training.hypotheses --plot --out runs/hypotheses

Every variant has the same CNN, data in the same order, number of steps and schedule, and is measured on the same lines in
fonts that training never saw. Beside the CRNN with CTC there are

    cnn        the same without the BiLSTM: each timestep is classified by what the CNN sees around it
    fixed      no CTC: the characters share the timesteps out evenly, the first half of a share is the character and the
               second blank, and each timestep is trained on its own class by cross-entropy
    attention  no CTC: a GRU writes character after character and looks where it wants (Bahdanau et al. 2014)
    joint      CTC, and that GRU beside it while it trains; it is dropped for reading
"""

import argparse
import csv
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from tqdm import tqdm

from simpleocr import metrics
from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.decoding import greedy
from simpleocr.inference import has_bf16
from simpleocr.options import Parser
from simpleocr.preprocessing import line_to_tensor
from simpleocr.vocabulary import BLANK, VOCABULARIES, normalize
from training.attention import attention_loss, forced
from training.batches import Batch, Lines
from training.checking import Checker
from training.data import DataError, open_corpus, picture
from training.trainee import ctc_loss, learning_rate, memory_format

EVALUATIONS = 8  # points of a curve
BESIDE = 0.5  # of the loss of the attention decoder that is trained beside CTC
LONGEST = 64  # characters that the attention decoder writes at most


class Variant(nn.Module):
    """The network of one hypothesis: a loss to train on, and a way to read.

    Args:
        backbone: of the CNN.
    """

    recurrent = True

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.network = CRNN(CRNNConfig(VOCABULARIES["english"], backbone))
        # as in training.train: brings the CNN past the plateau of blanks, and is dropped for reading
        self.auxiliary = nn.Linear(self.network.row_score.in_channels, self.network.vocabulary.num_classes)

    def sequence(self, features: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D'): the BiLSTM, where there is one."""
        return self.network.rnn(features)[0] if self.recurrent else features

    def loss(self, batch: Batch) -> Tensor:
        """Of a batch of lines of one width; a scalar."""
        features = self.network.encode(batch.images)
        return self.head_loss(self.sequence(features), batch) + 0.3 * ctc_loss(self.auxiliary(features), batch)

    def head_loss(self, sequence: Tensor, batch: Batch) -> Tensor:
        """(B, T, D') -> what the variant is trained on."""
        return ctc_loss(self.network.classifier(sequence), batch)

    def read(self, image: Tensor) -> str:
        """(1, 1, H, W) -> text."""
        logits = self.network.classifier(self.sequence(self.network.encode(image)))
        return greedy(logits[0].float().log_softmax(-1).numpy(), self.network.vocabulary).text


class WithoutRecurrence(Variant):
    """`cnn`."""

    recurrent = False

    def __init__(self, backbone: str) -> None:
        super().__init__(backbone)
        del self.network.rnn
        self.network.classifier = nn.Linear(self.network.row_score.in_channels, self.network.vocabulary.num_classes)


class FixedAlignment(Variant):
    """`fixed`."""

    def head_loss(self, sequence: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of every timestep with its even share of the text."""
        logits = self.network.classifier(sequence).float()
        targets = torch.stack([even_shares(text, logits.shape[1]) for text in split(batch)])
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Attention(Variant):
    """`attention`."""

    def __init__(self, backbone: str, size: int = 256) -> None:
        super().__init__(backbone)
        classes, width = self.network.vocabulary.num_classes, 2 * self.network.rnn.hidden_size
        self.size = size
        self.embedding = nn.Embedding(classes, size)
        self.key, self.query, self.energy = nn.Linear(width, size), nn.Linear(size, size), nn.Linear(size, 1)
        self.cell = nn.GRUCell(size + width, size)
        self.out = nn.Linear(size + width, classes)  # the class of the blank ends the text
        del self.network.classifier

    def step(self, previous: Tensor, state: Tensor, keys: Tensor, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) last characters, (B, S) state -> logits (B, C), state (B, S)."""
        weights = self.energy(torch.tanh(keys + self.query(state)[:, None])).softmax(dim=1)  # (B, T, 1)
        seen = (weights * sequence).sum(dim=1)
        state = self.cell(torch.cat([self.embedding(previous), seen], dim=-1), state)
        return self.out(torch.cat([state, seen], dim=-1)), state

    def head_loss(self, sequence: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of each character and the end, the right ones before it given."""
        sequence = sequence.float()
        inputs, targets = forced(batch)
        keys, state = self.key(sequence), sequence.new_zeros(len(inputs), self.size)
        logits = []
        for t in range(inputs.shape[1]):
            one, state = self.step(inputs[:, t], state, keys, sequence)
            logits.append(one)
        return attention_loss(torch.stack(logits, dim=1), targets)

    def read(self, image: Tensor) -> str:
        """The likeliest character after each."""
        sequence = self.sequence(self.network.encode(image)).float()
        keys, state = self.key(sequence), sequence.new_zeros(1, self.size)
        previous, ids = torch.zeros(1, dtype=torch.int64), []
        for _ in range(LONGEST):
            logits, state = self.step(previous, state, keys, sequence)
            previous = logits.argmax(dim=-1)
            if int(previous) == BLANK:
                break
            ids.append(int(previous))
        return normalize(self.network.vocabulary.decode(ids))


class Joint(Attention):
    """`joint`."""

    def __init__(self, backbone: str) -> None:
        super().__init__(backbone)
        self.network.classifier = nn.Linear(2 * self.network.rnn.hidden_size, self.network.vocabulary.num_classes)

    def head_loss(self, sequence: Tensor, batch: Batch) -> Tensor:
        """Of both heads."""
        return ctc_loss(self.network.classifier(sequence), batch) + BESIDE * super().head_loss(sequence, batch)

    def read(self, image: Tensor) -> str:
        """As with CTC alone."""
        return Variant.read(self, image)


VARIANTS: dict[str, type[Variant]] = {
    "crnn": Variant,
    "cnn": WithoutRecurrence,
    "fixed": FixedAlignment,
    "attention": Attention,
    "joint": Joint,
}
"""The hypotheses' networks by name."""


def split(batch: Batch) -> list[Tensor]:
    """Class ids of each line of a batch."""
    return list(torch.split(batch.targets, batch.target_lengths.tolist()))


def even_shares(text: Tensor, timesteps: int) -> Tensor:
    """(N,) class ids -> (T,) the class of each timestep: of each character's even share the first half, then the blank."""
    if not len(text):
        return torch.zeros(timesteps, dtype=torch.int64)
    at = torch.arange(timesteps) * len(text) / timesteps
    return torch.where(at % 1 < 0.5, text[at.long()], torch.full((timesteps,), BLANK))


@torch.inference_mode()
def measure(variant: Variant, samples: Sequence[tuple[Image.Image, str]]) -> dict[str, float]:
    """CER and exact match on lines."""
    variant.eval()
    preprocessing = variant.network.config.preprocessing
    predictions = [variant.read(torch.from_numpy(line_to_tensor(image, preprocessing))[None]) for image, _ in samples]
    targets = [target for _, target in samples]
    variant.train()
    return {
        "cer": metrics.cer(predictions=predictions, targets=targets),
        "exact": metrics.exact_match(predictions=predictions, targets=targets, normalisation="raw"),
    }


def run(args: argparse.Namespace) -> None:
    """Train one variant and write its curve to OUT/<variant>.csv."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    variant = VARIANTS[args.variant](args.backbone).train()
    variant.to(memory_format=memory_format(variant))  # type: ignore[call-overload]  # a module's `to` takes it alone
    checker = Checker(variant.network.vocabulary, variant.network.config.preprocessing, "drop", args.max_columns)
    lines = Lines([open_corpus(args.dataset, "train")], checker)
    held_out = open_corpus(args.dataset, "validation")
    samples = [
        (picture(row), normalize(row["text"])) for row in held_out.select(range(min(args.eval_samples, len(held_out))))
    ]
    optimizer = torch.optim.AdamW(variant.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=0.01)
    step, seen, epoch, rows = 0, 0, 0, []
    started = time.perf_counter()
    bar = tqdm(total=args.steps, unit="step", desc=args.variant, disable=None)
    while step < args.steps:
        for batch in lines.batches(args.batch_size, args.seed, epoch, [1.0]):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, args.steps, args.lr)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16()):
                loss = variant.loss(batch)
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(variant.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
            step, seen = step + 1, seen + len(batch.names)
            bar.update()
            if step * EVALUATIONS // args.steps > (step - 1) * EVALUATIONS // args.steps:
                seconds = time.perf_counter() - started
                rows.append({"step": step, "samples": seen, "seconds": round(seconds, 1), **measure(variant, samples)})
                bar.write(f"{args.variant}: {rows[-1]}")
            if step == args.steps:
                break
        epoch += 1
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / f"{args.variant}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def plot(out: Path) -> None:
    """OUT/hypotheses.png: exact match of every variant whose curve is there, over lines seen; and a table."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.use("Agg")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    print("| variant | lines | seconds | CER | exact |\n|---|---|---|---|---|")
    for name in VARIANTS:
        file = out / f"{name}.csv"
        if not file.exists():
            continue
        with file.open(encoding="utf-8", newline="") as table:
            rows: list[dict[str, Any]] = list(csv.DictReader(table))
        axes.plot([int(r["samples"]) / 1000 for r in rows], [100 * float(r["exact"]) for r in rows], "o-", label=name)
        last = rows[-1]
        print(
            f"| {name} | {last['samples']} | {last['seconds']} | {float(last['cer']):.4f} | {float(last['exact']):.4f} |"
        )
    axes.set_xlabel("thousand lines seen")
    axes.set_ylabel("lines read exactly, %")
    axes.set_ylim(0, 100)
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(str(out / "hypotheses.png"), dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, then train one variant or plot all."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--variant", choices=list(VARIANTS))
    parser.add_argument("--plot", action="store_true", help="plot the curves that are there, instead")
    parser.add_argument("--dataset", help="a rendered corpus with a validation split")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1.2e-3)
    parser.add_argument("--max_columns", type=int, default=400)
    parser.add_argument("--eval_samples", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/hypotheses"))
    args = parser.parse_args(argv)
    if args.plot:
        return plot(args.out)
    if not (args.variant and args.dataset):
        parser.error("--variant and --dataset are needed, or --plot")
    if min(args.steps, args.batch_size, args.eval_samples, args.threads) < 1:
        parser.error("--steps, --batch_size, --eval_samples and --threads must be at least 1")
    try:
        run(args)
    except (DataError, FloatingPointError, OSError) as error:
        sys.exit(f"training.hypotheses: {error}")


if __name__ == "__main__":
    main()

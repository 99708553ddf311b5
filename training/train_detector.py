"""Train the line detector.

    python -m training.train_detector --dataset corpora/pages --backgrounds FOLDER --max_steps 4000 --out runs/lines
    torchrun --nproc_per_node 2 -m training.train_detector ...      one process a core: gradients are averaged

Writes OUT/last.safetensors (checkpoint), OUT/metrics.csv and OUT/curves.png, and in the end OUT/final (model).
"""

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

from simpleocr.config import SIZES, LineNetConfig
from simpleocr.detection import LEAST_STD
from simpleocr.linenet import LineNet
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from training.backgrounds import Grey, load_photos
from training.checkpoint import CheckpointError, load_checkpoint, read_state, save_checkpoint
from training.data import DataError, open_pages, picture
from training.page_crops import PageCrop, crop_page
from training.progress import MetricsLog
from training.settings import RANGES as LIMITS
from training.settings import wrong_numbers
from training.trainee import fastest_precision, learning_rate, memory_format, update_average

CROPS_A_PAGE = 4  # in a row, from one decoding of it
WITHOUT_TEXT = 0.15  # of the crops that are of --without_text
PAGES_AT_HAND = 24  # from which a crop is drawn at a time, so that a batch is of several pages
COLUMNS = ("step", "samples", "seconds", "lr", "loss", "held_out", "overlap")  # of metrics.csv
# the least and the most that a number may be, of those that training.train takes as there
RANGES = {
    **{name: LIMITS[name] for name in ("batch_size", "max_steps", "lr", "ema", "seed", "eval_every", "eval_samples")},
    "crop": (32, math.inf),
    "workers": (0, math.inf),
}
# what must be the same for a run to be the same run; the rest (how long it is, when to save) may change from stop to stop
RUN_SETTINGS = (
    *("dataset", "backgrounds", "without_text", "init", "size", "crop"),
    *("batch_size", "lr", "ema", "seed", "processes"),
)


class PageCrops(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless crops of a corpus of pages, other ones in every process and in every worker of a DataLoader.

    Args:
        pages: rows as training.pages writes them.
        photos: what may lie around a page.
        size: pixels of a crop's sides.
        seed: of this process.
        without_text: photographs that stand for pages now and then.
    """

    def __init__(
        self,
        pages: Any,
        photos: Sequence[Grey],
        size: int,
        seed: str,
        without_text: Sequence[npt.NDArray[np.uint8]] = (),
    ) -> None:
        self.pages, self.photos, self.size, self.seed, self.without_text = pages, photos, size, seed, without_text

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()  # each of --workers has a copy of this, with the same seed
        rng = Random(self.seed if worker is None else f"{self.seed}/{worker.id}")
        hand: list[tuple[Any, list[dict[str, Any]], int]] = []
        while True:
            while len(hand) < min(PAGES_AT_HAND, len(self.pages)):
                row = self.pages[rng.randrange(len(self.pages))]
                hand.append((np.asarray(picture(row).convert("L")), row["lines"], CROPS_A_PAGE))
            if self.without_text and rng.random() < WITHOUT_TEXT:
                page, lines = rng.choice(self.without_text), list[dict[str, Any]]()
            else:
                page, lines, left = hand.pop(rng.randrange(len(hand)))
                if left > 1:
                    hand.append((page, lines, left - 1))
            photo = rng.choice(self.photos) if self.photos else np.full((8, 8), 128, np.float32)
            yield to_tensors(crop_page(page, lines, photo, self.size, rng))


def join_pages(names: Sequence[str], split: str) -> Any:
    """The pages of several corpora, one after another; each page is as likely to be drawn as any other.

    Raises:
        DataError: as open_pages().
    """
    from datasets import concatenate_datasets

    corpora = [open_pages(name, split) for name in names]
    return concatenate_datasets([corpus.select_columns(["image", "lines"]) for corpus in corpora])


def to_tensors(crop: PageCrop) -> tuple[Tensor, Tensor, Tensor]:
    """Image (1, H, W) of mean 0 and deviation 1, maps (2, H / 4, W / 4), weights (1, H / 4, W / 4)."""
    image = torch.from_numpy(crop.image.astype(np.float32))
    image = (image - image.mean()) / image.std().clamp(min=LEAST_STD)
    return image[None], torch.from_numpy(crop.maps), torch.from_numpy(crop.weights)[None]


def map_loss(logits: Tensor, maps: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of every cell, and one minus Dice's coefficient of each map: cores are a small part of a page."""
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, maps, reduction="none")
    probs = logits.sigmoid()
    overlap = (weights * probs * maps).sum(dim=(0, 2, 3))
    total = (weights * (probs.square() + maps.square())).sum(dim=(0, 2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    return (entropy * weights).sum() / (2 * weights.sum()).clamp(min=1) * 4 + dice.mean()


@torch.no_grad()
def validate(network: LineNet, crops: Sequence[tuple[Tensor, Tensor, Tensor]]) -> dict[str, float]:
    """Loss, and the overlap (intersection over union) of predicted and true line cores, over fixed crops."""
    losses, both, either = [], 0.0, 0.0
    device = next(network.parameters()).device
    for crop in crops:
        image, maps, weights = (tensor.to(device) for tensor in crop)
        logits = network(image[None])
        losses.append(float(map_loss(logits, maps[None], weights[None])))
        found, true = logits[0, 0] > 0, maps[0] > 0.5
        counted = weights[0] > 0
        both += float((found & true & counted).sum())
        either += float(((found | true) & counted).sum())
    return {"loss": sum(losses) / len(losses), "overlap": both / max(1.0, either)}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings; ends with one sentence and status 2 where they mean nothing.

    Raises:
        ModelError: with --init and --size, no such model.
    """
    parser = Parser(description="Train the line detector.", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--dataset", nargs="+", required=True, help="corpora of training.pages or training.pdf_pages")
    parser.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="folders of photographs")
    parser.add_argument(
        "--without_text",
        type=Path,
        nargs="*",
        default=[],
        help="folders of photographs in which no line is to be found",
    )
    parser.add_argument("--init", help="a model to start from instead of random weights")
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--crop", type=int, default=512, help="pixels of a crop's sides, a multiple of 32")
    parser.add_argument("--batch_size", type=int, default=8, help="crops a step and process")
    parser.add_argument("--max_steps", type=int, default=4000)
    parser.add_argument("--lr", type=float, default=2e-3, help="peak of the one-cycle schedule")
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--workers", type=int, default=0, help="processes that make crops, for each that trains")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/lines"))
    parser.add_argument("--resume", action="store_true", help="go on from OUT/last.safetensors")
    parser.add_argument("--eval_every", type=int, default=250)
    parser.add_argument("--eval_samples", type=int, default=48)
    args = parser.parse_args(argv)
    for fault in wrong_numbers(args, RANGES):
        parser.error(fault)
    if args.crop % 32:
        parser.error("--crop must be a multiple of 32")
    given = parser.parse_args(argv, argparse.Namespace(size=None)).size
    if args.init and given and not args.resume and (own := LineNet.from_pretrained(args.init).config.size) != given:
        parser.error(f"--size {given} contradicts --init {args.init}, which brings its own: {own}")
    return args


def settings(args: argparse.Namespace, world: int) -> dict[str, Any]:
    """What a checkpoint must agree on with the run that goes on from it."""
    values = {**vars(args), "processes": world}
    values |= {name: [str(path) for path in values[name]] for name in ("backgrounds", "without_text")}
    return {name: values[name] for name in RUN_SETTINGS}


def resumed(
    checkpoint: Path, now: dict[str, Any], modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Fill modules and optimizer from a checkpoint of the run with these settings; returns where it stands.

    Raises:
        CheckpointError: no checkpoint, or one of a run with other settings; names them.
    """
    then = read_state(checkpoint).get("settings")
    if not isinstance(then, dict):
        raise CheckpointError(f"{checkpoint} does not say of which run it is")
    then = {"without_text": [], **then}  # which older ones do not know
    if differing := [f"{name}: {then.get(name)} then, {now[name]} now" for name in now if then.get(name) != now[name]]:
        raise CheckpointError(f"{checkpoint} is of another run: {'; '.join(differing)}")
    return load_checkpoint(checkpoint, modules, optimizer)


def run(args: argparse.Namespace) -> LineNet:
    """Train as `args` say; returns the averaged network.

    Raises:
        DataError, ModelError, CheckpointError, ValueError: what was given cannot be used.
        FloatingPointError: the loss is not a number.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=fastest_precision())
    rank, world, is_main = accelerator.process_index, accelerator.num_processes, accelerator.is_main_process
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    photos = [np.asarray(photo, dtype=np.float32) for photo in load_photos(args.backgrounds)]
    empty = load_photos(args.without_text)
    torch.manual_seed(args.seed)
    network = LineNet.from_pretrained(args.init) if args.init else LineNet(LineNetConfig(args.size))
    network.config = replace(network.config, ranges=())  # its activations will go elsewhere
    began_with = int(network.training_summary.get("samples", 0))
    layout = memory_format(network)
    network.to(accelerator.device, memory_format=layout)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()  # of what is on the device, or the two could not be averaged
    optimizer = torch.optim.AdamW(network.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=0.01)
    modules: dict[str, nn.Module] = {"network": network, "average": average}
    checkpoint, step, samples, seconds = args.out / "last.safetensors", 0, 0, 0.0
    if args.resume:
        state = resumed(checkpoint, settings(args, world), modules, optimizer)
        step, samples, seconds = state["step"], state["samples"], state["seconds"]
    elif checkpoint.exists():
        raise CheckpointError(f"{checkpoint} is there already: --resume goes on from it, another --out starts anew")
    # a run that goes on sees new crops, so that no state of the crops need be kept
    stream = PageCrops(join_pages(args.dataset, "train"), photos, args.crop, f"{args.seed}/{rank}/{step}", empty)
    loader = DataLoader(stream, args.batch_size, num_workers=args.workers)
    held_out = iter(PageCrops(join_pages(args.dataset, "validation"), photos, args.crop, "held out"))
    crops = [next(held_out) for _ in range(args.eval_samples)] if is_main else []
    wrapped, optimizer = accelerator.prepare(network, optimizer)
    log = MetricsLog(args.out / "metrics.csv", step, COLUMNS)
    started, began, losses = time.perf_counter() - seconds, samples, []
    bar = tqdm(total=args.max_steps, initial=step, unit="step", disable=not is_main)
    for images, maps, weights in loader:
        if step >= args.max_steps:
            break
        wrapped.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.max_steps, args.lr)
        device = accelerator.device
        with accelerator.autocast():
            logits = wrapped(images.to(device, memory_format=layout))
        loss = map_loss(logits, maps.to(device), weights.to(device))
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(wrapped.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        samples += len(images) * world
        update_average(average, network, min(args.ema, step / (step + 10)))
        losses.append(loss.item())
        now = time.perf_counter() - started
        rate = (samples - began) / (now - seconds)
        bar.set_postfix(loss=f"{loss.item():.3f}", rate=f"{rate:.1f}/s", refresh=False)
        bar.update()
        if is_main and (step % args.eval_every == 0 or step >= args.max_steps):
            figures = validate(average, crops)
            mean_loss = sum(losses) / len(losses)
            state = {"step": step, "samples": samples, "seconds": now}
            shown = {"held_out": figures["loss"], "overlap": figures["overlap"]}
            log.add(state, mean_loss, learning_rate(step, args.max_steps, args.lr), shown)
            bar.write(
                f"step {step}: loss {mean_loss:.4f}, held out {figures['loss']:.4f}, overlap {figures['overlap']:.4f}"
            )
            losses = []
            if step >= args.max_steps:  # before the checkpoint: a run that says it is over has its model
                average.training_summary = {
                    "samples": began_with + samples,
                    "validation": {k: round(v, 5) for k, v in figures.items()},
                }
                average.save_pretrained(args.out / "final", dtype=torch.float16)
            save_checkpoint(checkpoint, modules, optimizer.optimizer, {**state, "settings": settings(args, world)})
    bar.close()
    accelerator.wait_for_everyone()
    # threads of a process group that live on while Python ends have aborted processes whose work was done
    accelerator.end_training()
    return average


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, train, and turn what the user can mend into one sentence."""
    try:
        run(parse(argv))
    except (DataError, ModelError, CheckpointError, FloatingPointError, ValueError, OSError) as error:
        sys.exit(f"training.train_detector: {error}")


if __name__ == "__main__":
    main()

"""Train a recognizer.

    python -m training.train --batch_size 32 --epochs 10            renders a corpus first
    python -m training.train --dataset FOLDER user/lines --weights 3 1 --init english --out runs/mine
    python -m training.train --resume --out runs/mine               goes on after any stop, with the settings that it
                                                                    began with; bit for bit without --render
    python -m training.train --render 1 --fonts DIR --minutes 600   other processes render while it trains; no corpus
    torchrun --nproc_per_node 2 -m training.train ...               one process a core: gradients are averaged

Of a first corpus without a validation split a tenth of the lines, spread over it, validates and is not trained on.

Writes OUT/last.safetensors (checkpoint), OUT/best and OUT/final (models), OUT/metrics.csv and OUT/curves.png.
"""

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from tqdm import tqdm

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.image import InputError
from simpleocr.modelfile import ModelError
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES
from training.attention import attention_loss, forced, forgetful
from training.batches import Lines
from training.checking import Checker
from training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from training.data import DataError, open_corpus
from training.distillation import taught_loss
from training.fresh import FreshLines, rendered_samples
from training.low_rank import KeptRanks
from training.outcome import Figures, Samples, measured, read_samples
from training.progress import MetricsLog
from training.settings import CHECKPOINT, SettingError, parse, require_same_run, settings, settings_then
from training.streaming import StreamedLines
from training.supply import (
    ensure_corpus,
    held_out_samples,
    hold_out,
    refuse_stream,
    rendered_lines,
    sources,
    tell_at_the_end,
    validation_corpus,
)
from training.trainee import (
    Trainee,
    ctc_loss,
    fastest_precision,
    first_stages,
    learning_rate,
    memory_format,
    parameter_groups,
    update_average,
)


@dataclass
class State:
    """Where a run stands; part of its checkpoint.

    Args:
        step: optimizer steps done.
        epoch, batch: the epoch under way, and the batches of it that are done.
        samples: lines seen, over all processes; of rendered ones about, for each process has batches of its own width.
        worse: validations since the lowest CER.
        seconds: time spent.
        best: the lowest CER so far.
        losses, loss_steps: sum of the losses since the last validation, and of how many steps.
        held_out: lines of --dataset that validate and are not trained on.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    samples: int = 0
    worse: int = 0
    seconds: float = 0.0
    best: float = 1e9
    losses: float = 0.0
    loss_steps: int = 0
    held_out: int = 0


def build(args: argparse.Namespace) -> CRNN:
    """The network to train: new, or a copy of --init."""
    torch.manual_seed(args.seed)  # of a copy, the second head is drawn
    if args.init:
        network = CRNN.from_pretrained(args.init)
        network.config = replace(network.config, ranges=())  # its activations will go elsewhere
        return network
    try:
        preprocessing = Preprocessing(height=args.height, stretch=args.stretch)
        return CRNN(CRNNConfig(VOCABULARIES[args.vocabulary], args.backbone, preprocessing))
    except ValueError as error:
        raise SettingError(f"no such network: {error}") from error


def resumed(
    checkpoint: Path,
    args: argparse.Namespace,
    world: int,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    held_out: int = 0,
) -> State:
    """Fill modules and optimizer from a checkpoint of the same run, and say where it stands.

    Raises:
        CheckpointError: no checkpoint, or one of a run with other settings, or with other lines held out; names them.
    """
    require_same_run(checkpoint, settings_then(checkpoint), settings(args, world))
    values = load_checkpoint(checkpoint, modules, optimizer)
    state = State(**{name: value for name, value in values.items() if name != "settings"})
    if state.held_out != held_out:
        raise CheckpointError(
            f"{checkpoint} is of another run: {state.held_out} lines of --dataset were held out then, {held_out} now,"
            " which --validation and --eval_samples decide"
        )
    return state


def teacher_of(args: argparse.Namespace, network: CRNN) -> CRNN | None:
    """The network of --teacher; none without it.

    Raises:
        SettingError: it says something else of other pictures.
    """
    if not args.teacher:
        return None
    if args.streaming:
        raise SettingError("--teacher needs to know which corpus a line is from: it does not go with --streaming")
    teacher = CRNN.from_pretrained(args.teacher)
    if teacher.preprocessing != network.preprocessing or not network.vocabulary.characters.startswith(
        teacher.vocabulary.characters
    ):
        raise SettingError(
            f"{args.teacher} cannot teach: it sees lines differently, or its characters are not the first"
        )
    return teacher


def run(args: argparse.Namespace, tell: Callable[[int, int, float], None] | None = None) -> CRNN:
    """Train as `args` say; returns the averaged network.

    Args:
        args: as parse() gives them.
        tell: called after each step with its number, how many there will be, and the loss; with --minutes, in seconds.
            Whoever is told shows how far it is: no bar is drawn then.

    Raises:
        SettingError, DataError, ModelError, CheckpointError: what was given cannot be used.
        FloatingPointError: the loss is not a number; names the lines of the batch.
    """
    precision = args.mixed_precision if args.mixed_precision != "auto" else fastest_precision()
    if precision == "fp16" and not torch.cuda.is_available():
        raise SettingError("--mixed_precision fp16 needs a GPU: a CPU has bf16 at most")
    args.out.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=precision)
    rank, world, is_main = accelerator.process_index, accelerator.num_processes, accelerator.is_main_process
    if args.minutes and world > 1:
        raise SettingError("--minutes is for one process: several would not end at the same step")
    torch.set_num_threads(args.threads or max(1, (os.cpu_count() or 1) // world))
    ensure_corpus(args, accelerator)

    network = build(args)
    checker = Checker(network.vocabulary, network.config.preprocessing, args.unknown, args.max_columns)
    corpora = [open_corpus(name, "train", streaming=args.streaming) for name in args.dataset or []]
    if args.join and network.vocabulary.unknown(" "):
        raise SettingError("--join puts a space between two lines, which the vocabulary lacks")
    indexed = bool(corpora) and not args.streaming
    # other processes, those of --render, could tell nobody of a picture that they cannot open
    own = Lines(corpora, checker, args.max_bad, args.join, opened=args.render > 0) if indexed else None
    spared = validation_corpus(args)
    held = hold_out(args, own, accelerator) if corpora and spared is None else []
    samples: Samples = []
    if is_main:
        if spared is not None:
            samples = read_samples(spared, network, args.eval_samples)
        elif own:
            samples = held_out_samples(own, held)
        else:
            samples = rendered_samples(sources(args, network)["validation"], args.seed, args.eval_samples)
        if not samples:
            raise DataError("no line that can be read to validate on")
    lines: Lines | StreamedLines | FreshLines
    if args.render:
        lines = rendered_lines(args, network, checker, own, accelerator)
    else:
        lines = own or StreamedLines(corpora, checker, args.max_bad)
    steps = args.max_steps or 0
    if isinstance(lines, Lines) and not (steps or args.minutes):
        steps = args.epochs * lines.steps(args.batch_size, args.seed, args.weights, world)
    if own and is_main:
        tqdm.write(str(own.report))

    frozen = first_stages(network, args.freeze)
    for module in frozen:
        module.requires_grad_(False)
    still = [
        *frozen,
        *(module for module in network.modules() if args.fixed_norms and isinstance(module, nn.BatchNorm2d)),
    ]
    trainee = Trainee(network, attends=args.attention > 0).to(accelerator.device)
    layout = memory_format(network)
    trainee.to(memory_format=layout)  # type: ignore[call-overload]  # a module's `to` takes it alone
    ranks = KeptRanks(network)
    average = copy.deepcopy(network).eval()
    teacher = teacher_of(args, network)
    if teacher is not None:
        teacher.to(accelerator.device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        parameter_groups(trainee, args),
        lr=args.lr,
        betas=(0.9, 0.99),
        eps=args.eps,
        fused=accelerator.device.type == "cuda",
    )
    modules: dict[str, nn.Module] = {"trainee": trainee, "average": average}
    checkpoint = args.out / CHECKPOINT
    state = State(held_out=len(held))
    if args.resume:
        state = resumed(checkpoint, args, world, modules, optimizer, len(held))
    if not args.resume and checkpoint.exists():
        raise CheckpointError(f"{checkpoint} is there already: --resume goes on from it, another --out starts anew")
    wrapped, optimizer = accelerator.prepare(trainee, optimizer)
    log = MetricsLog(args.out / "metrics.csv", state.step)
    began_with = dict(network.training_summary)

    def save(folder: str, figures: Figures) -> None:
        average.training_summary = {
            "samples": began_with.get("samples", 0) + state.samples,
            "validation": {"cer": round(figures.cer, 5), "accuracy": round(figures.accuracy, 5)},
        }
        average.save_pretrained(args.out / folder, dtype=torch.float16)

    def schedule() -> tuple[float, float]:
        """Where the run stands and where it ends: in steps, or in seconds."""
        return (state.seconds, 60 * args.minutes) if args.minutes else (state.step, steps)

    def ended() -> bool:
        now, end = schedule()
        return now >= end

    started: float | None = None
    bar = tqdm(total=steps or None, initial=state.step, unit="step", disable=tell is not None or not is_main)
    done = ended()
    while not done:
        wrapped.train()
        for module in still:
            module.eval()  # statistics of BatchNorm stay as they are
        for batch in lines.batches(
            args.batch_size, args.seed, state.epoch, args.weights, rank, world, skip=state.batch
        ):
            if started is None:  # what the first batch took to come is not training
                started = time.perf_counter() - state.seconds
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * learning_rate(*schedule(), args.lr)
            images = batch.images.to(accelerator.device, memory_format=layout)
            before: Tensor | None = None
            if args.attention:
                before, after = forced(batch)
                before = forgetful(before, (args.seed + state.step) * world + rank).to(accelerator.device)
            with accelerator.autocast():
                logits, auxiliary, written = wrapped(images, before)
            if teacher is None:
                loss = ctc_loss(logits, batch)
            else:
                with torch.no_grad(), accelerator.autocast():
                    taught = teacher(images)
                loss = taught_loss(logits, taught, batch)
            total = loss + args.auxiliary * ctc_loss(auxiliary, batch)
            if written is not None:
                total = total + args.attention * attention_loss(written, after.to(written.device))
            # asked for here and only here: a GPU goes on with what follows while the next batch is made
            value, total_value = torch.stack([loss, total]).tolist()
            if not math.isfinite(total_value):
                raise FloatingPointError(
                    f"the loss is {total_value} at step {state.step}; the lines were: {'; '.join(batch.names)}"
                )
            accelerator.backward(total)
            accelerator.clip_grad_norm_(wrapped.parameters(), args.clip)
            optimizer.step()
            optimizer.zero_grad()
            ranks.restore()
            state.step += 1
            state.batch += 1
            state.samples += len(batch.names) * world
            state.seconds = time.perf_counter() - started
            # an average over more steps than there were would be mostly the random start
            update_average(average, network, min(args.ema, state.step / (state.step + 10)))
            state.losses += value
            state.loss_steps += 1
            bar.set_postfix(loss=f"{value:.3f}", rate=f"{state.samples / state.seconds:.0f}/s", refresh=False)
            bar.update()
            now, end = schedule()
            if tell:
                tell(round(now), round(end), value)

            # once in a while: read held-out lines as they will be read, keep the best
            done = ended()
            if done:
                refuse_stream(lines, args.max_bad)
            if is_main and (done or state.step % args.eval_every == 0):
                figures = measured(average, samples)
                mean_loss = state.losses / state.loss_steps
                scores = {"cer": figures.cer, "accuracy": figures.accuracy}
                log.add(asdict(state), mean_loss, learning_rate(now, end, args.lr), scores)
                bar.write(
                    f"step {state.step}: loss {mean_loss:.4f}, CER {figures.cer:.4f}, exact {figures.accuracy:.4f}"
                )
                if figures.cer < state.best:
                    state.best, state.worse = figures.cer, 0
                    save("best", figures)
                else:
                    state.worse += 1
                if done:
                    save("final", figures)
            if done or state.step % args.eval_every == 0:
                state.losses, state.loss_steps = 0.0, 0
                if args.patience:
                    (given_up,) = broadcast_object_list([state.worse >= args.patience])
                    if given_up and not done:
                        done = True
                        refuse_stream(lines, args.max_bad)
                        if is_main:
                            save("final", figures)
            if is_main and (done or state.step % args.save_every == 0):
                save_checkpoint(
                    checkpoint, modules, optimizer.optimizer, {**asdict(state), "settings": settings(args, world)}
                )
            if done:
                break
        else:
            if state.batch == 0:
                raise DataError("the corpus gives no batch")
            state.epoch += 1
            state.batch = 0
    bar.close()
    tell_at_the_end(lines, accelerator)
    accelerator.wait_for_everyone()
    # threads of a process group that live on while Python ends have aborted processes whose work was done
    accelerator.end_training()
    return average


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, train, and turn what the user can mend into one sentence."""
    try:
        run(parse(argv))
    except (SettingError, DataError, ModelError, CheckpointError, InputError, FloatingPointError, OSError) as error:
        sys.exit(f"training.train: {error}")


if __name__ == "__main__":
    main()

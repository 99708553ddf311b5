"""Settings of a training run: its command line, and what must be the same for a run to be the same run."""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simpleocr.config import BACKBONES
from simpleocr.crnn import CRNN
from simpleocr.options import Parser
from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import VOCABULARIES
from training.checkpoint import CheckpointError, read_state

CHECKPOINT = "last.safetensors"  # in --out

# what must be the same for a run to be the same run; the rest (threads, when to save) may change from stop to stop
RUN_SETTINGS = (
    *("dataset", "weights", "streaming", "unknown", "max_columns", "join", "batch_size", "processes", "seed"),
    *("render", "fonts", "text", "backgrounds", "strength", "clear", "handwriting"),
    *("init", "backbone", "vocabulary", "height", "stretch"),
    *("lr", "head_rate", "eps", "weight_decay", "clip", "ema", "auxiliary", "attention", "mixed_precision"),
    *("freeze", "fixed_norms", "teacher"),
)

# the least and the most that a number may be; of those ABOVE the least, it is too little itself
ABOVE = ("lr", "eps", "clip", "minutes")
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("batch_size", "epochs", "max_steps", "max_columns", "renderers", "handwriting"), (1, math.inf)),
    **dict.fromkeys(("eval_samples", "eval_every", "save_every"), (1, math.inf)),
    **dict.fromkeys((*ABOVE, "head_rate", "weight_decay", "auxiliary", "attention", "weights"), (0, math.inf)),
    **dict.fromkeys(("patience", "threads"), (0, math.inf)),
    **dict.fromkeys(("max_bad", "join", "render", "strength", "clear", "ema"), (0, 1)),
    "freeze": (0, 4),
    "seed": (0, 2**63 - 1),
}


ENDS = ("epochs", "max_steps", "minutes")  # one given anew stands for all
PATHS = ("fonts", "text", "backgrounds")  # lists of them
OF_NETWORK = ("backbone", "vocabulary", "height", "stretch")  # what a model that is started from brings with it


class SettingError(ValueError):
    """A setting with which nothing can be trained."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings; ends with one sentence and status 2 where they mean nothing.

    With --resume, what is not given is as in the checkpoint.

    Raises:
        CheckpointError: with --resume, no checkpoint, or one of a run with other settings than those given; names them.
        ModelError: with --init and what a model brings with it, no model.
    """
    parser = Parser(
        description="Train a recognizer.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="training/train.py begins with examples",
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset", nargs="+", help="corpora: folders, CSV or parquet files, Hub ids; none: one is rendered"
    )
    data.add_argument(
        "--weights",
        nargs="+",
        type=float,
        help="how often an epoch sees each corpus; default once. With --render, their shares",
    )
    data.add_argument(
        "--validation",
        help="corpus to validate on; default the validation split of the first --dataset, or where it has none a tenth of"
        " its lines, which are not trained on then",
    )
    data.add_argument("--eval_samples", type=int, default=1000, help="lines to validate on, at most")
    data.add_argument(
        "--streaming",
        action="store_true",
        help="read rows as they come; needs --max_steps or --minutes, and --validation where the first corpus has no such split",
    )
    data.add_argument(
        "--unknown", choices=("drop", "strip"), default="drop", help="lines with characters the vocabulary lacks"
    )
    data.add_argument("--max_columns", type=int, help="leave wider lines out, in columns of the tensor")
    data.add_argument(
        "--max_bad", type=float, default=0.01, help="share of unusable rows above which a corpus is refused"
    )
    data.add_argument(
        "--join",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the lines that get another one beside them, with a space between",
    )
    fresh = parser.add_argument_group("lines that are rendered while it trains")
    fresh.add_argument(
        "--render", type=float, default=0.0, metavar="SHARE", help="of the lines: 1 needs no --dataset, 0 renders none"
    )
    fresh.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders of fonts, beside the system's")
    fresh.add_argument("--text", type=Path, nargs="*", default=[], help="text files: running text or frequency lists")
    fresh.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="folders of photographs")
    fresh.add_argument("--strength", type=float, default=1.0, help="0 clean print .. 1 every effect")
    fresh.add_argument(
        "--clear",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the rendered lines that have a third of the strength at most, as most print does",
    )
    fresh.add_argument(
        "--handwriting", type=int, default=1, metavar="TIMES", help="how often handwriting is drawn; as training.synth"
    )
    fresh.add_argument(
        "--renderers", type=int, help="processes that render for each that trains; default the other cores"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--init", help="a model to start from instead of random weights")
    model.add_argument("--backbone", choices=sorted(BACKBONES), default="small")
    model.add_argument("--vocabulary", choices=sorted(VOCABULARIES), default="english")
    model.add_argument("--height", type=int, default=Preprocessing.height)
    model.add_argument("--stretch", type=float, default=Preprocessing.stretch)
    run = parser.add_argument_group("run")
    run.add_argument("--batch_size", type=int, default=32, help="lines a step and process; fewer of wide ones")
    run.add_argument("--epochs", type=int, default=10)
    run.add_argument("--max_steps", type=int, help="end, annealed, after so many steps instead")
    run.add_argument("--minutes", type=float, help="end, annealed, after so many minutes instead; one process only")
    run.add_argument("--lr", type=float, default=1e-3, help="peak of the one-cycle schedule")
    run.add_argument("--head_rate", type=float, default=1.0, help="of the CTC head, as a multiple of --lr")
    run.add_argument(
        "--eps", type=float, default=1e-8, help="of AdamW: smaller gradients than this move hardly anything"
    )
    run.add_argument("--weight_decay", type=float, default=0.01)
    run.add_argument("--clip", type=float, default=5.0, help="largest norm of a gradient")
    run.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights, which are what is saved")
    run.add_argument("--auxiliary", type=float, default=0.3, help="weight of the second head's loss")
    run.add_argument(
        "--attention", type=float, default=0.0, help="weight of the loss of a decoder with attention; 0: there is none"
    )
    run.add_argument(
        "--fixed_norms", action="store_true", help="statistics of BatchNorm stay as they are in the whole network"
    )
    run.add_argument(
        "--teacher",
        help="a model whose readings of all corpora but the first are kept; its characters are this one's first",
    )
    run.add_argument(
        "--freeze",
        type=int,
        default=0,
        metavar="STAGES",
        help="stages of the CNN, from the first, that stay as they are",
    )
    run.add_argument(
        "--patience", type=int, default=0, help="end after so many validations without a lower CER; 0: never"
    )
    run.add_argument("--mixed_precision", choices=("auto", "no", "bf16", "fp16"), default="auto")
    run.add_argument("--threads", type=int, default=0, help="of each process; 0 shares the cores out")
    run.add_argument("--seed", type=int, default=0)
    out = parser.add_argument_group("output")
    out.add_argument("--out", type=Path, default=Path("runs/default"))
    out.add_argument(
        "--resume",
        action="store_true",
        help="go on from OUT/last.safetensors, with its settings where no others are given: those that make another run"
        " are refused",
    )
    out.add_argument("--eval_every", type=int, default=500, help="steps between validations")
    out.add_argument("--save_every", type=int, default=200, help="steps between checkpoints")
    args = parser.parse_args(argv)
    then: dict[str, Any] = {}
    if args.resume:
        then = settings_then(args.out / CHECKPOINT)
        args = continued(parser, argv, then)
    args.weights = args.weights or [1.0] * len(args.dataset or [""])
    if args.resume:
        require_same_run(args.out / CHECKPOINT, then, settings(args, then.get("processes", 1)))
    for fault in (*wrong_numbers(args, RANGES), *contradictions(args)):
        parser.error(fault)
    if args.init and not args.resume:  # a run that goes on has been asked whether it is the same
        given = vars(parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(OF_NETWORK))))
        for fault in other_networks(args.init, {name: given[name] for name in OF_NETWORK if given[name] is not None}):
            parser.error(fault)
    return args


def wrong_numbers(args: argparse.Namespace, ranges: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """What is wrong with each number by itself; none may be infinite, or not a number.

    Args:
        args: have all that `ranges` name.
        ranges: as RANGES.
    """
    for name, (least, most) in ranges.items():
        value = getattr(args, name)
        for number in value if isinstance(value, list) else [] if value is None else [value]:
            if not least <= number <= most or not abs(number) < math.inf or (name in ABOVE and number == least):
                wanted = f"above {least:g}" if name in ABOVE else f"{least:g} or more"
                yield f"--{name} must be {wanted if most == math.inf else f'in {least:g}..{most:g}'}, not {number}"


def contradictions(args: argparse.Namespace) -> Iterator[str]:
    """What does not go together."""
    try:
        Preprocessing(height=args.height, stretch=args.stretch)
    except ValueError as error:
        yield f"--height, --stretch: {error}"
    if (args.streaming or args.render) and not (args.max_steps or args.minutes):
        yield "--streaming and --render need --max_steps or --minutes: nothing says how long an epoch is"
    if args.minutes and args.max_steps:
        yield "--minutes goes without --max_steps"
    if not args.render and (args.fonts or args.text or args.backgrounds):
        yield "--fonts, --text and --backgrounds are for --render; training.synth takes them for a corpus"
    if not args.render and (args.clear or args.handwriting != 1):
        yield "--clear and --handwriting are for --render"
    if args.render and (args.streaming or args.teacher or bool(args.dataset) == (args.render == 1)):
        yield "--render goes with neither --streaming nor --teacher, and with --dataset for the rest of the lines"
    if args.join and (args.streaming or args.render):
        yield "--join goes with neither --streaming nor --render"
    if len(args.weights) != len(args.dataset or [""]):
        yield f"{len(args.dataset or [])} corpora but {len(args.weights)} weights"
    if not sum(args.weights):
        yield "--weights must not all be 0"


def other_networks(init: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Where what was given of OF_NETWORK is not what the model `init` has; it is not opened where nothing was given.

    Raises:
        ModelError: no such model.
    """
    if not given:
        return
    config = CRNN.from_pretrained(init).config
    known = {vocabulary.characters: name for name, vocabulary in VOCABULARIES.items()}
    has = {
        "backbone": config.backbone,
        "vocabulary": known.get(config.vocabulary.characters, "another"),
        "height": config.preprocessing.height,
        "stretch": config.preprocessing.stretch,
    }
    for name, value in given.items():
        if value != has[name]:
            yield f"--{name} {value} contradicts --init {init}, which brings its own: {has[name]}"


def settings(args: argparse.Namespace, world: int) -> dict[str, Any]:
    """What a checkpoint says of its run, for one that goes on from it; JSON values.

    Args:
        args: as parse() gives them.
        world: processes that train.
    """
    values = {name: value for name, value in vars(args).items() if name not in ("out", "resume")}
    return values | {name: [str(path) for path in values[name]] for name in PATHS} | {"processes": world}


def settings_then(checkpoint: Path) -> dict[str, Any]:
    """What settings() gave when a checkpoint was written.

    Raises:
        CheckpointError: no checkpoint, or it does not say.
    """
    then = read_state(checkpoint).get("settings")
    if not isinstance(then, dict):
        raise CheckpointError(f"{checkpoint} does not say of which run it is")
    return then


def require_same_run(checkpoint: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Compare RUN_SETTINGS; what a checkpoint does not know came later, and was as by default.

    Raises:
        CheckpointError: names all that differ.
    """
    then = {**settings(parse([]), now["processes"]), **then}
    if differing := [f"{name}: {then[name]} then, {now[name]} now" for name in RUN_SETTINGS if then[name] != now[name]]:
        raise CheckpointError(f"{checkpoint} is of another run: {'; '.join(differing)}")


def continued(parser: argparse.ArgumentParser, argv: Sequence[str] | None, then: dict[str, Any]) -> argparse.Namespace:
    """Command line -> settings, with those of `then` in place of defaults."""
    known = {name: value for name, value in then.items() if name in vars(parser.parse_args(argv))}
    known |= {name: [Path(path) for path in known[name]] for name in PATHS if name in known}
    given = parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(ENDS)))
    if any(getattr(given, name) is not None for name in ENDS):
        known = {name: value for name, value in known.items() if name not in ENDS}
    return parser.parse_args(argv, argparse.Namespace(**known))

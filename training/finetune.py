"""Fine-tune a model on one's own pictures, without it forgetting the rest.

    python -m training.finetune FOLDER --out runs/mine
    python -m training.finetune labels.csv --init english --characters "éèß" --max_steps 600 --out runs/mine

The folder has pictures of lines and metadata.csv (file_name,text), or is any corpus that training.train takes. A fifth of
it is held out. Rendered lines, most of them in many fonts, are trained on beside it so that nothing is unlearned, and a
thousand others, in fonts never seen, say whether that worked: the general set. Where it lost more than half a point, the
new weights are mixed with the old until it has not; where even that does not help, no model is written. Where every line
that was held out is read already, nothing could be gained on them, and it ends at once, before anything is rendered.

Exit status: 0 a model was written, 1 none was, 2 the arguments mean nothing. Writes OUT/model (the model), OUT/report.json, and in OUT/work what training.train leaves.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from simpleocr.crnn import CRNN
from simpleocr.extension import extended
from simpleocr.image import InputError
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.vocabulary import Vocabulary, VocabularyError, normalize
from training import synth, train
from training.claim import OtherCorpusError
from training.data import DataError, NoSplitError, open_corpus
from training.labels import check_labels
from training.outcome import Figures, Outcome, measured, read_samples
from training.ranges import with_ranges
from training.settings import parse as parse_training

OWN_SHARD = 1000  # of one's own lines a file
HELD_OUT = 5  # of so many of one's own lines, one is held out
GENERAL = 1000  # rendered lines on which nothing may be lost
MEASURED = 150  # of one's own lines, and of the general set, on which ranges are measured
MOST_LOST = 0.005  # of the general set's exact match
OWN_SHARE = 0.4  # of the lines of a batch that are one's own
BLENDS = tuple(tenths / 10 for tenths in range(10, 1, -1))  # shares of the new weights that are tried
# AdamW moves every weight by its rate, however small its gradient: what is known would be shaken by noise
EPS = 1e-4
HEAD_RATE = 20.0  # rows of new characters have far to go, the rest hardly any way
STRENGTH = 0.6  # of the effects on rendered lines

Tell = Callable[[float, str], None]
"""Called with how much is done, 0..1, and what is being done."""


def blended(old: CRNN, new: CRNN, share: float, known: int | None = None) -> CRNN:
    """The mean of two networks of one origin (WiSE-FT, Wortsman et al. 2022).

    Args:
        old: the network it began as.
        new: what became of it.
        share: of the new one.
        known: classes that the old one had learned; the rows of others are the new one's, for there is nothing to keep.
    """
    tensors = new.state_dict()
    for name, tensor in old.state_dict().items():
        if tensor.is_floating_point() and not name.startswith("language."):
            learned = tensors[name]
            tensors[name] = torch.lerp(tensor, learned, share)
            if name.startswith("classifier.") and known is not None:
                tensors[name][known:] = learned[known:]
    mixed = CRNN(new.config, dict(new.training_summary))
    mixed.load_state_dict(tensors)
    mixed.storage_dtype = old.storage_dtype
    return mixed.eval()


def contents(cell: dict[str, Any]) -> dict[str, Any]:
    """A picture's bytes and bare name; no bytes where there is no file, which is then a picture that cannot be read."""
    path = Path(cell["path"] or "")
    return {"bytes": cell["bytes"] or (path.read_bytes() if path.is_file() else b""), "path": path.name or None}


def split_own(corpus: Any, work: Path) -> tuple[Path, Any, Any]:
    """One's own rows as a corpus with train and validation, every HELD_OUTth held out; and both parts.

    Written OWN_SHARD rows a file, so that the pictures of no more are held at a time.
    """
    from datasets import Dataset, Features
    from datasets import Image as ImageFeature

    corpus = corpus.select_columns(["image", "text"])
    # said, not found out of each file's rows: of one with no texts it would be another
    features = Features({"image": ImageFeature(), "text": corpus.features["text"]})
    rows = range(len(corpus))
    held_out = rows[::HELD_OUT] if len(rows) >= HELD_OUT else ()
    parts = {"train": [i for i in rows if i not in held_out], "validation": [*(held_out or rows)]}
    folder = work / "own"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    for split, part in parts.items():
        files = max(1, -(-len(part) // OWN_SHARD))
        for file in range(files):
            shard = corpus.select(part[file * OWN_SHARD : (file + 1) * OWN_SHARD]).to_list()
            # a picture's bytes, not its path: the folder must not depend on where the pictures lie
            images = [contents(row["image"]) for row in shard]
            table = Dataset.from_dict({"image": images, "text": [row["text"] for row in shard]}, features=features)
            path = folder / "data" / f"{split}-{file:05d}-of-{files:05d}.parquet"
            table.to_parquet(path)
    return folder, *(open_corpus(str(folder), split) for split in ("train", "validation"))


def can_write(character: str) -> bool:
    """Whether a vocabulary may have this character."""
    try:
        Vocabulary(character)
    except VocabularyError:
        return False
    return True


def lacking(vocabulary: Vocabulary, asked: str, texts: Sequence[str]) -> str:
    """What a vocabulary lacks of the characters that are asked for, then of normalised texts; a space, too.

    Raises:
        VocabularyError: a character that is asked for, and that no vocabulary can have.
    """
    # in a text it is said of its row when the rows are checked, and does not stop the others
    of_texts = [c for c in vocabulary.unknown("".join(texts)) if can_write(c)]
    return vocabulary.extend(asked + "".join(of_texts)).characters[len(vocabulary) :]


def render_replay(old: CRNN, work: Path, args: argparse.Namespace) -> str:
    """A rendered corpus in the old characters: to be trained on beside one's own, and the general set.

    That of an earlier run is taken where it is the same, and taken away where it is another.
    """
    folder = work / "replay"
    sources = synth.sources(args.fonts, args.text, [], old.vocabulary, STRENGTH)
    counts = {"train": args.replay_lines, "validation": GENERAL}
    try:
        synth.write_corpus(folder, sources, counts, args.seed, args.processes, progress=False)
    except OtherCorpusError:
        shutil.rmtree(folder)
        synth.write_corpus(folder, sources, counts, args.seed, args.processes, progress=False)
    return str(folder)


def weights(own: int, replay: int) -> tuple[float, float]:
    """How often an epoch has one's own lines, and those of the replay, so that OWN_SHARE of all are one's own.

    Neither less than once: no line is left out, and however many are one's own, the rest is not forgotten.
    """
    repeats = OWN_SHARE / (1 - OWN_SHARE) * max(1, replay) / max(1, own)
    return (repeats, 1.0) if repeats >= 1 else (1.0, 1 / repeats)


def forget(args: argparse.Namespace) -> None:
    """Take away the model and the report of an earlier run, which would pass for those of one that is refused.

    But for a model that is begun with: that is the old one, which stays.
    """
    (args.out / "report.json").unlink(missing_ok=True)
    model = (args.out / "model").resolve()
    if not Path(args.init).resolve().is_relative_to(model):
        shutil.rmtree(model, ignore_errors=True)


def finetune(args: argparse.Namespace, tell: Tell = lambda *_: None) -> Outcome:
    """Fine-tune as `args` say, and write the model if it is better.

    Raises:
        DataError, ModelError, VocabularyError, ValueError: what was given cannot be used, or all of it is read already.
    """
    work = args.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    tell(0.0, "opening your lines")
    old = CRNN.from_pretrained(args.init)
    corpus = open_corpus(args.folder, args.split)
    forget(args)
    texts = [normalize(text) for text in corpus["text"][:] if isinstance(text, str)]
    new_characters = lacking(old.vocabulary, args.characters, texts)
    start = extended(old, new_characters) if new_characters else old
    start.save_pretrained(work / "start", dtype=torch.float32)
    old.save_pretrained(work / "old", dtype=torch.float32)

    own_folder, own_train, own_kept = split_own(corpus, work)
    own = read_samples(own_kept, start, 10_000)
    if not own:
        raise DataError("no line that can be read to measure on")
    tell(0.02, "reading before")
    own_before = measured(old, own)
    if not own_before.cer:
        which = "held-out lines" if len(corpus) >= HELD_OUT else "lines"
        raise DataError(f"{args.init} reads all {len(own)} {which} without an error: there is nothing to gain on them")

    tell(0.04, "rendering lines so that nothing is unlearned")
    replay = args.replay or render_replay(old, work, args)
    try:
        general_rows = open_corpus(args.general or replay, "validation")
    except NoSplitError:
        general_rows = open_corpus(args.general or replay, "train")
    general = read_samples(general_rows, start, args.general_lines)
    if not general:
        raise DataError("no line that can be read to measure on")
    tell(0.1, "reading before")
    general_before = measured(old, general)

    own_weight, replay_weight = weights(len(own_train), len(open_corpus(replay, "train")))
    shutil.rmtree(work / "run", ignore_errors=True)
    settings = parse_training(
        [
            *("--dataset", str(own_folder), replay, "--weights", f"{own_weight:.2f}", f"{replay_weight:.2f}"),
            *("--validation", str(own_folder), "--eval_samples", "200", "--max_bad", "0.5"),
            *("--init", str(work / "start"), "--lr", str(args.lr), "--max_steps", str(args.max_steps)),
            # a second head that is random at first, and the statistics of small batches, would shake what is known; so
            # would labels of rendered lines, of which only what the old model says of them is kept
            *("--auxiliary", "0", "--fixed_norms", "--teacher", str(work / "old"), "--head_rate", str(args.head_rate)),
            *("--eps", str(EPS)),
            *("--batch_size", str(args.batch_size), "--freeze", str(args.freeze), "--seed", str(args.seed)),
            *("--patience", str(args.patience), "--eval_every", str(max(1, args.max_steps // 8))),
            *("--save_every", str(args.max_steps), "--out", str(work / "run")),
        ]
    )
    train.run(settings, lambda step, steps, loss: tell(0.15 + 0.7 * step / steps, f"learning, loss {loss:.3f}"))

    tell(0.87, "reading after")
    learned = CRNN.from_pretrained(work / "run" / "final")
    best: tuple[float, CRNN, Figures, Figures] | None = None
    for share in BLENDS:
        candidate = blended(start, learned, share, old.vocabulary.num_classes)
        own_after, general_after = measured(candidate, own), measured(candidate, general)
        # the largest share that loses little enough
        if general_after.accuracy >= general_before.accuracy - MOST_LOST and own_after.cer < own_before.cer:
            best = share, candidate, own_after, general_after
            break
        tell(0.88 + 0.01 * BLENDS.index(share), "keeping more of what it knew")
    accepted = best is not None
    share, network, own_after, general_after = best or (0.0, start, own_after, general_after)
    tell(0.97, "looking for labels that may be wrong")
    outcome = Outcome(
        own_before=own_before,
        own_after=own_after,
        general_before=general_before,
        general_after=general_after,
        own_held_out=len(corpus) >= HELD_OUT,
        trained_on=len(own_train),
        characters=new_characters,
        share=share,
        accepted=accepted,
        doubtful=tuple(check_labels(network if accepted else learned, corpus)[0]),
    )
    if accepted:
        network.training_summary = {
            **old.training_summary,
            "finetuned": {"lines": len(own_train), "steps": args.max_steps, "share": share, "from": str(args.init)},
        }
        network.save_pretrained(args.out / "model", dtype=torch.float16)
        if find_spec("onnx") and find_spec("onnxruntime"):  # else it is not run in whole numbers here, either
            tell(0.98, "measuring how far its activations go")
            seen = (image for image, _ in [*own[:MEASURED], *general[:MEASURED]])
            with_ranges(CRNN.from_pretrained(args.out / "model"), seen).save_pretrained(args.out / "model")
    (args.out / "report.json").write_text(
        json.dumps(asdict(outcome), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    tell(1.0, "done")
    return outcome


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Command line -> settings."""
    parser = Parser(
        description=__doc__.splitlines()[0],
        epilog="exit status: 0 a model was written, 1 none was, 2 the arguments mean nothing",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", help="your lines: a folder with metadata.csv, a CSV of file,text, or any corpus")
    parser.add_argument("--split", default="train", help="of a corpus that has several")
    parser.add_argument("--init", default="english", help="the model to begin with")
    parser.add_argument(
        "--characters", default="", help="that the model must write, too; those of your texts are added by themselves"
    )
    parser.add_argument("--replay", help="a corpus to train on beside yours; default: one is rendered")
    parser.add_argument("--replay_lines", type=int, default=6000, help="lines that are rendered")
    parser.add_argument("--general", help="a labelled set on which nothing may be lost; default: rendered lines")
    parser.add_argument("--general_lines", type=int, default=GENERAL, help="lines of it that are read")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders of fonts, beside the system's")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files to render from")
    parser.add_argument("--processes", type=int, default=2, help="that render")
    parser.add_argument("--max_steps", type=int, default=300)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-4, help="peak of the one-cycle schedule")
    parser.add_argument("--head_rate", type=float, default=HEAD_RATE, help="of the CTC head, as a multiple of --lr")
    parser.add_argument("--freeze", type=int, default=2, help="stages of the CNN that stay as they are")
    parser.add_argument(
        "--patience", type=int, default=6, help="validations without a better one before it ends; 0: never"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its report")
    args = parser.parse_args(argv)
    for name in ("general_lines", "max_steps", "batch_size", "processes"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if args.replay_lines < 32:
        parser.error("--replay_lines must be at least 32")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, fine-tune, print the table."""
    from datasets import disable_progress_bars

    args = parse(argv)
    disable_progress_bars()  # of the parquet files that are written and read: one bar is enough

    try:
        # a bar of tqdm, so that what training prints goes above it
        with tqdm(total=1, bar_format="{percentage:3.0f}% {desc}") as bar:

            def tell(done: float, what: str) -> None:
                bar.n = done
                bar.set_description_str(what)

            outcome = finetune(args, tell)
    except (DataError, ModelError, VocabularyError, InputError, FloatingPointError, ValueError, OSError) as error:
        sys.exit(f"training.finetune: {error}")
    print(outcome.table())
    if not outcome.accepted:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Count a character n-gram language and put it into a model's file.

    python -m training.language --model english --text FILE... --out runs/with_language

The texts are those that rendered pictures show, drawn by the same function: words, phrases, numbers, codes.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import numpy as np
from tqdm import tqdm

from simpleocr.crnn import CRNN
from simpleocr.language import Language
from simpleocr.modelfile import ModelError
from simpleocr.options import Parser
from simpleocr.vocabulary import BLANK
from training.corpus import load_corpus
from training.texts import sample_text

DISCOUNT = 0.75  # taken from each count and given to what was not seen (Ney et al. 1994)

Ngram = tuple[int, ...]


def count_ngrams(texts: Iterable[Sequence[int]], order: int) -> list[Counter[Ngram]]:
    """How often each n-gram of 1..order class ids comes; BLANK stands before and after each text."""
    counts: list[Counter[Ngram]] = [Counter() for _ in range(order)]
    for text in texts:
        padded = (BLANK, *text, BLANK)
        for n in range(1, order + 1):
            grams = (padded[i : i + n] for i in range(len(padded) - n + 1))
            counts[n - 1].update(gram for gram in grams if gram != (BLANK,) or n > 1)
        counts[0][BLANK,] += 1  # the end; the start is never predicted
    return counts


def estimate(counts: Sequence[Counter[Ngram]], most: int) -> Language:
    """Counts -> Language by absolute discounting, interpolated; of longer n-grams only the frequent ones are kept.

    Args:
        counts: of n-grams of 1, 2, ... class ids.
        most: n-grams to keep, about.
    """
    every = sorted((c for table in counts[1:] for c in table.values()), reverse=True)
    least = max(2, every[most - 1] if len(every) >= most else 1)
    kept = [counts[0], *({g: c for g, c in table.items() if c >= least} for table in counts[1:])]
    probabilities: dict[Ngram, float] = {}
    total = sum(counts[0].values())
    probabilities.update({gram: c / total for gram, c in counts[0].items()})
    backoff: dict[Ngram, float] = {}
    for n in range(2, len(counts) + 1):
        followers: dict[Ngram, list[tuple[Ngram, int]]] = {}
        for gram, c in kept[n - 1].items():
            followers.setdefault(gram[:-1], []).append((gram, c))
        sums: Counter[Ngram] = Counter()
        kinds: Counter[Ngram] = Counter()
        for gram, c in counts[n - 1].items():
            if gram[:-1] in followers:
                sums[gram[:-1]] += c
                kinds[gram[:-1]] += 1
        for context, grams in followers.items():
            lower = {gram: _interpolated(probabilities, backoff, gram[1:]) for gram, _ in grams}
            free = DISCOUNT * kinds[context] / sums[context]
            for gram, c in grams:
                probabilities[gram] = (c - DISCOUNT) / sums[context] + free * lower[gram]
            seen = sum(probabilities[gram] for gram, _ in grams)
            backoff[context] = max(1e-6, 1 - seen) / max(1e-6, 1 - sum(lower.values()))
    return _tree(probabilities, backoff, len(counts))


def _interpolated(probabilities: dict[Ngram, float], backoff: dict[Ngram, float], gram: Ngram) -> float:
    factor = 1.0
    while gram not in probabilities and len(gram) > 1:
        factor *= backoff.get(gram[:-1], 1.0)
        gram = gram[1:]
    return factor * probabilities.get(gram, 1e-9)


def _tree(probabilities: dict[Ngram, float], backoff: dict[Ngram, float], order: int) -> Language:
    """The n-grams level by level. A context that itself was not frequent enough is there for what is below it."""
    nodes: set[Ngram] = set()
    for gram in probabilities:
        nodes.update(gram[:n] for n in range(1, len(gram) + 1))
    degrees: Counter[Ngram] = Counter(gram[:-1] for gram in nodes)
    # sorted by level, and within it as the parents are: n-grams of one length in the order of their ids are just that
    ordered: list[Ngram] = [(), *sorted(nodes, key=lambda gram: (len(gram), gram))]
    return Language(
        chars=np.array([float(gram[-1]) if gram else 0.0 for gram in ordered]),
        degrees=np.array([float(degrees[gram]) for gram in ordered]),
        log_probs=np.array(
            [math.log(max(1e-6, _interpolated(probabilities, backoff, gram))) if gram else 0.0 for gram in ordered]
        ),
        backoffs=np.array([math.log(backoff.get(gram, 1.0)) for gram in ordered]),
        order=order,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the arguments, count and write the model."""
    parser = Parser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder, a file, a shipped model or a Hub repository")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files: running text or frequency lists")
    parser.add_argument("--samples", type=int, default=300_000, help="texts to draw")
    parser.add_argument("--order", type=int, default=5, help="characters of the longest n-gram")
    parser.add_argument("--ngrams", type=int, default=120_000, help="that are kept, about; 8 bytes each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model that is written")
    args = parser.parse_args(argv)
    if min(args.samples, args.ngrams) < 1 or not 1 <= args.order <= 8:
        parser.error("--samples and --ngrams must be at least 1, --order 1 to 8")
    try:
        network = CRNN.from_pretrained(args.model)
        corpus, rng = load_corpus(args.text), Random(args.seed)
        texts = (sample_text(corpus, network.vocabulary, rng) for _ in tqdm(range(args.samples), disable=None))
        counts = count_ngrams((network.vocabulary.encode(text) for text in texts), args.order)
        network.set_language(estimate(counts, args.ngrams))
        network.save_pretrained(args.out)
    except (ModelError, ValueError, OSError) as error:
        sys.exit(f"training.language: {error}")
    print(f"{network.config.ngrams} n-grams in {args.out}")


if __name__ == "__main__":
    main()

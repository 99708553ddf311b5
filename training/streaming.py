"""Streaming: checked lines of corpora that are read as they come, in batches that form as their width buckets fill."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from training.batches import Batch, batch_lines, collate, load_line, plan_widths
from training.checking import Checker, Report, columns_needed


class StreamedLines:
    """Checked lines of corpora that are read as they come.

    Every picture is opened when its row is checked, also where the row tells its size: nobody can go back for another
    line when a batch has formed.

    Args:
        corpora: iterable datasets as open_corpus gives them; columns beside image and text are not looked at.
        checker: which rows can be used.
        max_bad: the share of unusable rows above which reading stops; looked at from the first thousand rows on.
        shuffle: rows held back to be shuffled.
    """

    def __init__(self, corpora: Sequence[Any], checker: Checker, max_bad: float = 0.01, shuffle: int = 2000) -> None:
        self.corpora = [_alike(corpus) for corpus in corpora]
        self.checker, self.max_bad, self.shuffle = checker, max_bad, shuffle
        self.report = Report()  # of the first epoch that is read to its end, until then of the one that is being read
        self.whole = False  # an epoch was: the others have the same rows, which are not counted again

    def batches(
        self,
        batch_size: int,
        seed: int,
        epoch: int,
        weights: Sequence[float],
        rank: int = 0,
        world: int = 1,
        skip: int = 0,
    ) -> Iterator[Batch]:
        """As Lines.batches; skipped batches are formed again, from the same rows.

        Raises:
            DataError: too many rows are bad.
        """
        from datasets import interleave_datasets

        # one of weight 0 would never be read to its end, which an epoch waits for
        mixed = {i: weight / sum(weights) for i, weight in enumerate(weights) if weight}
        streams, shares = [self.corpora[i] for i in mixed], list(mixed.values())
        rows = streams[0]
        if len(streams) > 1:
            rows = interleave_datasets(streams, probabilities=shares, seed=seed, stopping_strategy="all_exhausted")
        rows = rows.shuffle(seed=seed, buffer_size=self.shuffle)
        rows.set_epoch(epoch)
        report = Report()
        if not self.whole:
            self.report = report
        rng = np.random.default_rng((seed, epoch))
        buckets: dict[int, list[tuple[dict[str, Any], str, int]]] = {}
        formed = 0
        for number, row in enumerate(rows):
            found = self.checker.check({**row, "width": None, "height": None}, number, report)
            if found is None:
                if not self.whole and report.seen > 1000:
                    report.refuse_over(self.max_bad)
                continue
            target, own = found
            width = int(plan_widths(np.array([own]), np.array([columns_needed(target)]), rng)[0])
            bucket = buckets.setdefault(width, [])
            bucket.append((row, target, number))
            if len(bucket) == batch_lines(width, batch_size * world, world):
                formed += 1
                if formed > skip:
                    yield self._batch(bucket[rank::world], width, seed, epoch)
                del buckets[width]
        if not self.whole:
            report.refuse_over(self.max_bad)
            self.whole = True
        for width in sorted(buckets):
            if len(buckets[width]) >= world:
                formed += 1
                if formed > skip:
                    yield self._batch(buckets[width][rank::world], width, seed, epoch)

    def _batch(self, lines: list[tuple[dict[str, Any], str, int]], width: int, seed: int, epoch: int) -> Batch:
        preprocessing = self.checker.preprocessing
        pictures = [
            load_line(row, width, preprocessing, np.random.default_rng((seed, epoch, number)))
            for row, _, number in lines
        ]
        names = [f"streamed row {number} {target[:40]!r}" for _, target, number in lines]
        return collate(pictures, [target for _, target, _ in lines], names, self.checker.vocabulary, preprocessing)


def _alike(corpus: Any) -> Any:
    """The columns that are used, in the same form of every corpus: streams of others cannot be mixed."""
    from datasets import Features, Value
    from datasets import Image as ImageFeature

    corpus = corpus.select_columns(["image", "text"])
    features = Features({"image": ImageFeature(decode=False), "text": Value("string")})
    # cast() alone leaves tables of strings and of large strings as they are until they have been put together
    return corpus.cast(features).map(_same, features=features)


def _same(row: dict[str, Any]) -> dict[str, Any]:
    return row

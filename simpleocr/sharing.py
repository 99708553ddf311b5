"""Sharing: one network for many threads; what they want read at the same time is computed together.

A batch of eight words costs torch a good half of eight words, but no user sends eight. Whoever finds the network idle
computes at once, for all who wait; who comes meanwhile waits for the next batch. So nothing is ever waited for but the
network itself, and there is no thread beside those that ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition

from simpleocr.beam import NextCharacter
from simpleocr.likelihood import LogProbs
from simpleocr.preprocessing import Lines, Preprocessing, padded
from simpleocr.recognition import BATCH_COLUMNS, Recognizer
from simpleocr.vocabulary import Vocabulary

WASTE = 1.5  # columns of a joint batch over those of its parts: beyond it, narrow lines would pay for a wide one


@dataclass(eq=False)
class _Call:
    """What one thread wants read, and what became of it."""

    lines: Sequence[Lines]
    done: bool = False
    found: list[LogProbs] = field(default_factory=list)
    error: Exception | None = None

    @property
    def widest(self) -> int:
        """Columns."""
        return padded(max(line.shape[-1] for line in self.lines))


class Shared:
    """A Recognizer that computes the calls of several threads together; each gets what it would have got alone.

    Args:
        network: computes; never called by two threads at a time.
        columns: of a joint batch, padding included. What one call asks for is never split.
    """

    def __init__(self, network: Recognizer, columns: int = BATCH_COLUMNS) -> None:
        self.network, self.columns = network, columns
        self._waiting: list[_Call] = []
        self._busy = False
        self._changed = Condition()

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters it can write."""
        return self.network.vocabulary

    @property
    def preprocessing(self) -> Preprocessing:
        """How line pictures become its input."""
        return self.network.preprocessing

    @property
    def language(self) -> NextCharacter | None:
        """What a decoder may ask, if the model has one."""
        return self.network.language

    def log_probs(self, lines: Sequence[Lines]) -> list[LogProbs]:
        """Line tensors (1, H, W_i) -> calibrated log_probs (T_i, C) of each.

        Raises:
            Exception: whatever the network raises of these lines; the faults of others are theirs.
        """
        if not lines:
            return []
        call = _Call(lines)
        with self._changed:
            self._waiting.append(call)
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: call.done or not self._busy)
                    if call.done:
                        break
                    batch = self._next()
                    self._busy = True
                try:
                    self._compute(batch)
                finally:  # what ends this thread is its own: the others go on, and first of all those of its batch
                    with self._changed:
                        self._waiting = [*(one for one in batch if not one.done and one is not call), *self._waiting]
                        self._busy = False
                        self._changed.notify_all()
        finally:
            with self._changed:
                self._waiting = [one for one in self._waiting if one is not call]
        if call.error is not None:
            raise call.error
        return call.found

    def _next(self) -> list[_Call]:
        """Those of the waiting that are computed next: the first, and what may join it."""
        first, *others = self._waiting
        batch, count, widest, apart = [first], len(first.lines), first.widest, len(first.lines) * first.widest
        for other in others:
            rows, column = count + len(other.lines), max(widest, other.widest)
            sum_of_both = apart + len(other.lines) * other.widest
            if rows * column <= min(self.columns, WASTE * sum_of_both):
                batch.append(other)
                count, widest, apart = rows, column, sum_of_both
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch

    def _compute(self, batch: Sequence[_Call]) -> None:
        """Fill in what became of each call; what ends this thread, as KeyboardInterrupt does, is nobody else's."""
        try:
            found = iter(self.network.log_probs([line for call in batch for line in call.lines]))
            for call in batch:
                call.found = [next(found) for _ in call.lines]
        except Exception as error:  # noqa: BLE001 - handed on to whom it belongs
            if len(batch) > 1:
                for call in batch:  # whose lines it was is found out
                    self._compute([call])
            else:
                batch[0].error = error
        for call in batch:
            call.done = True

"""sharing: whatever is asked at the same time, each gets what it would have got alone, and the faults of others are theirs."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr import CRNN, OCR, CRNNConfig, Vocabulary
from simpleocr.inference import for_inference
from simpleocr.likelihood import LogProbs
from simpleocr.preprocessing import Lines, Preprocessing, padded
from simpleocr.sharing import WASTE, Shared


class Fake:
    """Reads a line as its own columns; fails on one that holds 13; knows what was asked of it, and one at a time."""

    vocabulary, preprocessing, language = Vocabulary("ab"), Preprocessing(), None

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[int]] = []
        self.inside = 0

    def log_probs(self, lines: Sequence[Lines]) -> list[LogProbs]:
        self.inside += 1
        assert self.inside == 1
        self.batches.append([line.shape[-1] for line in lines])
        time.sleep(self.seconds)
        self.inside -= 1
        if any((line == 13).any() for line in lines):
            raise ValueError("unlucky")
        return [line[0].T.copy() for line in lines]


def line(width: int, value: float = 0.0) -> Lines:
    return np.full((1, 32, width), value, np.float32)


def together(shared: Shared, calls: Sequence[Sequence[Lines]]) -> list[list[LogProbs] | Exception]:
    """What each of several threads gets that ask at once."""
    start = threading.Barrier(len(calls))

    def ask(lines: Sequence[Lines]) -> list[LogProbs] | Exception:
        start.wait()
        try:
            return shared.log_probs(lines)
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(ask, calls))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(16, 700), max_size=4), min_size=1, max_size=8), st.integers(1000, 20_000))
def test_each_gets_its_own_and_no_batch_is_larger_than_allowed(widths: list[list[int]], columns: int) -> None:
    fake = Fake(0.0005)
    calls = [[line(width, 100 * i + k) for k, width in enumerate(row)] for i, row in enumerate(widths)]
    found = together(Shared(fake, columns), calls)
    for lines, rows in zip(calls, found, strict=True):
        assert not isinstance(rows, Exception)
        assert len(rows) == len(lines)
        assert all(np.array_equal(one[0].T, row) for one, row in zip(lines, rows, strict=True))
    assert sorted(width for batch in fake.batches for width in batch) == sorted(
        width for row in widths for width in row
    )
    alone = {tuple(row) for row in widths}
    for batch in fake.batches:
        taken = len(batch) * padded(max(batch))
        assert tuple(batch) in alone or taken <= min(columns, WASTE * 4 * sum(map(padded, batch)))


def test_who_comes_while_another_is_computed_is_computed_with_all_others_that_came() -> None:
    fake = Fake(0.2)
    shared = Shared(fake)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(shared.log_probs, [line(64)])
        time.sleep(0.05)
        others = [pool.submit(shared.log_probs, [line(64, i)]) for i in range(8)]
        assert len(first.result()) == 1
        assert [one.result()[0][0, 0] for one in others] == list(range(8))
    assert fake.batches == [[64], [64] * 8]


def test_a_wide_line_is_not_waited_for_by_narrow_ones_in_its_batch() -> None:
    fake = Fake(0.1)
    shared = Shared(fake)
    with ThreadPoolExecutor(4) as pool:
        asked = []
        for width in (32, 2000, 64, 64):
            asked.append(pool.submit(shared.log_probs, [line(width)]))
            time.sleep(0.02)
        assert [len(one.result()[0]) for one in asked] == [32, 2000, 64, 64]
    assert fake.batches == [[32], [2000], [64, 64]]


def test_nothing_is_asked_of_the_network_for_no_lines() -> None:
    fake = Fake()
    assert Shared(fake).log_probs([]) == []
    assert fake.batches == []


def test_a_fault_is_of_those_alone_whose_lines_are_at_fault() -> None:
    fake = Fake(0.05)
    calls = [[line(64, value)] for value in (1, 13, 2, 3, 13, 4)]
    for call, rows in zip(calls, together(Shared(fake), calls), strict=True):
        if call[0].max() == 13:
            assert isinstance(rows, ValueError)
            assert str(rows) == "unlucky"
        else:
            assert not isinstance(rows, Exception)
            assert rows[0][0, 0] == call[0].max()


def test_what_ends_one_thread_is_not_the_fault_of_those_in_its_batch() -> None:
    class Interrupted(Fake):
        def log_probs(self, lines: Sequence[Lines]) -> list[LogProbs]:
            found = super().log_probs(lines)
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return found

    fake = Interrupted(0.1)
    shared = Shared(fake)

    def ask(value: int) -> float | None:
        try:
            return float(shared.log_probs([line(64, value)])[0][0, 0])
        except KeyboardInterrupt:
            return None

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(ask, 9)
        time.sleep(0.05)
        others = [pool.submit(ask, value) for value in range(4)]
        assert first.result() == 9
        found = [one.result() for one in others]
    assert found.count(None) == 1
    assert all(one in (None, value) for value, one in enumerate(found))
    assert fake.batches == [[64], [64] * 4, [64] * 3], "who was interrupted wants nothing any more"
    assert ask(5) == 5


def test_who_is_interrupted_while_waiting_wants_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared(fake := Fake())

    def interrupt(_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shared._changed, "wait_for", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shared.log_probs([line(64)])
    assert len(shared.log_probs([line(32)])) == 1
    assert fake.batches == [[32]]


def test_after_a_fault_it_goes_on() -> None:
    shared = Shared(Fake())
    for _ in range(3):
        with pytest.raises(ValueError, match="unlucky"):
            shared.log_probs([line(64, 13)])
        assert len(shared.log_probs([line(64, 1)])) == 1


@pytest.mark.usefixtures("exact")
def test_a_network_reads_for_many_threads_as_for_one() -> None:
    torch.manual_seed(0)
    network = for_inference(CRNN(CRNNConfig(vocabulary=Vocabulary("abcdefgh"))).eval())
    rng = np.random.default_rng(0)
    lines = [rng.normal(size=(1, 32, int(width))).astype(np.float32) for width in rng.integers(16, 300, 60)]
    alone = [network.log_probs([one])[0] for one in lines]
    shared = Shared(network)
    read: Callable[[Lines], LogProbs] = lambda one: shared.log_probs([one])[0]  # noqa: E731
    with ThreadPoolExecutor(12) as pool:
        for one, other in zip(alone, pool.map(read, lines), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
            assert (one.argmax(axis=1) == other.argmax(axis=1)).all()


def test_a_shared_reader_reads_with_any_options_through_the_same_network() -> None:
    shared = OCR(detector=None, retry=False).shared()
    assert isinstance(shared._fast, Shared)
    assert shared.with_options(charset="0123")._fast is shared._fast
    assert shared.network.vocabulary is shared._fast.vocabulary

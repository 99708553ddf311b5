"""training.benchmark: every part runs and says what it measured."""

import json
import math
from collections.abc import Iterator
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from training import benchmark, synth
from training.render import Source
from training.timing import durations, threads

COMMAND = ["--backbones", "tiny", "--seconds", "0.01"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from more, and beside other work they lose much."""
    with threads(1):
        yield


@pytest.mark.parametrize(
    ("part", "unit"),
    [
        ("train", "lines/s"),
        pytest.param("read", "ms", marks=pytest.mark.slow),
        pytest.param("load", "MiB", marks=pytest.mark.slow),
    ],
)
def test_parts(
    part: str, unit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "TRAIN_COLUMNS", 64)
    monkeypatch.setattr(benchmark, "TRAIN_CHARACTERS", 3)
    monkeypatch.setattr(benchmark, "BATCH", 4)
    before = torch.get_num_threads()
    benchmark.main([*COMMAND, "--parts", part, "--out", str(tmp_path / "speed.json")])
    report = json.loads((tmp_path / "speed.json").read_text())
    assert list(report["figures"]) == [part]
    assert unit in {figure["unit"] for figure in report["figures"][part]}
    assert all(figure["value"] > 0 and math.isfinite(figure["value"]) for figure in report["figures"][part])
    assert report["machine"]["torch"] == torch.__version__
    shown = capsys.readouterr().out
    assert all(figure["name"] in shown for figure in report["figures"][part])
    assert torch.get_num_threads() == before


def test_rendering_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "render_block", lambda source, seed, block, count: iter([(b"", "", 1, 1)] * count))
    source = Source(None, [], [], None)  # type: ignore[arg-type]
    assert benchmark.render_rate(source, 0, 0.001) > synth.FONT_BLOCK


def test_the_renderer_is_measured_as_corpora_are_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Source] = []

    def render_rate(source: Source, *_: object) -> float:
        seen.append(source)
        return 7.0

    monkeypatch.setattr(benchmark, "render_rate", render_rate)
    monkeypatch.setattr(benchmark, "get_context", lambda _: SimpleNamespace(Pool=ThreadPool))
    benchmark.main(["--parts", "render"])
    assert (seen[0].without, seen[0].strength) == (frozenset(), 1.0)
    assert "7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "measured"),
    [([], ["render", "train", "read", "load"]), (["--dataset", "x"], ["peers"]), (["--parts", "load"], ["load"])],
)
def test_without_parts_it_is_clear_what_is_meant(
    given: list[str], measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noted(name: str, _: object) -> list[benchmark.Figure]:
        seen.append(name)
        return []

    monkeypatch.setattr(benchmark, "PARTS", {name: partial(noted, name) for name in benchmark.PARTS})
    benchmark.main(given)
    assert seen == measured


def test_durations_are_at_least_one_and_threads_are_put_back() -> None:
    assert len(durations(lambda: None, 0)) == 1
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_missing_fonts_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^training\.benchmark: no such folder of fonts"):
        benchmark.main(["--parts", "render", "--fonts", str(tmp_path / "missing")])

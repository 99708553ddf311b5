"""training.supply: the corpus that is rendered where none is given; what is held out is in test_held_out.py."""

from pathlib import Path
from typing import cast

import pytest
from accelerate import Accelerator

from training import supply, synth
from training.claim import claim
from training.settings import SettingError, parse


class Alone:
    """In place of an Accelerator: one process."""

    is_main_process = True

    def wait_for_everyone(self) -> None:
        pass


def test_a_corpus_whose_rendering_was_cut_off_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered: list[list[str]] = []
    monkeypatch.setattr(supply, "DEFAULT_CORPUS", tmp_path)
    monkeypatch.setattr(synth, "main", rendered.append)

    def ensured() -> int:
        args = parse([])
        supply.ensure_corpus(args, cast(Accelerator, Alone()))
        assert args.dataset == [str(tmp_path)]
        return len(rendered)

    assert ensured() == 1, "nothing is there"
    counts = {"train": synth.SHARD + 1, "validation": 2}
    claim(tmp_path, {"counts": counts})
    (tmp_path / "data").mkdir()
    files = [path for *_, path in synth.shards(tmp_path, counts)]
    assert [path.name[:-8] for path in files] == [
        "train-00000-of-00002",
        "train-00001-of-00002",
        "validation-00000-of-00001",
    ]
    for number, path in enumerate(files):
        assert ensured() == 2 + number, "not all is there"
        path.touch()
    capsys.readouterr()
    assert ensured() == 4
    assert "rendered before" in capsys.readouterr().out
    (tmp_path / ".corpus.json").write_text("{")
    with pytest.raises(SettingError, match="cannot be read"):
        ensured()

"""checkpoint: all comes back bit for bit, and no file that was cut, flipped or is another's is believed."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from training import train
from training.checkpoint import CheckpointError, load_checkpoint, read_state, save_checkpoint
from training.settings import parse, settings

pytestmark = pytest.mark.usefixtures("no_pickle")


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
    return module, optimizer


def test_a_checkpoint_brings_all_back(tmp_path: Path) -> None:
    module, optimizer = trained()
    state = {"step": 3, "best": 0.25, "text": "é", "settings": {"lr": 0.1, "dataset": ["a"]}}
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, state)
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    again = torch.optim.AdamW(other.parameters(), lr=0.1)
    assert load_checkpoint(tmp_path / "c", {"net": other}, again) == state
    for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    before, after = optimizer.state_dict()["state"], again.state_dict()["state"]
    assert all(torch.equal(before[i][k], after[i][k]) for i in before for k in before[i])
    save_checkpoint(tmp_path / "d", {"net": other}, again, state)
    assert (tmp_path / "c").read_bytes() == (tmp_path / "d").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c", "d"], "nothing temporary is left"


def test_no_cut_of_a_checkpoint_is_believed(tmp_path: Path) -> None:
    module, optimizer = trained()
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3})
    data = (tmp_path / "c").read_bytes()
    for end in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:end])
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            load_checkpoint(tmp_path / "cut", {"net": module}, optimizer)
    for name, content in (("garbage", b"x" * 500), ("json", b"{}"), ("longer", data + b"\0")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            load_checkpoint(tmp_path / name, {"net": module}, optimizer)


@pytest.mark.parametrize("metadata", [None, {"checkpoint": "{"}, {"checkpoint": "[]"}, {"other": "{}"}])
def test_other_files_are_no_checkpoints(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "c", metadata)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        read_state(tmp_path / "c")


def test_missing_and_foreign_checkpoints_are_named(tmp_path: Path) -> None:
    module, optimizer = trained()
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(CheckpointError, match=str(path)):
            read_state(path)
    save_checkpoint(tmp_path / "c", {"net": nn.Linear(2, 2)}, optimizer, {"step": 3})
    with pytest.raises(CheckpointError, match="another network"):
        load_checkpoint(tmp_path / "c", {"net": module}, optimizer)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    module, optimizer = trained()
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3})
    data = bytearray((tmp_path / "c").read_bytes())
    data[-20] ^= 0x40
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "c", {"net": module}, optimizer)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, optimizer = trained()
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="No space left"):
        save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 4})
    assert load_checkpoint(tmp_path / "c", {"net": module}, optimizer) == {"step": 3}
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_a_checkpoint_from_before_a_setting_goes_on_with_its_default(tmp_path: Path) -> None:
    args = parse(["--out", str(tmp_path)])
    module, optimizer = trained()
    then = {name: value for name, value in settings(args, 1).items() if name not in ("head_rate", "teacher")}
    save_checkpoint(tmp_path / "c", {"net": module}, optimizer, {"step": 3, "settings": then})
    assert train.resumed(tmp_path / "c", args, 1, {"net": module}, optimizer).step == 3
    args.head_rate = 10.0
    with pytest.raises(CheckpointError, match=r"head_rate: 1.0 then, 10.0 now"):
        train.resumed(tmp_path / "c", args, 1, {"net": module}, optimizer)


def test_paths_come_back_as_paths(tmp_path: Path) -> None:
    args = parse(["--render", "1", "--max_steps", "1", "--fonts", "a", "b", "--out", str(tmp_path)])
    module, optimizer = trained()
    state = {"settings": settings(args, 1)}
    save_checkpoint(tmp_path / "last.safetensors", {"net": module}, optimizer, state)
    again = parse(["--resume", "--out", str(tmp_path)])
    assert again.fonts == [Path("a"), Path("b")]
    assert {**vars(again), "resume": False} == vars(args)

"""Checkpoints: all that training needs to go on as if it had never stopped, in one safetensors file, no pickle."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from simpleocr.modelfile import checksum, write_atomically

KEY, SUM = "checkpoint", "sha256"


class CheckpointError(ValueError):
    """A checkpoint that cannot be gone on from."""


def save_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Write modules, optimizer and `state` (JSON-able) at once: a kill leaves the last file or the new one, never half."""
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    written = json.dumps({**state, SUM: checksum(state, _arrays(contiguous))}, sort_keys=True)
    write_atomically(path, safetensors.torch.save(contiguous, {KEY: written}))


def read_state(path: Path) -> dict[str, Any]:
    """The JSON part of a checkpoint.

    Raises:
        CheckpointError: missing, damaged, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is not a checkpoint: its state is {type(state).__name__}")
    return state


def load_checkpoint(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fill modules and optimizer from a checkpoint; returns its state.

    Raises:
        CheckpointError: missing, damaged, or of another network.
    """
    state = read_state(path)
    tensors = safetensors.torch.load_file(path)
    if state.pop(SUM, None) != checksum(state, _arrays(tensors)):
        raise CheckpointError(f"{path} is damaged: its checksum is another")
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, f"{name}."))
    except RuntimeError as error:
        raise CheckpointError(f"{path} is of another network: {error}") from error
    values: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _below(tensors, "optimizer.").items():
        index, _, kind = key.partition(".")
        values.setdefault(int(index), {})[kind] = tensor
    optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


def _arrays(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

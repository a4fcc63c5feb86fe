"""A run's state in one safetensors file: all it needs to go on as if uninterrupted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from ddpm_core.checkpoints.atomic import CheckpointError, read_tensors, write_tensors
from ddpm_core.training.loop import Trainer

NOTHING: Mapping[str, str] = MappingProxyType({})


def steps_taken(state: Path) -> int:
    """How many steps a saved run has taken; 0 without one. Raises `CheckpointError` if it is damaged."""
    return json.loads(_read(state)[1].get("progress", "{}")).get("step", 0) if state.exists() else 0


def save_state(trainer: Trainer, path: Path, basis: Mapping[str, str] = NOTHING) -> None:
    """Write everything needed to continue into one file, atomically; `basis` is kept for `load_state`."""
    tensors = {f"model.{name}": t for name, t in trainer.model.state_dict().items()}
    tensors |= {f"ema.{name}": t for name, t in trainer.ema.module.state_dict().items()}
    tensors |= {f"memory.{name}": t for name, t in trainer.loss_state.state_dict().items()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": t for name, t in state.items()}
    progress = {"step": trainer.step, "skipped": trainer.skipped, "averaged": int(trainer.ema.n_averaged)}
    progress["parts"] = trainer.chunks
    notes = {"progress": progress, "scaler": trainer.scaler.state_dict(), "basis": dict(basis)}
    write_tensors(path, tensors, {name: json.dumps(note) for name, note in notes.items()})


def load_state(trainer: Trainer, path: Path) -> dict[str, str]:
    """Continue from what `save_state` wrote; returns its `basis`.

    Raises:
        CheckpointError: the file is missing, damaged or from a differently built model.
    """
    tensors, metadata = _read(path)
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "memory": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in groups["optimizer"].items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    # The fused kernel pairs entries by their place in memory, so moments must be laid out as their parameters.
    for index, parameter in enumerate(trainer.model.parameters()):
        moments = state.get(index, {})  # none of what is not trained
        for key, tensor in moments.items():
            if tensor.ndim and tensor.shape != parameter.shape:
                raise CheckpointError(
                    f"{path} belongs to a run whose layers were others, as in earlier versions; begin anew, or "
                    "take its weights along with --init."
                )
            if tensor.ndim:
                moments[key] = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
    try:
        progress = json.loads(metadata["progress"])
        trainer.model.load_state_dict(groups["model"])
        trainer.ema.module.load_state_dict(groups["ema"])
        # Not strict: a run may draw timesteps by importance from here on, or no longer.
        trainer.loss_state.load_state_dict(groups["memory"], strict=False)
        param_groups = trainer.optimizer.state_dict()["param_groups"]
        trainer.optimizer.load_state_dict({"state": state, "param_groups": param_groups})
        trainer.scaler.load_state_dict(json.loads(metadata["scaler"]))
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} belongs to a run with other settings: {reason}.") from None
    trainer.step, trainer.skipped = progress["step"], progress["skipped"]
    trainer.chunks = progress.get("parts", 1)
    if trainer.settings.batch_size % (
        trainer.world.size * trainer.chunks
    ):  # those of another batch, or of more processes
        trainer.chunks = 1
    trainer.ema.n_averaged.fill_(progress["averaged"])
    return json.loads(metadata.get("basis", "{}"))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and notes of a state; one that is damaged cannot be got again, but the weights beside it may be whole."""
    folder = path.parent.parent
    return read_tensors(path, f"begin anew in another --out, with --init {folder} to take its weights along")

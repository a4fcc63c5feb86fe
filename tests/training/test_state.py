"""A run's saved state: whole, and refused where it belongs to another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.samplers import last
from ddpm_core.training.loop import Trainer
from ddpm_core.training.state import load_state, save_state, steps_taken
from ddpm_core.training.timesteps import LossAwareSampler
from tests.training.line import fit, same, settings, trainer, weights


def test_a_trainer_loaded_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, first, second = trainer(iterations=9), trainer(iterations=9), trainer(iterations=9)
    last(whole.train(fit))
    for step in first.train(fit):
        if step.step == 4:
            break
    save_state(first, tmp_path / "state.safetensors")
    with torch.no_grad():
        second.model.weight.zero_()
    load_state(second, tmp_path / "state.safetensors")
    last(second.train(fit))
    assert same(weights(whole.model), weights(second.model))
    assert same(weights(whole.ema), weights(second.ema))


def test_a_state_that_remembers_gradients_of_other_layers_is_refused(tmp_path: Path) -> None:
    path, ours = tmp_path / "state.safetensors", trainer()
    last(ours.train(fit))
    save_state(ours, path)
    tensors, notes = checkpoint.read_tensors(path)
    tensors["optimizer.0.exp_avg"] = tensors["optimizer.0.exp_avg"][:, :-1].clone()
    checkpoint.write_tensors(path, tensors, notes)
    with pytest.raises(CheckpointError, match=r"state\.safetensors belongs to a run whose layers were others"):
        load_state(trainer(), path)


def test_a_state_of_another_model_or_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(CheckpointError, match=r"state\.safetensors is missing"):
        load_state(trainer(), path)
    other = Trainer(nn.Linear(4, 1), settings(), "fp32")
    save_state(other, path)
    with pytest.raises(CheckpointError, match=r"state\.safetensors belongs to a run with other settings"):
        load_state(trainer(), path)
    checkpoint.write_tensors(path, {"model.weight": torch.zeros(1, 3)})
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        load_state(trainer(), path)


def test_a_damaged_state_says_how_to_go_on_without_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "training" / "vae.safetensors"
    save_state(trainer(), path)
    path.write_bytes(path.read_bytes()[:-9])
    for read in (lambda: load_state(trainer(), path), lambda: steps_taken(path)):
        with pytest.raises(CheckpointError, match=rf"damaged .*; begin anew .* with --init {tmp_path / 'run'} to take"):
            read()


def test_the_steps_taken_are_read_without_loading_the_run(tmp_path: Path) -> None:
    path, run = tmp_path / "state.safetensors", trainer(iterations=3)
    assert steps_taken(path) == 0
    last(run.train(fit))
    save_state(run, path)
    assert steps_taken(path) == 3


def test_the_keys_of_a_saved_state_are_those_that_earlier_versions_wrote(tmp_path: Path) -> None:
    run = Trainer(nn.Linear(3, 1), settings(iterations=1), "fp32", loss_state=LossAwareSampler(10))
    last(run.train(fit))
    save_state(run, tmp_path / "state.safetensors", {"pictures": "64"})
    tensors, notes = checkpoint.read_tensors(tmp_path / "state.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"model", "ema", "memory", "optimizer"}
    assert {"memory.losses", "memory.seen"} <= tensors.keys()
    assert json.loads(notes["progress"]).keys() == {"step", "skipped", "averaged", "parts"}
    assert notes.keys() == {"progress", "scaler", "basis"}

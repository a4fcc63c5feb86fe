"""`python -m benchmarks.memory`: how much memory training the denoiser takes, counted without a GPU.

Example:
    python -m benchmarks.memory --size 256 --batch 32 --json memory.json

What training must hold at once is counted, not sampled: weights, gradients, moving average and the
optimiser's moments (one fp32 copy of the weights each, moments two), and every tensor autograd keeps for the
backward pass under bf16 autocast, each storage once. The last grow in proportion to the batch, which
is checked on small batches and then carried on to the one asked for. Not in the count: the short-lived tensors inside
an operation, the allocator's slack and what a GPU driver takes for itself. Operations run in fp32 under
autocast are the CPU's list, which is close to CUDA's but not the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from benchmarks.results import Result, report
from benchmarks.subject import new_trainer, random_latents, settings_of
from ddpm_core.diffuser import Diffuser
from ddpm_core.objective import denoiser_loss
from ddpm_core.options import fail, merge, run
from ddpm_core.presets import PRESETS
from ddpm_core.schema import VaeSettings
from ddpm_core.training import Trainer

MB = 1e6
LINEAR_WITHIN = 0.01


def main(
    preset: Annotated[str, typer.Option(help="row of ddpm_core/presets.py whose denoiser is counted")] = "faces",
    size: Annotated[int, typer.Option(min=8, help="side of the training pictures, pixels")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="pictures per micro-batch")] = 32,
    limit: Annotated[float, typer.Option(min=0, help="what the total should stay within, MB")] = 2_500,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print the memory, in MB of a million bytes, that training the denoiser holds at its peak."""
    if preset not in PRESETS:
        fail(f"there is no preset {preset!r}; choose from: {', '.join(PRESETS)}.")
    try:
        results = measure(preset, size, batch, limit)
    except ValueError as error:
        fail(str(error))
    typer.echo(f"Denoiser of preset {preset!r}, {size} pixels, batch {batch}, bf16 autocast")
    report(results, json_file)


def measure(preset: str = "faces", size: int = 256, batch: int = 32, limit: float = 2_500) -> list[Result]:
    """The parts and the total in MB, for pictures of `size` pixels; the total should stay within `limit`.

    Raises:
        ValueError: the size does not fit the autoencoder's stride, or what autograd keeps is not in proportion.
    """
    stride = 2 ** len(VaeSettings(**merge(PRESETS[preset].get("vae", {}))).channels)
    if size % stride:
        raise ValueError(f"--size {size} is no multiple of the autoencoder's stride {stride}; choose one that is.")
    parts = peak(preset, size // stride, batch)
    results = [Result(f"training memory, {name}, MB", value / MB) for name, value in parts.items()]
    return [*results, Result.at_most("training memory, total, MB", sum(parts.values()) / MB, limit)]


def peak(preset: str, cells: int, batch: int) -> dict[str, float]:
    """Bytes held at the end of a training step's forward pass, by what they are for.

    Args:
        cells: side of the latents.

    Raises:
        ValueError: what autograd keeps does not grow in proportion to the batch.
    """
    trainer = new_trainer(preset, settings_of(preset), "bf16")
    one, two, three = (saved_for_backward(trainer, cells, count) for count in (1, 2, 3))
    each = two - one
    if abs(three - two - each) > LINEAR_WITHIN * each:
        raise ValueError(
            f"batches of 1, 2 and 3 keep {one / MB:.1f}, {two / MB:.1f} and {three / MB:.1f} MB for the backward pass: "
            "that is not in proportion, so a larger batch cannot be told from small ones."
        )
    weights = sum(parameter.nbytes for parameter in trainer.model.parameters())
    return {
        "weights": weights,
        "gradients": weights,
        "moving average": sum(parameter.nbytes for parameter in trainer.ema.module.parameters()),
        "optimiser": 2 * weights,
        "kept for backward, whatever the batch": one - each,
        "kept for backward, by the batch": each * batch,
    }


def saved_for_backward(trainer: Trainer, cells: int, batch: int) -> int:
    """Bytes that autograd keeps between the forward and the backward pass of a training step, weights apart."""
    counter = SavedTensors(trainer.model)
    trainer.model.train()
    clean = random_latents(trainer.model, batch, cells)  # type: ignore[arg-type]
    with torch.autograd.graph.saved_tensors_hooks(counter.keep, lambda tensor: tensor), trainer.autocast():
        loss = denoiser_loss(trainer.model, clean, Diffuser(), "lognormal", 0.0)["loss"]  # type: ignore[arg-type]
    found = counter.total()
    del loss
    return found


class SavedTensors:
    """Counts storages that autograd saves, each once however many views of it are saved, and not the model's own."""

    def __init__(self, model: nn.Module):
        self.own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
        self.storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given out twice

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.own:
            self.storages[storage.data_ptr()] = storage
        return tensor

    def total(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())


if __name__ == "__main__":
    run(main)

"""`python -m benchmarks.memory`: how much memory training the denoiser takes, counted without a GPU.

Example:
    python -m benchmarks.memory --size 256 --batch 32 --json memory.json

Counted as in `ddpm_core.training.memory_budget`: weights, gradients, moving average, the optimiser's two moments
(fp32), and what autograd keeps for the backward pass under bf16 autocast, extrapolated from small batches; not what
passes by in an operation. Operations in fp32 under autocast are the CPU's list, close to CUDA's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from benchmarks.results import Result, report
from benchmarks.subject import codec_of, new_trainer, random_latents, settings_of
from ddpm_core.cli import fail, in_one_sentence, run
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.errors import UserError
from ddpm_core.networks.unet import UNet
from ddpm_core.training.losses import denoiser_loss
from ddpm_core.training.memory_budget import needs_of, saved_for_backward
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.shards import MicroBatch

MB = 1e6
LINEAR_WITHIN = 0.01


def main(
    preset: Annotated[str, typer.Option(help="row of training/presets.py whose denoiser is counted")] = "faces",
    size: Annotated[int, typer.Option(min=8, help="side of the training pictures, pixels")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="pictures per micro-batch")] = 32,
    limit: Annotated[float, typer.Option(min=0, help="what the total should stay within, MB")] = 2_500,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print the memory, in MB of a million bytes, that training the denoiser holds at its peak."""
    if preset not in PRESETS:
        fail(f"there is no preset {preset!r}; choose from: {', '.join(PRESETS)}.")
    with in_one_sentence():
        results = measure(preset, size, batch, limit)
    typer.echo(f"Denoiser of preset {preset!r}, {size} pixels, batch {batch}, bf16 autocast")
    report(results, json_file)


def measure(preset: str = "faces", size: int = 256, batch: int = 32, limit: float = 2_500) -> list[Result]:
    """Memory by purpose and in all, MB, for pictures of `size` pixels.

    Raises:
        UserError: the size does not fit the codec's stride, or what autograd keeps is not in proportion.
    """
    stride = codec_of(preset).stride
    if size % stride:
        raise UserError(f"--size {size} is no multiple of the codec's stride {stride}; choose one that is.")
    purposes = peak(preset, size // stride, batch)
    results = [Result(f"training memory, {name}, MB", value / MB) for name, value in purposes.items()]
    return [*results, Result.at_most("training memory, total, MB", sum(purposes.values()) / MB, limit)]


def peak(preset: str, cells: int, batch: int) -> dict[str, int]:
    """Bytes held at the end of a training step's forward pass, by purpose.

    Args:
        cells: side of the latents.

    Raises:
        UserError: what autograd keeps does not grow in proportion to the batch.
    """
    trainer, diffuser = new_trainer(preset, settings_of(preset), "bf16"), Diffuser()

    def loss(model: UNet, micro_batch: MicroBatch) -> dict[str, Tensor]:
        return denoiser_loss(model, random_latents(model, micro_batch.batch_size, cells), diffuser, "lognormal", 0.0)

    needs, three = needs_of(trainer, loss), saved_for_backward(trainer, loss, 3)
    if abs(needs.saved + 3 * needs.saved_each - three) > LINEAR_WITHIN * needs.saved_each:
        one, two = (needs.saved + count * needs.saved_each for count in (1, 2))
        raise UserError(
            f"batches of 1, 2 and 3 keep {one / MB:.1f}, {two / MB:.1f} and {three / MB:.1f} MB for the backward pass: "
            "that is not in proportion, so a larger batch cannot be told from small ones."
        )
    return needs.by_purpose(batch)


if __name__ == "__main__":
    run(main)

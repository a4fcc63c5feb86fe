"""The serpentine block: its speed beside attention's, its growth, and its fraction of a training step."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import torch
from torch import nn

from benchmarks.results import Result
from benchmarks.subject import settings_of, training_steps
from benchmarks.timing import medians
from ddpm_core.networks import serpentine
from ddpm_core.networks.gated_scan import scan_in_chunks
from ddpm_core.networks.mixers import AttentionMixer
from ddpm_core.networks.serpentine import SerpentineMixer
from ddpm_core.training.memory_budget import SavedTensors

CHANNELS = 128
TOKENS = 4096  # in all, so that every grid gives the processor as much to do
FASTER = {16: 1.0, 32: 4.0, 64: 12.0}  # at least so many times faster than attention, by side of the grid
GROWTH = (16, 32, 64, 128)  # sides
STEP_FRACTIONS = {16: 0.20, 32: 0.25}  # of a training step, by side of the latent
SETTINGS = {
    f"{name}, head size {size}": (size, dtype)
    for size in (32, 64)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
}


def measure() -> list[Result]:
    """All rows of the block."""
    return [*beside_attention(), *growth(), *step_fraction()]


def pass_through(block: nn.Module, batch: int, side: int, dtype: torch.dtype) -> Callable[[], None]:
    """Forward and backward through a block in training, on an input in `dtype`, under autocast if that is not fp32."""
    nn.init.normal_(block.out.weight, std=0.02)  # type: ignore[union-attr,arg-type]
    x = torch.randn(batch, CHANNELS, side, side, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            out = block(x)
        out.backward(torch.ones_like(out))

    return run


def in_chunks(run: Callable[[], None]) -> Callable[[], None]:
    """The same with the scan of PyTorch's operations, which other devices have, instead of the compiled one."""

    def otherwise() -> None:
        with mock.patch.object(serpentine, "gated_scan", scan_in_chunks):
            run()

    return otherwise


def beside_attention(repeats: int = 15) -> list[Result]:
    """How many times faster the serpentine block is than attention, both at their fastest here, and than with the scan
    of other devices.
    """
    results = []
    for side, minimum in FASTER.items():
        batch = max(1, TOKENS // side**2)
        blocks = {
            f"attention, {name}": pass_through(AttentionMixer(CHANNELS, size), batch, side, dtype)
            for name, (size, dtype) in SETTINGS.items()
        } | {
            f"serpentine, {dtype}": pass_through(SerpentineMixer(CHANNELS), batch, side, dtype)
            for dtype in (torch.float32, torch.bfloat16)
        }
        blocks |= {f"chunks, {name}": in_chunks(run) for name, run in blocks.items() if name.startswith("serpentine")}
        seconds_of = medians(blocks, repeats)
        ours, theirs, chunks = (
            min(seconds for name, seconds in seconds_of.items() if name.startswith(kind))
            for kind in ("serpentine", "attention", "chunks")
        )
        name = f"serpentine block, {side**2:,} tokens, batch {batch}"
        results.append(Result.at_least(f"{name}: times faster than attention", theirs / ours, minimum))
        results.append(Result(f"{name}: times faster than by the scan in chunks", chunks / ours))
        results.append(Result(f"{name}: seconds", ours))
    return results


def growth(repeats: int = 5) -> list[Result]:
    """Slopes, in log over log, of a block's time and saved activations against its number of tokens, batch 1."""
    torch.manual_seed(0)
    block = SerpentineMixer(CHANNELS)
    seconds_of = medians({str(side): pass_through(block, 1, side, torch.bfloat16) for side in GROWTH}, repeats)
    tokens = [side**2 for side in GROWTH]
    saved = [saved_by(block, side) for side in GROWTH]
    span = f"{tokens[0]} to {tokens[-1]:,} tokens"
    return [
        Result.at_most(f"serpentine block, time, slope from {span}", slope(tokens, list(seconds_of.values())), 1.1),
        Result.at_most(f"serpentine block, saved activations, slope from {span}", slope(tokens, saved), 1.1),
    ]


def saved_by(block: nn.Module, side: int) -> int:
    """Bytes autograd keeps for a block's backward pass, batch 1."""
    counter = SavedTensors(block)
    x = torch.randn(1, CHANNELS, side, side, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    with (
        torch.autograd.graph.saved_tensors_hooks(counter.keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16),
    ):
        out = block(x.requires_grad_())
    found = counter.total()
    del out
    return found


def slope(x: list[int], y: list[float] | list[int]) -> float:
    """Slope of the straight line through (log x, log y), by least squares."""
    across, up = torch.tensor(x, dtype=torch.float64).log(), torch.tensor(y, dtype=torch.float64).log()
    across, up = across - across.mean(), up - up.mean()
    return float((across * up).sum() / across.square().sum())


def step_fraction(preset: str = "faces", batch: int = 32, repeats: int = 15) -> list[Result]:
    """The fraction of a training step of the preset's denoiser that its serpentine blocks take.

    Larger latents come in smaller batches, as many cells in all.
    """
    results = []
    for side, maximum in STEP_FRACTIONS.items():
        each = max(1, batch * min(STEP_FRACTIONS) ** 2 // side**2)
        steps = {
            mixer: training_steps(preset, settings_of(preset, mixer=mixer, batch_size=each), side)
            for mixer in ("serpentine", "none")
        }
        seconds_of = medians({mixer: lambda s=own: next(s) for mixer, own in steps.items()}, repeats)  # type: ignore[misc]
        name = f"serpentine blocks in a training step, {side}x{side} latents, batch {each}"
        results.append(Result.at_most(f"{name}: share", 1 - seconds_of["none"] / seconds_of["serpentine"], maximum))
        results.append(Result(f"{name}: seconds per step", seconds_of["serpentine"]))
    return results

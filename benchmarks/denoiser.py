"""One call of the denoiser beside the matrix products it consists of, in the same type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.results import Result
from benchmarks.timing import medians, ratio, turns
from ddpm_core.checkpoints import native as checkpoints
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.cpu.packed import RememberedModulations, ready
from ddpm_core.networks.unet import ConditionedDenoiser

BATCHES = (1, 8)
CALLS = 20  # the default number of steps
LEAST_RATIO = 0.6  # of the rate of the matrix products
GIGA = 1e9

Product = tuple[int, int, int]  # rows, inner, columns
LARGE: Product = (2048, 2048, 2048)  # shows what the machine can do at best


def measure(folder: Path = Path("checkpoints/faces-128"), repeats: int = 40) -> list[Result]:
    """Rows on the checkpoint's denoiser as the pipeline calls it, for a batch of 1 and of 8.

    Every turn makes `CALLS` at as many timesteps, as a picture does; figures are of one. A convolution counts as the
    product of a (B*H*W, k*k*in) and a (k*k*in, out) matrix, whatever it saves; a remark holds arithmetic per second
    against the products it does make. For scale: the rate of one large product, and the bytes of weights and outputs.
    """
    config = checkpoints.read_config(folder)
    stride = checkpoints.load_vae(folder).stride
    plain, cells = checkpoints.load_denoiser(folder), config.size // stride
    fast, remembering = ready(checkpoints.load_denoiser(folder), torch.device("cpu")), checkpoints.load_denoiser(folder)
    assert isinstance(remembering, ConditionedDenoiser)
    remembering.modulations = RememberedModulations(remembering)  # type: ignore[method-assign]
    dtype = next(fast.parameters()).dtype
    results = []
    for batch in BATCHES:
        noisy = torch.randn(batch, plain.latent_channels, cells, cells).to(memory_format=torch.channels_last)
        states = [torch.full((batch,), t) for t in Diffuser().spaced_timesteps(CALLS)[:-1]]
        products, numbers = inside(plain, noisy, states[0])
        executed, _ = [inside(remembering, noisy, states[0]) for _ in range(2)][1]
        contestants: dict[str, Callable[[], object]] = {
            "call": lambda noisy=noisy, states=states: [fast(noisy, t) for t in states],  # type: ignore[misc]
            "products": run_in_turn(products, dtype),
            "products made": run_in_turn(executed, dtype),
        }
        with torch.inference_mode():
            seconds_of = turns(contestants, repeats, warmup=1)
            large = medians({"large": run_in_turn([LARGE], dtype)}, repeats=1, warmup=1)["large"] / CALLS
        rates = {kind: ratio(seconds_of[kind], seconds_of["call"]) for kind in ("products", "products made")}
        seconds, work = median(seconds_of["call"]) / CALLS, arithmetic(products)
        weights = sum(parameter.numel() for parameter in plain.parameters())
        name = f"denoiser call, batch {batch}, {str(dtype).removeprefix('torch.')}"
        results += [
            Result.at_least(f"{name}: rate over that of its matrix products", rates["products"], LEAST_RATIO),
            Result(f"{name}: rate over that of the products it makes", rates["products made"]),
            Result(f"{name}: arithmetic, GFLOP", work / GIGA),
            Result(f"{name}: weights and outputs, MB", (weights + numbers) * dtype.itemsize / 1e6),
            Result(f"{name}: GFLOP/s", work / seconds / GIGA),
            Result(f"{name}: GFLOP/s of its matrix products", work / median(seconds_of["products"]) * CALLS / GIGA),
            Result(f"{name}: GFLOP/s of one product of {LARGE[0]} x {LARGE[1]}", arithmetic([LARGE]) / large / GIGA),
            Result(f"{name}: seconds", seconds),
        ]
    return results


def run_in_turn(products: list[Product], dtype: torch.dtype) -> Callable[[], None]:
    """A function that makes all these products, one after the other, `CALLS` times."""
    operands = [(torch.randn(a, b, dtype=dtype), torch.randn(b, c, dtype=dtype)) for a, b, c in products]

    def make() -> None:
        for _ in range(CALLS):
            for one, other in operands:
                one @ other

    return make


@torch.inference_mode()
def inside(network: nn.Module, *inputs: Tensor) -> tuple[list[Product], int]:
    """The matrix products in one call of a network, and how many numbers its convolutions and linear layers put out."""
    products: list[Product] = []
    numbers = 0

    def note(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal numbers
        numbers += out.numel()
        columns = out.shape[1] if isinstance(layer, nn.Conv2d) else out.shape[-1]
        inner = layer.weight.numel() // columns  # type: ignore[operator,union-attr]
        products.append((out.numel() // columns, inner, columns))

    hooks = [
        layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return products, numbers


def arithmetic(products: list[Product]) -> int:
    """Additions and multiplications in matrix products."""
    return sum(2 * rows * inner * columns for rows, inner, columns in products)

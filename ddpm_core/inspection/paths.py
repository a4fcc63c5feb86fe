"""How far cells of a latent hear of each other in one layer: along serpentine paths, by attention, by a convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ddpm_core.errors import UserError
from ddpm_core.inspection.remember import remembered
from ddpm_core.inspection.subject import MOST_STATES, InsideRequest, Subject, check_state
from ddpm_core.networks.cpu.packed import unpacked
from ddpm_core.networks.mixers import AttentionMixer
from ddpm_core.networks.serpentine import SerpentineMixer, scan_paths
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion

MOST_CELLS = 128  # along a side of a latent
PROBES = 16
SIDES = (8, 16, 32, 64, 128, 256)  # of the grids whose cost is counted
KERNEL = 3
LAYERS = ("serpentine", "attention", "convolution")


class PathsRequest(InsideRequest):
    """Which cell is asked how strongly all others reach it, in the latent of a picture under noise."""

    row: int = Field(6, ge=0, lt=MOST_CELLS, description="row of the cell, from 0 at the top")
    column: int = Field(5, ge=0, lt=MOST_CELLS, description="column of the cell, from 0 at the left")
    t: int = Field(300, ge=1, le=MOST_STATES - 1, description="state in which the network meets the picture")


@dataclass(frozen=True, eq=False)
class Reach:
    """How strongly each cell reaches one, by layer, as `influence` has it."""

    # (h, w) each, fp32 on the CPU, by the names in `LAYERS`; shares that sum to 1, the cell's own left out
    by_layer: dict[str, Tensor]
    channels: int  # C, of what the layers are fed

    def cells(self, layer: str) -> int:
        """How many other cells reach it at all, as far as fp32 tells."""
        strength = self.by_layer[layer]
        return int((strength > strength.max() * torch.finfo(torch.float32).eps).sum())

    def beyond(self, layer: str, row: int, column: int, cells: int = 4) -> float:
        """Share of what reaches (row, column) that comes from more than so many cells away."""
        strength = self.by_layer[layer]
        rows, columns = (torch.arange(extent) for extent in strength.shape)
        away = torch.maximum((rows - row).abs()[:, None], (columns - column).abs()[None])  # (h, w)
        return strength[away > cells].sum().item()


def path_cells(height: int, width: int) -> list[list[int]]:
    """The eight paths over a grid, each its cells' numbers `y * width + x` in order."""
    return scan_paths(height, width).permutation.tolist()


def check_cell(latent: Tensor, row: int, column: int) -> None:
    """Raises `UserError` if a latent (1, C, h, w) has no such cell."""
    height, width = latent.shape[2:]
    if row >= height or column >= width:
        raise UserError(f"the latent has {height} rows and {width} columns of cells, counted from 0; there is no cell "
                        f"in row {row} and column {column}.")  # fmt: skip


@remembered(64)
def reach(model: LatentDiffusion, subject: Subject, request: PathsRequest) -> Reach:
    """How strongly every cell reaches one through a layer of each kind, fed what the network feeds its mixer.

    Attention has random weights, so how strongly it reaches cells means nothing. Raises `UserError` if the model has no
    serpentine mixer, or no such cell or state.
    """
    check_state(model, request.t)
    check_cell(subject.latent, request.row, request.column)
    layers, x = _layers(model, subject, request.t)
    by_layer = {}
    for name, layer in layers.items():
        strength = influence(layer, x, request.row, request.column).cpu()
        strength[request.row, request.column] = 0
        by_layer[name] = strength / strength.sum()
    return Reach(by_layer, x.shape[1])


@remembered(4)
def _layers(model: LatentDiffusion, subject: Subject, t: int) -> tuple[dict[str, nn.Module], Tensor]:
    """A layer of each kind in `LAYERS`, and what the trained mixer of the finest level is fed, (1, C, h, w)."""
    network = model.denoiser
    if not isinstance(network, UNet) or not isinstance(network.down[0].mixer, SerpentineMixer):
        raise UserError(f"{model.name} has no serpentine mixer; choose a checkpoint that has, such as faces-128.")
    plain = unpacked(network)
    stage: Any = plain.down[0]
    state = torch.full((1,), t, device=model.device)
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(subject.latent.shape, generator=generator).to(subject.latent)  # (1, C, h, w)
    with torch.no_grad():
        modulations = plain.modulations(state).split(plain.modulated, dim=1)
        x = plain.input(model.diffuser.add_noise(subject.latent, eps, state))  # (1, channels, h, w)
        for block, modulation in zip(stage.blocks, modulations, strict=False):
            x = block(x, modulation)  # (1, C, h, w)
    return {
        "serpentine": stage.mixer,
        "attention": untrained_attention(x.shape[1]).to(x.device),
        "convolution": stage.blocks[-1].conv2,
    }, x


def untrained_attention(channels: int) -> AttentionMixer:
    """Attention with random weights, its last layer's too, so that it is not the identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mixer = AttentionMixer(channels)
        mixer.out.reset_parameters()
    return mixer.requires_grad_(False)


def influence(
    layer: Callable[[Tensor], Tensor], x: Tensor, row: int, column: int, probes: int | None = PROBES
) -> Tensor:
    """How strongly each cell of `x` (1, C, h, w) moves what a layer gives for one cell, (h, w).

    It is the Frobenius norm of d y[:, row, column] / d x[:, i, j], by random `probes` (Hutchinson 1990); None is exact.
    """
    with torch.inference_mode(False), torch.enable_grad():
        one = x.detach().clone()
        channels = layer(one).shape[1]
        if probes is None:
            signs = torch.eye(channels)  # (probes, C)
        else:
            signs = torch.randint(0, 2, (probes, channels), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
        given = one.expand(len(signs), -1, -1, -1).clone().requires_grad_()  # (probes, C, h, w)
        projected = (layer(given)[:, :, row, column] * signs.to(x)).sum()
        (gradient,) = torch.autograd.grad(projected, given)  # (probes, C, h, w)
    squared = gradient.square().sum((0, 1))  # (h, w)
    return (squared / (1 if probes is None else len(signs))).sqrt()


def multiplications(channels: int, sides: Sequence[int] = SIDES) -> dict[str, list[tuple[int, int]]]:
    """Multiplications in one layer of each kind over grids of side x side cells: (cells, multiplications)."""
    grids = [side**2 for side in sides]
    return {
        "serpentine": [(n, 4 * n * channels**2 + 4 * n * channels) for n in grids],
        "attention": [(n, 4 * n * channels**2 + 2 * n**2 * channels) for n in grids],
        "convolution": [(n, KERNEL**2 * n * channels**2) for n in grids],
    }

"""What one cell of a latent paints, and how far a local decoder promises that it reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from pydantic import Field
from torch import Tensor, nn

from ddpm_core.evaluation.metrics import reach_of
from ddpm_core.images.files import to_pictures
from ddpm_core.inspection.paths import MOST_CELLS, check_cell
from ddpm_core.inspection.remember import remembered
from ddpm_core.inspection.subject import InsideRequest, Subject
from ddpm_core.networks.codec import Codec
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion

# As `python -m benchmarks.locality` printed them for faces-128 (docs/measurements.md): AutoencoderKL of the same stride
# and as many parameters, whose attention and group norms see the whole picture.
GLOBAL_RADIUS, GLOBAL_WITHIN_3X3 = 120, 0.2626
FRAME = "#e0457b"


class CellRequest(InsideRequest):
    """Which cell of a picture's latent is moved, and how far."""

    row: int = Field(6, ge=0, lt=MOST_CELLS, description="row of the cell, from 0 at the top")
    column: int = Field(5, ge=0, lt=MOST_CELLS, description="column of the cell, from 0 at the left")
    move: float = Field(1.0, ge=0.1, le=4, description="how far each of its channels is moved, in deviations")
    amplify: float = Field(4.0, ge=1, le=64, description="times by which the change of the pixels is shown enlarged")


@dataclass(frozen=True, eq=False)
class Painted:
    """What a cell paints."""

    # before, after: the decoded latent, as it is and with the cell moved
    before: Image.Image
    after: Image.Image
    change: Image.Image  # their difference in grey, 0 black; a frame marks how far it is promised to reach
    radius: int  # pixels from the cell's own square to the farthest that changes
    promised: int | None  # what the decoder's layers allow, if they promise anything
    within_3x3: float  # share of the squared change in the cell's own square and its eight neighbours'


def promised_radius(codec: Codec) -> int | None:
    """Pixels beyond a cell's own square that its decoder can reach, whatever its weights; None for no promise."""
    if codec.of_pixels:
        return 0
    if not isinstance(codec, VAE):
        return None
    # Every convolution of kernel k adds (k - 1) / 2 cells of its grid, each `stride` pixels wide at first and half as
    # wide after every doubling. Norms are over the channels of one pixel and add nothing.
    width, radius = codec.stride, 0
    for layer in codec.decoder.modules():  # in the order in which they work
        if isinstance(layer, nn.Conv2d):
            radius += layer.kernel_size[0] // 2 * width
        elif isinstance(layer, nn.PixelShuffle):
            width //= layer.upscale_factor
    return radius


@torch.inference_mode()
def change_of_cell(codec: Codec, latent: Tensor, row: int, column: int, move: float) -> tuple[Tensor, Tensor]:
    """A latent (1, C, h, w) decoded, (1, 3, H, W), before and after one cell's channels move by `move`, up or down."""
    # Which channels go up is random, but always the same.
    signs = torch.randn(latent.shape[1], generator=torch.Generator().manual_seed(0)).sign().to(latent)  # (C,)
    moved = latent.clone()
    moved[0, :, row, column] += move * signs
    return codec.decode(latent), codec.decode(moved)


@remembered(64)
def painted_by_cell(model: LatentDiffusion, subject: Subject, request: CellRequest) -> Painted:
    """What one cell of a picture's latent paints. Raises `UserError` if there is no such cell."""
    check_cell(subject.latent, request.row, request.column)
    before, after = change_of_cell(model.codec, subject.latent, request.row, request.column, request.move)
    difference = (after - before)[0].cpu()  # (3, H, W)
    change = difference.square().sum(0)  # (H, W)
    outside = reach_of(change, request.row, request.column, model.codec.stride)
    promised, total = promised_radius(model.codec), change.sum().item()
    shown = np.asarray(to_pictures(difference.abs().mean(0).expand(1, 3, -1, -1) * request.amplify - 1)[0])
    return Painted(
        to_pictures(before)[0],
        to_pictures(after)[0],
        framed(Image.fromarray(shown), request.row, request.column, model.codec.stride, promised),
        int(outside[change > 0].max()) if total else 0,
        promised,
        change[outside <= model.codec.stride].sum().item() / total if total else 1.0,
    )


def framed(picture: Image.Image, row: int, column: int, stride: int, radius: int | None) -> Image.Image:
    """The picture twice as large, with frames around a cell and all pixels within `radius` of it."""
    large = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large)
    for beyond in {0, radius or 0}:
        left, top = (max(0, 2 * (place * stride - beyond)) for place in (column, row))
        right, bottom = (
            min(extent, 2 * ((place + 1) * stride + beyond)) - 1
            for place, extent in zip((column, row), large.size, strict=True)
        )
        draw.rectangle((left, top, right, bottom), outline=FRAME, width=1 + (beyond > 0))
    return large

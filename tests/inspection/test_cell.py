"""What a cell paints: the pixels that change are found, and lie where the decoder's layers say they must."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ddpm_core.checkpoints.native import load_vae
from ddpm_core.errors import UserError
from ddpm_core.inspection.cell import CellRequest, change_of_cell, painted_by_cell, promised_radius
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion


def test_the_promise_is_that_of_the_layers_and_is_kept_exactly(shaken) -> None:
    codec = shaken(VAE(latent_channels=2, channels=(16, 32), decoder_blocks=1, full_width=8))
    promised = promised_radius(codec)
    latent = torch.randn(1, 2, 16, 16).double()
    before, after = change_of_cell(codec.double(), latent, 8, 8, 1.0)
    rows, columns = torch.nonzero((after - before)[0].abs().sum(0), as_tuple=True)
    assert promised is not None
    assert (rows.min(), rows.max()) == (32 - promised, 35 + promised)
    assert (columns.min(), columns.max()) == (32 - promised, 35 + promised)


def test_the_shipped_decoder_promises_what_the_docs_say() -> None:
    assert promised_radius(load_vae("checkpoints/faces-128")) == 27


def test_pixels_reach_no_further_and_unknown_decoders_promise_nothing() -> None:
    class Other(Codec):
        means = restored = nn.Module.forward

    assert promised_radius(PixelCodec(4)) == 0
    assert promised_radius(Other(3, 2)) is None


def test_what_is_said_and_shown_is_the_difference_of_the_decoded_latents(tiny_model: LatentDiffusion) -> None:
    subject, request = subject_of_seed(tiny_model, 2), CellRequest(row=1, column=6, move=2, amplify=3)
    painted = painted_by_cell(tiny_model, subject, request)
    before, after = change_of_cell(tiny_model.codec, subject.latent, 1, 6, 2)
    difference = (after - before)[0].abs()
    rows, columns = torch.nonzero(difference.sum(0), as_tuple=True)
    outside = [max(4 * c - low, high - 4 * c - 3, 0) for c, low, high in
               ((1, rows.min(), rows.max()), (6, columns.min(), columns.max()))]  # fmt: skip
    assert painted.radius == max(outside) <= painted.promised
    moved = (before[0] - after[0])[:, rows, columns].square().sum().item()
    near = (before[0] - after[0])[:, 0:12, 20:32].square().sum().item()
    assert painted.within_3x3 == pytest.approx(near / moved)
    shown = np.asarray(painted.change.resize((32, 32), 0)).astype(int)[:, :, 0]
    inside = (6, 26)  # within the frame's lines
    expected = min(255, round(difference.mean(0)[inside].item() * 3 * 127.5))
    assert abs(shown[inside] - expected) <= 1
    assert np.array_equal(painted.before, tiny_model.pictures(subject.latent)[0])


def test_a_cell_that_is_not_there_is_told(tiny_model: LatentDiffusion) -> None:
    with pytest.raises(UserError, match="8 rows and 8 columns"):
        painted_by_cell(tiny_model, subject_of_seed(tiny_model, 2), CellRequest(row=0, column=8))

"""The shipped faces: the fast way and the plain way make the same picture."""

from __future__ import annotations

import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import to_bytes
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from tests.shipped_pictures import CHECKPOINTS

FOLDER = CHECKPOINTS / "faces-128"
LEVELS = 1.0  # of 255, on average over a picture; that of another seed is more than twenty away


def test_packed_bf16_weights_make_the_pictures_of_plain_fp32_ones() -> None:
    fast = LatentDiffusion.load(FOLDER, "cpu")
    plain = LatentDiffusion(**vars(checkpoint.load_parts(FOLDER, "cpu")))
    assert {parameter.dtype for parameter in plain.denoiser.parameters()} == {torch.float32}
    request = GenerateRequest(seed=3, count=2, steps=20)
    quick, slow = (
        torch.from_numpy(to_bytes(model.codec.decode(last(model.generate(request)).latent)).astype("float32"))
        for model in (fast, plain)
    )
    apart = (quick - slow).abs().mean((1, 2, 3))
    assert apart.max() < LEVELS
    assert (slow[0] - slow[1]).abs().mean() > 20 * LEVELS

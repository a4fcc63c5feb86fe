"""Networks by name, and the one place that says what they are like unless told otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.dit import DiT
from ddpm_core.networks.tables import BACKBONES, CODECS, default
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.training.settings import DenoiserSettings, TrainRequest, VaeSettings


def test_every_network_is_found_by_its_name_and_needs_no_more_to_be_built() -> None:
    assert isinstance(CODECS["vae"](), VAE)
    assert isinstance(CODECS["pixel"](), PixelCodec)
    assert all(isinstance(network(), Codec) for network in CODECS.values())
    assert isinstance(BACKBONES["unet"](), UNet)
    assert isinstance(BACKBONES["dit"](), DiT)
    assert DenoiserSettings().patch == default(DiT, "patch")


@pytest.mark.parametrize(("settings", "network"), [(VaeSettings, VAE), (DenoiserSettings, UNet)])
def test_what_is_trained_by_default_is_what_the_constructor_builds(settings: type, network: type) -> None:
    of_the_other = {"backbone", "patch"} if network is UNet else set()
    for name in set(settings.SHAPE) - of_the_other:
        assert getattr(settings(), name) == default(network, name)


def test_pixels_are_taken_together_as_the_codec_does() -> None:
    assert TrainRequest(data="x", out="y").pixel_stride == default(PixelCodec, "stride") == PixelCodec().stride


@pytest.mark.parametrize(
    ("name", "shape"), [("unet", {"channels": (32, 64)}), ("dit", {"channels": (32,), "patch": 2})]
)
def test_every_backbone_takes_a_condition_beside_the_latent(name: str, shape: dict[str, Any], shaken) -> None:
    network = shaken(BACKBONES[name](blocks=1, conditioning_channels=5, variance="learned", **shape)).eval()
    shown = torch.randn(2, 9, 8, 8)
    other = torch.cat([shown[:, :4], torch.randn(2, 5, 8, 8)], dim=1)
    with torch.no_grad():
        outputs = [network(each, torch.tensor([3, 700])) for each in (shown, other)]
    assert outputs[0].shape == (2, 8, 8, 8)
    assert not torch.allclose(*outputs)
    with pytest.raises(ValueError, match="-1 conditioning channels"):
        BACKBONES[name](conditioning_channels=-1, **shape)

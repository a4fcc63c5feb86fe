"""How far cells hear of each other: measured by gradient, and counted."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ddpm_core.errors import UserError
from ddpm_core.inspection.paths import (
    LAYERS,
    PathsRequest,
    influence,
    multiplications,
    path_cells,
    reach,
    untrained_attention,
)
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.networks.mixers import MIXERS
from ddpm_core.networks.serpentine import SerpentineMixer, scan_paths
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion


def test_the_paths_are_those_that_the_mixer_scans() -> None:
    paths = path_cells(3, 4)
    assert paths == scan_paths(3, 4).permutation.tolist()
    assert paths[0] == [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11]


@pytest.mark.parametrize("kind", ["serpentine", "attention"])
def test_influence_is_the_norm_of_the_jacobian_and_probes_tell_it_nearly(kind: str, shaken) -> None:
    layer, x = shaken(MIXERS[kind](16), scale=0.3), torch.randn(1, 16, 4, 5)
    jacobian = torch.autograd.functional.jacobian(lambda given: layer(given)[0, :, 1, 2], x)  # (C, 1, C, h, w)
    expected = jacobian.square().sum((0, 1, 2)).sqrt()
    torch.testing.assert_close(influence(layer, x, 1, 2, probes=None), expected)
    torch.testing.assert_close(influence(layer, x, 1, 2, probes=512), expected, rtol=0.15, atol=1e-6)


def test_the_trained_mixer_reaches_all_cells_and_a_convolution_its_neighbours(tiny_model: LatentDiffusion) -> None:
    subject, request = subject_of_seed(tiny_model, 1), PathsRequest(seed=1, row=3, column=3)
    found = reach(tiny_model, subject, request)
    assert tuple(found.by_layer) == LAYERS
    for strength in found.by_layer.values():
        assert strength[3, 3] == 0
        assert strength.sum().item() == pytest.approx(1, abs=1e-5)
    assert [found.cells(layer) for layer in LAYERS] == [63, 63, 8]
    assert found.beyond("convolution", 3, 3, cells=1) == 0
    assert found.beyond("serpentine", 3, 3, cells=1) > 0
    assert reach(tiny_model, subject, request) is found


def test_it_is_the_networks_own_mixer_fed_what_the_network_feeds_it(tiny_model: LatentDiffusion) -> None:
    subject, request = subject_of_seed(tiny_model, 1), PathsRequest(seed=1, row=2, column=5, t=200)
    fed = []
    hook = tiny_model.denoiser.down[0].mixer.register_forward_pre_hook(lambda module, args: fed.append(args[0]))
    eps = torch.randn(subject.latent.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        t = torch.tensor([200])
        tiny_model.denoiser(tiny_model.diffuser.add_noise(subject.latent, eps, t), t)
    hook.remove()
    mixer = SerpentineMixer(fed[0].shape[1])
    weights = {
        name.replace(".plain", ""): value for name, value in tiny_model.denoiser.down[0].mixer.state_dict().items()
    }
    mixer.load_state_dict(weights)
    expected = influence(mixer, fed[0].clone().float(), 2, 5)
    expected[2, 5] = 0
    torch.testing.assert_close(
        reach(tiny_model, subject, request).by_layer["serpentine"], expected / expected.sum(), rtol=0.02, atol=1e-4
    )


def test_a_model_without_paths_or_a_cell_that_is_not_there_is_told(tiny_model, class_model, shaken) -> None:
    subject = subject_of_seed(tiny_model, 1)
    with pytest.raises(UserError, match="no cell in row 9"):
        reach(tiny_model, subject, PathsRequest(row=9, column=0))
    plain = UNet(class_model.codec.latent_channels, channels=(8, 8), blocks=1, mixer="none")
    other = LatentDiffusion(class_model.codec, plain, class_model.diffuser, 32, name="plain")
    with pytest.raises(UserError, match="plain has no serpentine mixer"):
        reach(other, subject_of_seed(class_model, 1), PathsRequest(row=0, column=0))


def test_multiplications_are_those_that_pytorch_counts() -> None:
    channels, side = 16, 4
    count = {layer: grids[0][1] for layer, grids in multiplications(channels, [side]).items()}
    x = torch.randn(1, channels, side, side)
    layers = {"serpentine": SerpentineMixer(channels), "attention": untrained_attention(channels)}
    layers["convolution"] = nn.Conv2d(channels, channels, 3, padding=1)
    for name, layer in layers.items():
        with (
            FlopCounterMode(display=False) as counter,
            torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        ):
            layer(x)
        scan = 4 * side**2 * channels if name == "serpentine" else 0  # compiled, so not counted
        assert counter.get_total_flops() == 2 * (count[name] - scan), name

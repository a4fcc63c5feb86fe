"""The diffusion transformer: what it starts as, what it is told, and that it is a denoiser like any other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddpm_core.errors import UserError
from ddpm_core.networks.cpu.packed import ready
from ddpm_core.networks.dit import TOKEN_MIXERS, DiT, positions


def dit(**arguments) -> DiT:
    """A small one that has learned something: nothing in it is zero."""
    torch.manual_seed(0)
    network = DiT(latent_channels=4, channels=(64,), blocks=2, **arguments).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


NOISY, T = torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([5, 400, 999])


@pytest.mark.parametrize("mixer", TOKEN_MIXERS)
@pytest.mark.parametrize("patch", [1, 2])
@torch.inference_mode()
def test_output_has_the_latents_shape_and_depends_on_latent_time_and_class(mixer: str, patch: int) -> None:
    network = dit(mixer=mixer, patch=patch, classes=3)
    label = torch.tensor([0, 1, 2])
    output = network(NOISY, T, label)
    assert output.shape == NOISY.shape
    assert not torch.allclose(output, network(NOISY + 1, T, label), atol=1e-3)
    assert not torch.allclose(output, network(NOISY, T.flip(0), label), atol=1e-3)
    assert not torch.allclose(output, network(NOISY, T, label.flip(0)), atol=1e-3)
    assert torch.equal(network(NOISY, T), network(NOISY, T, torch.full((3,), network.null_class)))


@pytest.mark.parametrize("mixer", TOKEN_MIXERS)
@torch.inference_mode()
def test_every_cell_sees_every_other(mixer: str) -> None:
    network = dit(mixer=mixer)
    changed = NOISY.clone()
    changed[:, :, 0, 0] += 1
    assert ((network(NOISY, T) - network(changed, T)).abs().amax(1) > 0).all()


@torch.inference_mode()
def test_cells_know_their_places() -> None:
    network, blank = dit(), torch.zeros(1, 4, 6, 8)
    cells = network(blank, T[:1]).flatten(2)[0].T  # (48, 4)
    assert len(torch.unique(cells.round(decimals=4), dim=0)) == 48
    places = positions(6, 8, 64, torch.device("cpu"))
    assert places.shape == (1, 48, 64)
    rows, columns = places[0].view(6, 8, 64).chunk(2, dim=2)
    assert torch.equal(rows[:, 0], rows[:, 5])
    assert torch.equal(columns[0], columns[3])


@pytest.mark.parametrize("mixer", TOKEN_MIXERS)
def test_blocks_start_as_the_identity_and_learn_all_the_same(mixer: str) -> None:
    """adaLN-Zero: gates are zero, and so is the output; what is gated is not, or nothing would ever learn."""
    torch.manual_seed(0)
    network = DiT(latent_channels=4, channels=(64,), blocks=2, mixer=mixer)
    assert not network(NOISY, T).any()
    tokens = torch.randn(3, 48, 64)
    modulation = network.modulations(T).flatten(1).unsqueeze(1)[:, :, : 6 * 64]
    assert torch.equal(network.blocks[0](tokens, modulation, 6, 8), tokens)
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in range(4):  # the output learns first, then the gates, then what is gated
        optimiser.zero_grad()
        (network(NOISY, T) - NOISY).square().mean().backward()
        optimiser.step()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@torch.inference_mode()
def test_a_learned_variance_doubles_the_channels() -> None:
    assert dit(variance="learned", patch=2)(NOISY, T).shape == (3, 8, 6, 8)


@pytest.mark.parametrize("mixer", TOKEN_MIXERS)
@torch.inference_mode()
def test_made_ready_it_says_what_it_said(mixer: str) -> None:
    network = dit(mixer=mixer, classes=2)
    before = network(NOISY, T)
    after = ready(network, torch.device("cpu"))(NOISY, T)
    relative = (after - before).norm() / before.norm()
    assert relative < 0.03  # bf16, where that is the fast type


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mixer": "none"}, "no mixer of a DiT 'none'; choose from: attention, serpentine"),
        ({"channels": (64, 128)}, "one width, a multiple of 8, not 64, 128"),
        ({"channels": (44,)}, "one width, a multiple of 8, not 44"),
        ({"prediction": "picture"}, "no prediction type 'picture'"),
        ({"variance": "some"}, "no variance 'some'"),
        ({"classes": -1}, "there cannot be -1 classes"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises((ValueError, UserError), match=sentence):
        DiT(**{"channels": (64,), "blocks": 1, **arguments})


def test_gradients_reach_the_latent() -> None:
    noisy: Tensor = NOISY.clone().requires_grad_()
    dit()(noisy, T).sum().backward()
    assert noisy.grad is not None
    assert noisy.grad.abs().min() > 0

"""What an autoencoder minimises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddpm_core.networks.vae import VAE
from ddpm_core.training.vae_loss import texture, vae_loss

SMALL = {"channels": (16, 32), "full_width": 8, "decoder_blocks": 1}


def test_the_loss_is_finite_and_its_gradient_reaches_every_parameter(shaken) -> None:
    vae = shaken(VAE(**SMALL))
    terms = vae_loss(vae, torch.rand(4, 3, 32, 32) * 2 - 1, 1e-3, 0.5, texture_weight=0.5)
    assert set(terms) == {"loss", "pixels", "texture", "kl"}
    assert all(torch.isfinite(term) for term in terms.values())
    terms["loss"].backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def with_posterior(mean: float, log_variance: float) -> VAE:
    """An autoencoder whose posterior is the same everywhere."""
    vae = VAE(**SMALL)
    last = vae.encoder.out[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([mean] * 4 + [log_variance] * 4))
    return vae


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (1.5, 0.0), (0.0, -2.0), (-1.0, 1.0)])
def test_the_kl_term_is_that_of_two_gaussians(mean: float, log_variance: float) -> None:
    kl = vae_loss(with_posterior(mean, log_variance), torch.zeros(1, 3, 8, 8), 1.0, 0.0, 0.0)["kl"].item()
    posterior = torch.distributions.Normal(mean, torch.tensor(log_variance).mul(0.5).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).item()
    assert kl == pytest.approx(expected, abs=1e-5)


def test_the_weights_of_the_terms_add_them_up(shaken) -> None:
    vae, image = shaken(VAE(**SMALL)), torch.rand(2, 3, 16, 16) * 2 - 1

    def loss(kl_weight: float, edge_weight: float, texture_weight: float = 0) -> dict[str, Tensor]:
        torch.manual_seed(3)
        return vae_loss(vae, image, kl_weight, edge_weight, texture_weight)

    plain, edgy, with_kl, textured = loss(0, 0), loss(0, 2), loss(0.5, 0), loss(0, 0, 3)
    torch.testing.assert_close(textured["loss"] - plain["loss"], 3 * plain["texture"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(with_kl["loss"] - plain["loss"], 0.5 * plain["kl"], rtol=1e-4, atol=1e-5)
    torch.manual_seed(3)
    mean, log_variance = vae.moments(image)
    error = vae.decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean)) - image
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    torch.testing.assert_close(edgy["loss"] - plain["loss"], 2 * edges, rtol=1e-4, atol=1e-5)
    per_picture = error.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(plain["pixels"], per_picture.mean(), rtol=1e-4, atol=1e-5)


def test_a_log_variance_out_of_hand_stays_within_what_exp_can_bear() -> None:
    terms = vae_loss(with_posterior(0.0, 1e6), torch.zeros(1, 3, 8, 8), 1.0, 1.0, 1.0)
    assert torch.isfinite(terms["loss"])


def grating(period: int) -> Tensor:
    """Vertical stripes, (1, 3, 32, 32)."""
    return torch.cos(2 * torch.pi * (torch.arange(32.0) + 0.5) / period).expand(1, 3, 32, 32).contiguous()


def test_texture_says_how_much_of_which_frequency_but_not_where() -> None:
    assert texture(torch.full((2, 3, 32, 32), 0.7)).abs().max() < 1e-5  # none
    fine, coarse = texture(grating(2)), texture(grating(8))
    assert fine.shape[:2] == (3, 15)
    assert fine.mean((0, 2, 3)).argmax() != coarse.mean((0, 2, 3)).argmax()
    shifted = texture(grating(8).roll(4, 3))[..., 1:-1]
    torch.testing.assert_close(shifted, coarse[..., 1:-1], rtol=0.05, atol=0.05)
    torch.testing.assert_close(texture(3 * grating(8)), 3 * coarse)


def test_a_checkerboard_is_no_answer_to_missing_texture() -> None:
    """As strong as the stripes in gradients, it has none of their frequency."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    wanted, blurred = texture(grating(8)), texture(torch.zeros(1, 3, 32, 32))
    dithered = texture(0.3 * board.expand(1, 3, 32, 32))
    assert (dithered - wanted).abs().mean() > (blurred - wanted).abs().mean()


@pytest.mark.parametrize("side", [8, 12])
def test_texture_of_pictures_smaller_than_its_window(side: int) -> None:
    assert torch.isfinite(texture(torch.rand(1, 3, side, side))).all()

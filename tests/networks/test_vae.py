"""The codec: shapes, normalisation, locality, loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.networks.layers import ChannelNorm, NormSiLU
from ddpm_core.networks.vae import VAE, Decoder, ResidualBlock, SqueezeExcitation, texture, vae_loss

SMALL = {"channels": (16, 32), "full_width": 8, "decoder_blocks": 1}


@pytest.mark.parametrize(("channels", "stride"), [((16,), 2), ((16, 24), 4), ((16, 24, 32), 8)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 40)])
def test_the_number_of_channels_sets_the_stride_and_shapes_follow(
    channels: tuple[int, ...], stride: int, height: int, width: int
) -> None:
    vae = VAE(latent_channels=3, channels=channels, full_width=8, decoder_blocks=1)
    assert vae.stride == stride
    latent = vae.encode(torch.rand(2, 3, height, width) * 2 - 1)
    assert latent.shape == (2, 3, height // stride, width // stride)
    assert vae.decode(latent).shape == (2, 3, height, width)


def test_a_picture_the_stride_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        VAE(**SMALL).encode(torch.zeros(1, 3, 32, 30))


def test_latents_have_zero_mean_and_unit_spread_once_measured(shaken) -> None:
    vae, image = shaken(VAE(**SMALL)), torch.rand(8, 3, 32, 32) * 2 - 1
    raw, _ = vae.moments(image)
    torch.testing.assert_close(vae.encode(image), raw)
    with torch.no_grad():
        vae.measure_latents(raw)
    latent = vae.encode(image)
    torch.testing.assert_close(latent.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(latent.std((0, 2, 3)), torch.ones(4), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(vae.decode(latent), vae.decoder(raw), rtol=1e-4, atol=1e-4)


def test_the_statistics_travel_with_the_weights(shaken) -> None:
    vae, other = shaken(VAE(**SMALL)), VAE(**SMALL)
    vae.measure_latents(torch.randn(8, 4, 2, 2) * 3 + 1)
    other.load_state_dict(vae.state_dict())
    assert torch.equal(other.latent_mean, vae.latent_mean)
    assert torch.equal(other.latent_std, vae.latent_std)


def reach(decoder: nn.Module) -> int:
    """Pixels beyond its own square that one latent cell can change: kernels' reach, doubled at every doubling."""
    pixels = 0
    for layer in decoder.modules():
        if isinstance(layer, nn.Conv2d):
            pixels += layer.kernel_size[0] // 2
        elif isinstance(layer, nn.PixelShuffle):
            pixels *= layer.upscale_factor
    return pixels


@pytest.mark.parametrize("shape", [SMALL, {"channels": (16, 16, 24), "full_width": 8, "decoder_blocks": 1}])
def test_moving_one_latent_cell_changes_nothing_beyond_the_layers_reach(shaken, shape: dict) -> None:
    vae = shaken(VAE(**shape), scale=0.2).eval()
    assert all((p != 0).all() for p in vae.decoder.parameters())
    far, stride = reach(vae.decoder), vae.stride
    cells = 2 * -(-far // stride) + 5
    row, column = cells // 2, cells // 2 - 1
    latent = torch.randn(1, 4, cells, cells)
    moved = latent.clone()
    moved[:, :, row, column] += 2
    with torch.no_grad():
        change = (vae.decode(moved) - vae.decode(latent)).abs().amax((0, 1))

    pixels = torch.arange(cells * stride)
    beyond = [torch.maximum(at * stride - pixels, pixels - (at + 1) * stride + 1).clamp_min(0) for at in (row, column)]
    distance = torch.maximum(beyond[0][:, None], beyond[1][None, :])
    assert (distance > far).any()
    assert (change[distance > far] == 0).all()
    assert (change[distance == 0] > 0).all()
    assert change[distance == far].max() > 0  # the bound is met, so the test would see one more layer


def test_the_decoder_holds_nothing_that_looks_across_the_picture() -> None:
    local = {Decoder, ResidualBlock, NormSiLU, nn.Conv2d, nn.PixelShuffle, nn.Identity, nn.Sequential}
    assert {type(layer) for layer in VAE().decoder.modules()} <= local  # no pooling, attention or norm over space


def test_the_decoder_works_cell_by_cell_on_the_latent_grid() -> None:
    for layer in VAE().decoder.layers:
        if isinstance(layer, nn.PixelShuffle):
            break
        assert all(conv.kernel_size == (1, 1) for conv in layer.modules() if isinstance(conv, nn.Conv2d))


@pytest.mark.parametrize("full_width", [8, 16, 24])  # the width of another level, or of none
def test_the_decoder_has_its_blocks_at_every_resolution_but_the_full_one(full_width: int) -> None:
    counts = [0]
    for layer in VAE(channels=(16, 24), full_width=full_width, decoder_blocks=3).decoder.layers:
        if isinstance(layer, nn.PixelShuffle):
            counts.append(0)
        counts[-1] += isinstance(layer, ResidualBlock)
    assert counts == [4, 3, 1]


def test_the_encoder_looks_everywhere_thanks_to_squeeze_and_excitation(shaken) -> None:
    vae = shaken(VAE(**SMALL), scale=0.2).eval()
    image = torch.rand(1, 3, 96, 96) * 2 - 1
    moved = image.clone()
    moved[:, :, :8, :8] *= -1

    def far_change() -> Tensor:
        with torch.no_grad():
            return (vae.encode(moved) - vae.encode(image))[:, :, -1, -1].abs().max()

    assert far_change() > 0
    for layer in vae.encoder.modules():
        if isinstance(layer, ResidualBlock):
            layer.squeeze = nn.Identity()
    assert far_change() == 0


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


def test_residual_blocks_start_as_the_identity() -> None:
    x = torch.randn(2, 16, 6, 6)
    for block in (ResidualBlock(16), ResidualBlock(16, kernel=1), ResidualBlock(16, squeeze=True)):
        assert torch.equal(block(x), x)


def test_squeeze_and_excitation_scales_each_channel_by_one_number_below_1(shaken) -> None:
    x = torch.rand(2, 8, 5, 5) + 0.5
    scale = shaken(SqueezeExcitation(8))(x) / x
    torch.testing.assert_close(scale, scale[:, :, :1, :1].expand_as(scale))
    assert ((scale > 0) & (scale < 1)).all()


def test_the_channel_norm_looks_at_each_pixel_alone() -> None:
    norm, x = ChannelNorm(8), torch.randn(1, 8, 4, 4)
    moved = x.clone()
    moved[:, :, 0, 0] += torch.randn(8)
    assert (norm(moved) - norm(x)).abs().amax((0, 1)).count_nonzero() == 1
    torch.testing.assert_close(norm(x).mean(1), torch.zeros(1, 4, 4), rtol=0, atol=1e-5)

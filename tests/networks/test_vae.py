"""The learned codec: shapes, normalisation, locality."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.networks.layers import ChannelNorm, NormSiLU
from ddpm_core.networks.vae import VAE, Decoder, ResidualBlock, SqueezeExcitation

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

"""The noise predictor."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddpm_core.networks.mixers import MIXERS, AttentionMixer
from ddpm_core.networks.serpentine import SerpentineMixer
from ddpm_core.networks.unet import TimeBlock, UNet, timestep_embedding

SMALL = {"channels": (32, 64), "blocks": 1}
TWICE = SMALL | {"blocks": 2}
GRIDS = [(8, 8), (10, 6), (7, 5), (3, 9), (1, 4), (1, 1)]


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_the_output_has_the_shape_of_the_latent_on_grids_of_any_size(
    shaken, mixer: str, height: int, width: int
) -> None:
    unet = shaken(UNet(latent_channels=3, channels=(32, 32, 64), blocks=1, mixer=mixer)).eval()
    noisy = torch.randn(2, 3, height, width)
    output = unet(noisy, torch.tensor([1, 999]))
    assert output.shape == noisy.shape
    assert torch.isfinite(output).all()
    assert output.abs().max() > 0


@pytest.mark.parametrize("mixer", MIXERS)
def test_the_network_starts_by_predicting_zero(mixer: str) -> None:
    assert (UNet(**SMALL, mixer=mixer)(torch.randn(1, 4, 4, 4), torch.tensor([5])) == 0).all()


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_gradient_reaches_every_parameter(shaken, mixer: str) -> None:
    unet = shaken(UNet(**SMALL, mixer=mixer))
    unet(torch.randn(4, 4, 8, 8), torch.tensor([1, 50, 500, 999])).square().sum().backward()
    for name, parameter in unet.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_same_latent_at_another_time_gives_another_output(shaken) -> None:
    unet, noisy = shaken(UNet(**SMALL)).eval(), torch.randn(1, 4, 8, 8)
    outputs = [unet(noisy, torch.tensor([t])) for t in (1, 2, 500, 999)]
    for i, one in enumerate(outputs):
        assert all((one - other).abs().max() > 1e-4 for other in outputs[i + 1 :])


def test_each_entry_of_a_batch_is_treated_alone(shaken) -> None:
    unet, noisy, t = shaken(UNet(**SMALL)).eval(), torch.randn(3, 4, 8, 8), torch.tensor([1, 400, 999])
    together = unet(noisy, t)
    for i in range(3):
        alone = unet(noisy[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("mixer", "kind"), [("serpentine", SerpentineMixer), ("attention", AttentionMixer)])
def test_the_mixer_is_a_choice_and_stands_at_every_level(mixer: str, kind: type[nn.Module]) -> None:
    def count(unet: UNet) -> int:
        return sum(isinstance(layer, kind) for layer in unet.modules())

    assert count(UNet(**SMALL, mixer=mixer)) == 3  # two levels down, one up
    assert count(UNet(**SMALL, mixer="none")) == 0


@pytest.mark.parametrize("mixer", ["serpentine", "attention"])
def test_a_mixer_lets_the_far_corners_see_each_other(shaken, mixer: str) -> None:
    def sees(mixer: str) -> bool:
        unet = shaken(UNet(channels=(32,), blocks=1, mixer=mixer)).eval()
        noisy = torch.randn(1, 4, 16, 16, requires_grad=True)
        unet(noisy, torch.tensor([10]))[0, :, -1, -1].sum().backward()
        return bool(noisy.grad[0, :, 0, 0].abs().max() > 0)

    assert sees(mixer)
    assert not sees("none")


def test_a_mixer_nobody_knows_is_refused() -> None:
    with pytest.raises((KeyError, ValueError)):
        UNet(**SMALL, mixer="telepathy")


def test_a_prediction_type_nobody_knows_is_refused() -> None:
    with pytest.raises((KeyError, ValueError)):
        UNet(**SMALL, prediction="score")


def test_time_blocks_start_as_the_identity() -> None:
    x = torch.randn(2, 32, 4, 4)
    assert torch.equal(TimeBlock(32, 0.1)(x, torch.randn(2, 64, 1, 1)), x)


def test_every_block_gets_scales_and_shifts_of_its_own(shaken) -> None:
    unet, got, said = shaken(UNet(**TWICE)), [], []
    unet.modulate.register_forward_hook(lambda layer, given, out: said.append(out))
    for module in unet.modules():
        if isinstance(module, TimeBlock):
            module.register_forward_pre_hook(lambda block, given: got.append(given[1].flatten(1)))
    unet(torch.randn(2, 4, 8, 8), torch.tensor([10, 900]))
    assert torch.equal(torch.cat(got, dim=1), said[0])


def test_weights_are_read_that_were_saved_when_every_block_had_a_product_of_its_own(shaken) -> None:
    unet = shaken(UNet(**TWICE)).eval()
    state, other = unet.state_dict(), UNet(**TWICE).eval()
    names = [f"{way}.{level}.blocks.{n}.time" for way, level in (("down", 0), ("down", 1), ("up", 0)) for n in (0, 1)]
    for kind in ("weight", "bias"):
        parts = state.pop(f"modulate.{kind}").split(unet.modulated)
        state |= {f"{name}.{kind}": part for name, part in zip(names, parts, strict=True)}
    other.load_state_dict(state)
    noisy, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    assert torch.equal(other(noisy, t), unet(noisy, t))


def test_dropout_acts_only_while_training(shaken) -> None:
    unet, noisy, t = shaken(UNet(**SMALL, dropout=0.5)), torch.randn(1, 4, 8, 8), torch.tensor([10])
    assert not torch.equal(unet.train()(noisy, t), unet(noisy, t))
    assert torch.equal(unet.eval()(noisy, t), unet(noisy, t))


def test_timestep_embeddings_are_sines_and_cosines_and_tell_all_timesteps_apart() -> None:
    embedded = timestep_embedding(torch.arange(1000), 32)
    assert embedded.shape == (1000, 32)
    torch.testing.assert_close(embedded[:, :16] ** 2 + embedded[:, 16:] ** 2, torch.ones(1000, 16))
    torch.testing.assert_close(embedded[:, 0], torch.arange(1000).float().sin())
    nearest = torch.cdist(embedded, embedded) + 1e3 * torch.eye(1000)
    assert nearest.min() > 0.1

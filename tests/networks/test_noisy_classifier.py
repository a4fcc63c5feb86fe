"""The classifier of noisy latents: probabilities that depend on latent and timestep, for latents of any size."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.networks.noisy_classifier import NoisyClassifier

T = torch.tensor([5, 400, 999])


def classifier(**arguments) -> NoisyClassifier:
    """A small one that has learned something: nothing in it is zero."""
    torch.manual_seed(0)
    network = NoisyClassifier(latent_channels=4, classes=5, channels=(32, 64), **arguments).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("cells", [(6, 8), (5, 3)])
def test_it_gives_probabilities_that_depend_on_latent_and_time_and_can_be_differentiated(
    cells: tuple[int, int],
) -> None:
    network, noisy = classifier(blocks=2), torch.randn(3, 4, *cells, requires_grad=True)
    said = network(noisy, T)
    torch.testing.assert_close(said.exp().sum(1), torch.ones(3))
    assert said.shape == (3, 5)
    assert not torch.allclose(said, network(noisy, T.flip(0)), atol=1e-3)
    (gradient,) = torch.autograd.grad(said[:, 2].sum(), noisy)
    assert (gradient.abs().amax(1) > 0).all()  # every cell counts


def test_a_new_one_takes_all_classes_to_be_as_likely() -> None:
    said = NoisyClassifier(latent_channels=4, classes=5)(torch.randn(3, 4, 8, 8), T)
    torch.testing.assert_close(said.exp(), torch.full((3, 5), 0.2))


def test_a_single_class_is_nothing_to_tell_apart() -> None:
    with pytest.raises(ValueError, match="two classes"):
        NoisyClassifier(classes=1)

"""Sources of noise."""

from __future__ import annotations

import math

import pytest
import torch

from ddpm_core.diffusion.noise import SeededNoise, interpolated, slerp, starting_at

SHAPE = (4, 5, 3)


def test_the_noise_of_a_seed_is_that_of_its_own_generator() -> None:
    noise = SeededNoise([5, 6], SHAPE)
    generator = torch.Generator().manual_seed(6)
    for _ in range(3):
        assert torch.equal(noise()[1], torch.randn(SHAPE, generator=generator))


def test_noise_starting_at_a_latent_gives_it_first_and_then_its_own() -> None:
    start, own = torch.randn(2, *SHAPE), SeededNoise([1, 2], SHAPE)
    noise = starting_at(start, SeededNoise([1, 2], SHAPE))
    assert noise() is start
    for _ in range(3):
        assert torch.equal(noise(), own())


def test_the_ends_of_the_arc_are_what_it_joins() -> None:
    a, b = torch.randn(3, *SHAPE), torch.randn(3, *SHAPE)
    torch.testing.assert_close(slerp(a, b, 0), a)
    torch.testing.assert_close(slerp(a, b, 1), b)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8])
def test_the_arc_is_walked_at_constant_angle_and_length(fraction: float) -> None:
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    angle = fraction * math.pi / 2
    torch.testing.assert_close(slerp(a, b, fraction), 3 * torch.tensor([[math.cos(angle), math.sin(angle)]]))


def test_each_entry_has_its_own_angle_and_may_have_its_own_fraction() -> None:
    a, b, fractions = torch.randn(3, *SHAPE), torch.randn(3, *SHAPE), torch.tensor([0.2, 0.5, 0.9])
    together = slerp(a, b, fractions)
    for i, fraction in enumerate(fractions.tolist()):
        torch.testing.assert_close(together[i : i + 1], slerp(a[i : i + 1], b[i : i + 1], fraction))


def test_parallel_noise_is_interpolated_linearly() -> None:
    a = torch.randn(2, *SHAPE)
    torch.testing.assert_close(slerp(a, 3 * a, 0.25), 1.5 * a)
    assert torch.isfinite(slerp(a, a, 0.5)).all()


def test_between_two_seeds_all_has_unit_variance_where_a_straight_line_has_less() -> None:
    first, second = SeededNoise([1], (4, 64, 64)), SeededNoise([2], (4, 64, 64))
    noise = interpolated(first, second, 0.5)
    for _ in range(2):  # every draw, so that samplers that add noise find noise, too
        assert noise().std().item() == pytest.approx(1, abs=0.02)
    assert ((first() + second()) / 2).std().item() < 0.75


def test_at_its_ends_the_noise_between_two_seeds_is_that_of_one() -> None:
    def of(seed: int) -> SeededNoise:
        return SeededNoise([seed], SHAPE)

    torch.testing.assert_close(interpolated(of(1), of(2), 0.0)(), of(1)())
    torch.testing.assert_close(interpolated(of(1), of(2), 1.0)(), of(2)())

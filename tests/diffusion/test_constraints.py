"""Masks on the latent grid and constraints."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import RePaintScheduler
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.constraints import CLAMPS, MASK_RULES, Constraint, any_pixel, one_pixel, repaint_timesteps
from ddpm_core.diffusion.diffuser import Diffuser


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_the_safe_rule_makes_a_cell_anew_exactly_if_any_of_its_pixels_is_painted(stride: int) -> None:
    mask = torch.rand(3, 1, 32, 48) < 0.02
    cells = MASK_RULES["safe"](mask, stride)
    assert cells.shape == (3, 1, 32 // stride, 48 // stride)
    assert cells.dtype == torch.bool
    for row in range(32 // stride):
        for column in range(48 // stride):
            square = mask[:, 0, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
            assert torch.equal(cells[:, 0, row, column], square.flatten(1).any(1))


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_the_nearest_rule_is_nearest_neighbour_resizing(stride: int) -> None:
    mask = torch.rand(2, 1, 32, 24) > 0.5
    resized = F.interpolate(mask.float(), scale_factor=1 / stride, mode="nearest") > 0.5
    assert torch.equal(MASK_RULES["nearest"](mask, stride), resized)


def test_one_painted_pixel_claims_its_cell_under_the_safe_rule_only() -> None:
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[0, 0, 3, 12] = True
    assert any_pixel(mask, 8).flatten().tolist() == [False, True, False, False]
    assert not one_pixel(mask, 8).any()


def clamp(name: str, anchor: Tensor, mask: Tensor, noise: Callable[[], Tensor] = lambda: torch.zeros(0)) -> Constraint:
    return CLAMPS[name](anchor, mask, Diffuser(), noise)


@pytest.mark.parametrize("name", CLAMPS)
@pytest.mark.parametrize("t", [999, 500, 0])
def test_a_clamp_touches_no_cell_that_is_made_anew_and_changes_all_others(name: str, t: int) -> None:
    anchor, latent = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6)
    mask = torch.rand(2, 1, 5, 6) > 0.5
    clamped = clamp(name, anchor, mask, lambda: torch.randn(2, 4, 5, 6))(latent, t)
    mask_cells = mask.expand_as(latent)
    assert torch.equal(clamped[mask_cells], latent[mask_cells])
    assert (clamped != latent)[~mask_cells].all()


@pytest.mark.parametrize("t", [999, 500, 0])
def test_the_clean_clamp_puts_kept_cells_to_the_anchor(t: int) -> None:
    anchor, latent = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6)
    mask = torch.rand(2, 1, 5, 6) > 0.5
    clamped = clamp("clean", anchor, mask)(latent, t)
    kept = ~mask.expand_as(latent)
    assert torch.equal(clamped[kept], anchor[kept])
    assert torch.equal(clamp("clean", anchor, mask)(clamped, t), clamped)


def test_one_anchor_serves_a_whole_batch() -> None:
    anchor, mask = torch.randn(1, 4, 5, 6), torch.rand(1, 1, 5, 6) > 0.5
    clamped = clamp("clean", anchor, mask)(torch.randn(3, 4, 5, 6), 7)
    assert clamped.shape == (3, 4, 5, 6)
    kept = ~mask[0].expand(4, -1, -1)
    assert all(torch.equal(one[kept], anchor[0][kept]) for one in clamped)


@pytest.mark.parametrize("t", [999, 400, 1])
def test_the_noised_clamp_gives_kept_cells_the_noise_of_their_state(t: int) -> None:
    diffuser, eps = Diffuser(), torch.randn(2, 4, 5, 6)
    anchor, latent = torch.randn(1, 4, 5, 6), torch.randn(2, 4, 5, 6)
    mask = torch.rand(2, 1, 5, 6) > 0.5
    clamped = clamp("noised", anchor, mask, lambda: eps)(latent, t)
    expected = diffuser.add_noise(anchor.expand(2, -1, -1, -1), eps, torch.full((2,), t))
    kept = ~mask.expand_as(latent)
    assert torch.equal(clamped[kept], expected[kept])


def test_the_noised_clamp_ends_clean_and_draws_no_noise_for_it() -> None:
    anchor, mask = torch.randn(1, 4, 5, 6), torch.zeros(2, 1, 5, 6, dtype=torch.bool)
    drawn = []
    constrain = clamp("noised", anchor, mask, lambda: drawn.append(1) or torch.zeros(2, 4, 5, 6))
    assert torch.equal(constrain(torch.randn(2, 4, 5, 6), 0), anchor.expand(2, -1, -1, -1))
    assert not drawn


def test_resampling_goes_back_up_after_every_step_but_the_last() -> None:
    assert repaint_timesteps([9, 6, 3, 0], 1) == [9, 6, 3, 0]
    assert repaint_timesteps([9, 6, 3, 0], 3) == [9, 6, 9, 6, 9, 6, 3, 6, 3, 6, 3, 0]


def test_a_jump_goes_back_over_as_many_steps() -> None:
    assert repaint_timesteps([9, 7, 6, 4, 1, 0], 2, jump=2) == [9, 7, 6, 9, 7, 6, 4, 1, 6, 4, 1, 0]
    assert repaint_timesteps([9, 7, 6, 4, 1, 0], 3, jump=4) == [9, 7, 6, 4, 1, 9, 7, 6, 4, 1, 9, 7, 6, 4, 1, 0]


@pytest.mark.parametrize("jump", [1, 4, 5])
def test_a_path_without_a_whole_stretch_or_a_second_time_is_as_it_was(jump: int) -> None:
    assert repaint_timesteps([9, 6, 3, 0], 1, jump) == [9, 6, 3, 0]
    assert repaint_timesteps([9, 0], 5, jump) == [9, 0]
    if jump > 2:
        assert repaint_timesteps([9, 6, 3, 0], 5, jump) == [9, 6, 3, 0]


@pytest.mark.parametrize(("steps", "jump"), [(10, 1), (10, 2), (10, 3), (11, 3), (10, 9), (10, 10), (250, 10)])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_the_path_is_that_of_repaint_in_diffusers(steps: int, times: int, jump: int) -> None:
    """Theirs rises one state at a time, ours at once; its timesteps lie one below ours."""
    other = RePaintScheduler(num_train_timesteps=steps)
    other.set_timesteps(steps, jump_length=jump, jump_n_sample=times)
    theirs = [t + 1 for t in other.timesteps.tolist()] + [0]
    passed = {i for i in range(1, len(theirs) - 1) if theirs[i - 1] < theirs[i] < theirs[i + 1]}  # half way up
    assert repaint_timesteps(range(steps, -1, -1), times, jump) == [t for i, t in enumerate(theirs) if i not in passed]
    if jump == 1:
        assert not passed

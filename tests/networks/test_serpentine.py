"""Scan paths and the mixer."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.networks.gated_scan import recurrence_by_steps
from ddpm_core.networks.serpentine import DIRECTIONS, SerpentineMixer, scan_paths

GRIDS = [(1, 1), (1, 7), (6, 1), (2, 2), (2, 3), (3, 5), (5, 4), (8, 8), (9, 16)]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_each_path_visits_every_cell_once(height: int, width: int) -> None:
    paths = scan_paths(height, width).permutation
    assert paths.shape == (DIRECTIONS, height * width)
    assert torch.equal(paths.sort(dim=1).values, torch.arange(height * width).expand(DIRECTIONS, -1))


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_the_inverse_of_a_path_says_at_which_step_it_is_at_each_cell(height: int, width: int) -> None:
    paths = scan_paths(height, width)
    steps = torch.arange(height * width).expand(DIRECTIONS, -1)
    assert torch.equal(paths.inverse.gather(1, paths.permutation), steps)


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_consecutive_cells_of_a_path_are_neighbours(height: int, width: int) -> None:
    paths = scan_paths(height, width).permutation
    rows, columns = paths // width, paths % width
    distance = torch.maximum(rows.diff(dim=1).abs(), columns.diff(dim=1).abs())
    assert (distance == 1).all()


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_the_second_half_of_the_paths_is_the_first_half_backwards(height: int, width: int) -> None:
    paths = scan_paths(height, width).permutation
    assert torch.equal(paths[DIRECTIONS // 2 :], paths[: DIRECTIONS // 2].flip(1))


def test_the_paths_are_rows_columns_and_both_diagonals() -> None:
    assert scan_paths(2, 3).permutation[:4].tolist() == [
        [0, 1, 2, 5, 4, 3],
        [0, 3, 4, 1, 2, 5],
        [0, 1, 3, 4, 2, 5],
        [2, 1, 5, 4, 0, 3],
    ]


def test_no_two_paths_are_the_same() -> None:
    assert len({tuple(path) for path in scan_paths(4, 6).permutation.tolist()}) == DIRECTIONS


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 3), (8, 8)])
def test_the_mixer_starts_as_the_identity(height: int, width: int) -> None:
    x = torch.randn(2, 16, height, width)
    assert torch.equal(SerpentineMixer(16)(x), x)


@pytest.mark.parametrize(("height", "width"), [(1, 6), (4, 5), (6, 3)])
def test_every_cell_the_mixer_puts_out_depends_on_every_cell_it_got(shaken, height: int, width: int) -> None:
    mixer = shaken(SerpentineMixer(16))
    x = torch.randn(1, 16, height, width, requires_grad=True)
    mixed, weights = mixer(x), torch.randn(16)
    for cell in range(height * width):
        seen = (mixed.flatten(2)[0, :, cell] * weights).sum()
        (gradient,) = torch.autograd.grad(seen, x, retain_graph=True)
        assert (gradient.abs().amax(dim=(0, 1)) > 0).all()


def test_the_mixer_reads_each_direction_along_its_own_path(shaken) -> None:
    mixer, height, width = shaken(SerpentineMixer(8)), 3, 4
    x = torch.randn(1, 8, height, width)
    tokens = mixer.norm(x.flatten(2).transpose(1, 2))
    value, delta, gate = mixer.project(tokens).chunk(3, dim=2)
    states = torch.empty_like(value)
    for direction, path in enumerate(scan_paths(height, width).permutation):
        write = torch.sigmoid(delta[:, path, direction : direction + 1])
        along = recurrence_by_steps(1 - write, write * value[:, path, direction : direction + 1])
        states[:, path, direction : direction + 1] = along
    mixed = mixer.out(states * torch.nn.functional.silu(gate), x.flatten(2).transpose(1, 2))
    torch.testing.assert_close(mixer(x), mixed.transpose(1, 2).view(1, 8, height, width), **CLOSE)


def test_a_gradient_reaches_every_parameter_of_the_mixer(shaken) -> None:
    mixer = shaken(SerpentineMixer(16))
    mixer(torch.randn(2, 16, 4, 4)).square().sum().backward()
    for name, parameter in mixer.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_a_mixer_used_for_inference_first_can_be_trained_afterwards(shaken) -> None:
    mixer, x = shaken(SerpentineMixer(16)), torch.randn(1, 16, 11, 13)  # a grid no other test has
    with torch.inference_mode():
        mixer(x)
    mixer(x).sum().backward()
    assert mixer.project.weight.grad.abs().max() > 0


def test_a_mixer_of_a_width_it_cannot_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8 channels, not 12"):
        SerpentineMixer(12)


def test_weights_are_read_that_were_saved_when_gates_had_a_product_of_their_own(shaken) -> None:
    mixer, other = shaken(SerpentineMixer(16)), SerpentineMixer(16)
    state = mixer.state_dict()
    for kind in ("weight", "bias"):
        joined = state.pop(f"project.{kind}")
        state[f"propose.{kind}"], state[f"gate.{kind}"] = joined[:32], joined[32:]
    other.load_state_dict(state)
    assert torch.equal(other.project.weight, mixer.project.weight)
    assert torch.equal(other.project.bias, mixer.project.bias)


def test_time_scales_start_spread_from_one_to_64_cells_in_every_direction() -> None:
    bias = SerpentineMixer(64).project.bias
    write = torch.sigmoid(bias[64:128]).view(DIRECTIONS, 8)
    assert torch.equal(bias[:64], torch.zeros(64))
    assert (write == write[0]).all()
    torch.testing.assert_close(1 / write[0, -1], torch.tensor(64.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(1 / write[0, 0], torch.tensor(1.5), rtol=1e-4, atol=0)

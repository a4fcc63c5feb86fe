"""Scan paths, the gated recurrence, the mixer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddpm_core.serpentine import (
    DIRECTIONS,
    SerpentineMixer,
    _GatedScan,
    _path_index,
    _Reorder,
    chunk_size,
    linear_recurrence,
    recurrence_by_steps,
    scan_paths,
)

GRIDS = [(1, 1), (1, 7), (6, 1), (2, 2), (2, 3), (3, 5), (5, 4), (8, 8), (9, 16)]
LENGTHS = [1, 2, 7, 64, 100, 257, 323]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def gated_scan(value: Tensor, delta: Tensor) -> Tensor:
    """The mixer's scan of (B, L, D) each, laid out in chunks for it and back again."""
    proposed = torch.stack([value, delta], dim=1).unflatten(2, (-1, chunk_size(value.shape[1]))).transpose(2, 3)
    return _GatedScan.apply(proposed).transpose(1, 2).flatten(1, 2)


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_each_path_visits_every_cell_once(height: int, width: int) -> None:
    paths = scan_paths(height, width)
    assert paths.shape == (DIRECTIONS, height * width)
    assert torch.equal(paths.sort(dim=1).values, torch.arange(height * width).expand(DIRECTIONS, -1))


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_consecutive_cells_of_a_path_are_neighbours(height: int, width: int) -> None:
    paths = scan_paths(height, width)
    rows, columns = paths // width, paths % width
    distance = torch.maximum(rows.diff(dim=1).abs(), columns.diff(dim=1).abs())
    assert (distance == 1).all()


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_the_second_half_of_the_paths_is_the_first_half_backwards(height: int, width: int) -> None:
    paths = scan_paths(height, width)
    assert torch.equal(paths[DIRECTIONS // 2 :], paths[: DIRECTIONS // 2].flip(1))


def test_the_paths_are_rows_columns_and_both_diagonals() -> None:
    assert scan_paths(2, 3)[:4].tolist() == [
        [0, 1, 2, 5, 4, 3],
        [0, 3, 4, 1, 2, 5],
        [0, 1, 3, 4, 2, 5],
        [2, 1, 5, 4, 0, 3],
    ]


def test_no_two_paths_are_the_same() -> None:
    assert len({tuple(path) for path in scan_paths(4, 6).tolist()}) == DIRECTIONS


@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_going_along_a_path_and_back_by_the_inverse_changes_nothing(height: int, width: int) -> None:
    order, inverse = _path_index(height, width, 1, torch.device("cpu"))
    rows = torch.randn(height * width * DIRECTIONS)
    assert torch.equal(rows[order][inverse], rows)
    assert torch.equal(rows[inverse][order], rows)
    paths = scan_paths(height, width)
    assert torch.equal(paths.gather(1, paths.argsort(dim=1)), torch.arange(height * width).expand(DIRECTIONS, -1))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 5), (3, 4), (5, 5), (8, 16)])
def test_the_order_moves_each_direction_of_each_part_along_its_own_path(height: int, width: int, parts: int) -> None:
    order, _ = _path_index(height, width, parts, torch.device("cpu"))
    cells = height * width
    table = torch.arange(cells * parts * DIRECTIONS).view(cells, parts, DIRECTIONS)
    moved = table.flatten()[order].view(parts, chunk_size(cells), -1, DIRECTIONS).transpose(1, 2).flatten(1, 2)
    for direction, path in enumerate(scan_paths(height, width)):
        assert torch.equal(moved[:, :, direction], table[path, :, direction].T)


def test_the_reordering_has_the_gradient_of_plain_indexing() -> None:
    order = torch.randperm(30)
    ours = torch.randn(2, 30, 3, requires_grad=True)
    plain = ours.detach().clone().requires_grad_()
    given = torch.randn(2, 30, 3)
    moved, indexed = _Reorder.apply(ours, order, order.argsort()), plain[:, order]
    assert torch.equal(moved, indexed)
    moved.backward(given)
    indexed.backward(given)
    assert torch.equal(ours.grad, plain.grad)


def test_the_recurrence_by_steps_is_the_formula() -> None:
    decay, update = torch.tensor([[[0.5], [0.25], [0.0]]]), torch.tensor([[[4.0], [1.0], [3.0]]])
    assert recurrence_by_steps(decay, update).flatten().tolist() == [4.0, 2.0, 3.0]


def _decays(kind: str, length: int) -> Tensor:
    noise = torch.rand(2, length, 3)
    return {"any": noise, "near 0": noise * 1e-3, "near 1": 1 - noise * 1e-3, "0 and 1": noise.round()}[kind]


@pytest.mark.parametrize("kind", ["any", "near 0", "near 1", "0 and 1"])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_fast_recurrence_equals_the_one_by_steps_both_ways(length: int, kind: str) -> None:
    decay, update = _decays(kind, length), torch.randn(2, length, 3)
    torch.testing.assert_close(linear_recurrence(decay, update), recurrence_by_steps(decay, update), **CLOSE)
    backwards = recurrence_by_steps(decay.flip(1), update.flip(1)).flip(1)
    torch.testing.assert_close(linear_recurrence(decay, update, reverse=True), backwards, **CLOSE)


@pytest.mark.parametrize("offset", [-9.0, 0.0, 9.0], ids=["decay near 1", "any decay", "decay near 0"])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_gated_scan_and_its_gradients_equal_the_recurrence_by_steps(length: int, offset: float) -> None:
    value, delta = torch.randn(2, length, 5), 2 * torch.randn(2, length, 5) + offset
    given = torch.randn(2, length, 5)
    ours = [x.clone().requires_grad_() for x in (value, delta)]
    plain = [x.clone().requires_grad_() for x in (value, delta)]
    write = torch.sigmoid(plain[1])
    fast, slow = gated_scan(*ours), recurrence_by_steps(1 - write, write * plain[0])
    torch.testing.assert_close(fast, slow, **CLOSE)
    fast.backward(given)
    slow.backward(given)
    for mine, other in zip(ours, plain, strict=True):
        assert other.grad.abs().max() > 0
        torch.testing.assert_close(mine.grad, other.grad, **CLOSE)


@pytest.mark.parametrize("batch", [1, 40])  # small: cast at once; large: piece by piece
def test_the_scan_in_bf16_has_the_gradients_of_the_plain_one(batch: int) -> None:
    value, delta, given = (torch.randn(batch, 256, 16).bfloat16() for _ in range(3))
    ours = [x.clone().requires_grad_() for x in (value, delta)]
    plain = [x.float().requires_grad_() for x in (value, delta)]
    gated_scan(*ours).backward(given)
    write = torch.sigmoid(plain[1])
    recurrence_by_steps(1 - write, write * plain[0]).backward(given.float())
    for mine, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine.grad, other.grad.bfloat16(), rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("length", [1, 7, 16, 17, 100, 256, 323])
def test_chunks_divide_a_path_and_are_near_the_wanted_size(length: int) -> None:
    size = chunk_size(length)
    assert length % size == 0
    assert size == {16: 4, 100: 10, 256: 8}.get(length, size)


def test_the_gated_scan_accepts_inputs_that_are_not_contiguous() -> None:
    value, delta = (torch.randn(2, 5, 40).transpose(1, 2) for _ in range(2))
    torch.testing.assert_close(gated_scan(value, delta), gated_scan(value.contiguous(), delta.contiguous()))


def test_the_gated_scan_keeps_its_state_in_fp32_whatever_it_is_given() -> None:
    value, delta = (torch.randn(2, 64, 4).bfloat16().requires_grad_() for _ in range(2))
    states = gated_scan(value, delta)
    assert torch.equal(states, gated_scan(value.float(), delta.float()).bfloat16())
    states.sum().backward()
    assert value.grad.dtype == delta.grad.dtype == torch.bfloat16


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
    value, delta = mixer.propose(tokens).chunk(2, dim=2)
    states = torch.empty_like(value)
    for direction, path in enumerate(scan_paths(height, width)):
        write = torch.sigmoid(delta[:, path, direction : direction + 1])
        along = recurrence_by_steps(1 - write, write * value[:, path, direction : direction + 1])
        states[:, path, direction : direction + 1] = along
    mixed = mixer.out(states * torch.nn.functional.silu(mixer.gate(tokens)))
    expected = x + mixed.transpose(1, 2).view(1, 8, height, width)
    torch.testing.assert_close(mixer(x), expected, **CLOSE)


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
    assert mixer.propose.weight.grad.abs().max() > 0


def test_a_mixer_of_a_width_it_cannot_share_out_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8 channels, not 12"):
        SerpentineMixer(12)

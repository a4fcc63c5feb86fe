"""The gated scan: compiled and in chunks, it is the recurrence by steps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numba
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.networks.cpu import kernels
from ddpm_core.networks.gated_scan import (
    ScanPaths,
    _order,
    _Reorder,
    gated_scan,
    linear_recurrence,
    recurrence_by_steps,
    scan_in_chunks,
)
from ddpm_core.networks.serpentine import DIRECTIONS, scan_paths

LENGTHS = [1, 2, 7, 64, 100, 257, 323]
GRIDS = [(1, 1), (1, 6), (5, 3), (8, 8), (9, 16)]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
BOTH_SCANS = pytest.mark.parametrize("scan", [gated_scan, scan_in_chunks], ids=["compiled", "in chunks"])
Scan = Callable[[Tensor, ScanPaths], Tensor]


def scan_by_steps(projected: Tensor, paths: ScanPaths) -> Tensor:
    """What `gated_scan` computes, in its plainest form and in fp32."""
    value, delta, gate = projected.float().unflatten(2, (3, DIRECTIONS, -1)).unbind(2)
    write, states = torch.sigmoid(delta), torch.empty_like(value)
    for direction, path in enumerate(paths.permutation):
        along = [each[:, path, direction] for each in (1 - write, write * value)]
        states = states.index_put(
            (torch.arange(len(value))[:, None], path, torch.tensor(direction)), recurrence_by_steps(*along)
        )
    return (states * F.silu(gate)).flatten(2)


def projected(height: int, width: int, per_path: int = 5, batch: int = 2, offset: float = 0.0) -> Tensor:
    """Random values, step sizes about `offset`, and gates."""
    parts = torch.randn(3, batch, height * width, DIRECTIONS * per_path)
    parts[1] = 2 * parts[1] + offset
    return torch.cat(list(parts), dim=2)


@BOTH_SCANS
@pytest.mark.parametrize("offset", [-9.0, 0.0, 9.0], ids=["decay near 1", "any decay", "decay near 0"])
@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_a_scan_and_its_gradient_are_those_of_the_recurrence_by_steps(
    height: int, width: int, offset: float, scan: Scan
) -> None:
    paths = scan_paths(height, width)
    ours = projected(height, width, offset=offset).requires_grad_()
    plain = ours.detach().clone().requires_grad_()
    fast, slow = scan(ours, paths), scan_by_steps(plain, paths)
    torch.testing.assert_close(fast, slow, **CLOSE)
    given = torch.randn_like(slow)
    fast.backward(given)
    slow.backward(given)
    assert plain.grad.abs().max() > 0
    torch.testing.assert_close(ours.grad, plain.grad, **CLOSE)


@BOTH_SCANS
@pytest.mark.parametrize("per_path", [1, 8, 17])
def test_in_bf16_the_state_is_fp32_and_only_what_is_handed_over_is_rounded(per_path: int, scan: Scan) -> None:
    paths = scan_paths(16, 16)
    ours = projected(16, 16, per_path).bfloat16().requires_grad_()
    plain = ours.detach().float().requires_grad_()
    fast, slow = scan(ours, paths), scan_by_steps(plain, paths)
    assert fast.dtype == torch.bfloat16
    assert (fast.float() - slow).norm() < 0.004 * slow.norm()  # a rounding is up to 2**-9 = 0.002
    given = torch.randn_like(slow).bfloat16()
    fast.backward(given)
    slow.backward(given.float())
    assert ours.grad.dtype == torch.bfloat16
    for mine, other in zip(ours.grad.float().chunk(3, dim=2), plain.grad.chunk(3, dim=2), strict=True):
        assert (mine - other).norm() < 0.006 * other.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_that_keeps_nothing_for_a_gradient_brings_the_same(dtype: torch.dtype) -> None:
    given, paths = projected(9, 16, 17).to(dtype), scan_paths(9, 16)
    one_rounding = torch.finfo(dtype).eps
    torch.testing.assert_close(
        gated_scan(given, paths), gated_scan(given.requires_grad_(), paths), rtol=one_rounding, atol=1e-6
    )


def test_a_long_fade_in_bf16_does_not_stop_short() -> None:
    # A state in bf16 would stand still where what is added is less than half of its last digit.
    given = torch.zeros(1, 1024, 3, DIRECTIONS)
    given[:, :, 0], given[:, :, 1], given[:, :, 2] = 1, -6, 20
    paths = ScanPaths.of(torch.arange(1024).repeat(DIRECTIONS, 1))
    states = gated_scan(given.flatten(2).bfloat16(), paths).float() / 20
    write = torch.sigmoid(torch.tensor(-6.0, dtype=torch.double))
    expected = 1 - (1 - write) ** torch.arange(1, 1025)
    torch.testing.assert_close(states[0, :, 0].double(), expected, rtol=0.004, atol=0)


@BOTH_SCANS
def test_in_fp16_it_is_near_and_stays_fp16(scan: Scan) -> None:
    given, paths = projected(4, 5).half(), scan_paths(4, 5)
    mixed = scan(given, paths)
    assert mixed.dtype == torch.float16
    torch.testing.assert_close(mixed.float(), scan_by_steps(given, paths), rtol=0.01, atol=0.01)


@BOTH_SCANS
def test_a_scan_accepts_what_is_not_contiguous(scan: Scan) -> None:
    given, paths = projected(3, 4).transpose(0, 1).contiguous().transpose(0, 1), scan_paths(3, 4)
    assert not given.is_contiguous()
    mixed = scan(given.requires_grad_(), paths)
    torch.testing.assert_close(mixed, scan_by_steps(given, paths), **CLOSE)
    mixed.transpose(0, 1).backward(torch.randn(12, 2, 40))  # nor need the gradient be


@BOTH_SCANS
def test_what_a_picture_gets_does_not_depend_on_the_batch(scan: Scan) -> None:
    given, paths = projected(8, 8, 16, batch=40).bfloat16(), scan_paths(8, 8)
    assert torch.equal(scan(given, paths)[7:8], scan(given[7:8], paths))


def test_the_compiled_scan_is_the_same_on_any_number_of_threads() -> None:
    given, paths = projected(32, 32, 16), scan_paths(32, 32)
    assert given[..., :128].numel() > kernels.ENOUGH
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(gated_scan(given, paths))
            assert numba.get_num_threads() == min(threads, numba.config.NUMBA_NUM_THREADS)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.integration
def test_the_compiled_scan_leaves_pytorch_its_number_of_threads() -> None:
    say = (
        "import torch; from ddpm_core.networks.gated_scan import gated_scan;"
        "from ddpm_core.networks.serpentine import scan_paths;"
        "gated_scan(torch.zeros(1, 4, 24), scan_paths(2, 2)); print(torch.get_num_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", say],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1"]


@pytest.mark.parametrize("number", [0.0, 1.0, -1.0, 1.00390625, 1.01171875, 3e38, float("inf"), float("nan")])
def test_the_kernels_round_to_bf16_as_pytorch_does(number: float) -> None:
    # With delta so large that w is 1, and a gate whose silu is the gate, the result is value * gate.
    given = torch.tensor([[[number] * 8 + [100.0] * 8 + [64.0] * 8]]).bfloat16()
    torch.testing.assert_close(gated_scan(given, scan_paths(1, 1)), given[..., :8] * 64, rtol=0, atol=0, equal_nan=True)


def test_where_nothing_can_be_written_kernels_are_compiled_but_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(**options: object) -> Callable:
        asked.append(options.get("cache", False))
        if asked[-1]:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(kernels, "njit", njit)
    assert kernels._compiled(test_in_fp16_it_is_near_and_stays_fp16) is test_in_fp16_it_is_near_and_stays_fp16
    assert asked == [True, False]


def test_a_second_derivative_is_refused() -> None:
    given = projected(2, 2).requires_grad_()
    (grad,) = torch.autograd.grad(gated_scan(given, scan_paths(2, 2)).square().sum(), given, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@BOTH_SCANS
def test_a_scan_takes_any_order_of_the_cells(scan: Scan) -> None:
    paths = ScanPaths.of(torch.stack([torch.randperm(12) for _ in range(DIRECTIONS)]))
    given = projected(3, 4)
    torch.testing.assert_close(scan(given, paths), scan_by_steps(given, paths), **CLOSE)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("height", "width"), GRIDS)
def test_going_along_a_path_and_back_by_the_inverse_changes_nothing(height: int, width: int, parts: int) -> None:
    order, inverse = _order(scan_paths(height, width), parts)
    rows = torch.randn(height * width * DIRECTIONS * parts)
    assert torch.equal(rows[order][inverse], rows)
    assert torch.equal(rows[inverse][order], rows)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 5), (3, 4), (5, 5), (8, 16)])
def test_the_order_moves_each_direction_of_each_part_along_its_own_path(height: int, width: int, parts: int) -> None:
    paths = scan_paths(height, width)
    order, _ = _order(paths, parts)
    table = torch.arange(height * width * parts * DIRECTIONS).view(height * width, parts, DIRECTIONS)
    moved = table.flatten()[order].view(parts, height * width, DIRECTIONS)
    for direction, path in enumerate(paths.permutation):
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

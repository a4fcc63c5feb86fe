"""What lies where a kernel reads and writes is checked before it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ddpm_core.networks.cpu import kernels
from ddpm_core.networks.cpu.packed import CompiledNormSiLU
from ddpm_core.networks.layers import NormSiLU
from ddpm_core.networks.serpentine import scan_paths

SIZES = {"scan": (2, 6, 8, 3), "scan_backward": (2, 6, 8, 3), "norm_silu": (2, 6, 5)}
NAMES = list(SIZES)


def fitting(kernel: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Tensors as a kernel takes them, by name."""
    tensors = {
        name: torch.rand(shape).to(dtype) for name, shape in kernels.TENSORS[getattr(kernels, kernel)](*SIZES[kernel])
    }
    return tensors | ({"paths": scan_paths(2, 3).permutation} if "paths" in tensors else {})


def run(kernel: str, tensors: dict[str, Tensor | None]) -> None:
    kernels.run(getattr(kernels, kernel), SIZES[kernel], *tensors.values())


def with_strides(tensor: Tensor) -> Tensor:
    """The same numbers with gaps between them."""
    return torch.stack([tensor, tensor], dim=-1)[..., 0]


WRONG: dict[str, Callable[[Tensor], Tensor | None]] = {
    "not contiguous": with_strides,
    "elsewhere": lambda tensor: tensor.to("meta"),
    "one too few": lambda tensor: tensor[:-1].clone(),
    "another order": lambda tensor: tensor[None].transpose(0, -1).contiguous(),
    "missing": lambda tensor: None,
    "fp64": Tensor.double,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernel", NAMES)
def test_what_fits_is_computed(kernel: str, dtype: torch.dtype) -> None:
    given = fitting(kernel, dtype)
    before = {name: tensor.clone() for name, tensor in given.items()}
    run(kernel, given)
    filled = {name for name, tensor in given.items() if not torch.equal(tensor, before[name])}
    assert filled == {"scan": {"mixed", "saved"}, "scan_backward": {"projected_grad"}, "norm_silu": {"out"}}[kernel]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kernel", NAMES)
def test_what_does_not_fit_is_refused_before_anything_is_read_or_written(kernel: str, wrong: str) -> None:
    for name in list(fitting(kernel))[1:]:
        given: dict[str, Tensor | None] = fitting(kernel) | {name: WRONG[wrong](fitting(kernel)[name])}
        if wrong == "missing" and (kernel, name) == ("scan", "saved"):
            run(kernel, given)
            continue
        before = [None if tensor is None or tensor.is_meta else tensor.clone() for tensor in given.values()]
        with pytest.raises(TypeError, match=f"^{kernel} takes {name} "):
            run(kernel, given)
        for tensor, was in zip(given.values(), before, strict=True):
            assert was is None or torch.equal(tensor, was)


@pytest.mark.parametrize("kernel", NAMES)
def test_fp32_and_bf16_are_never_mixed(kernel: str) -> None:
    names = [name for name in fitting(kernel) if name != "paths"]
    for first, other in ((torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)):
        for name in names[1:]:
            with pytest.raises(TypeError, match=rf"^{kernel} takes {name} .*{first} on cpu; .*{other} on cpu$"):
                run(kernel, fitting(kernel, first) | {name: fitting(kernel, other)[name]})


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int16])
def test_a_type_without_kernels_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="there is no kernel for"):
        run("norm_silu", fitting("norm_silu", dtype))


def test_a_norm_in_another_type_than_its_map_is_refused_where_it_read_beyond_the_map() -> None:
    compiled = CompiledNormSiLU(NormSiLU(16))
    with torch.inference_mode(), pytest.raises(TypeError, match="norm_silu takes x"):
        compiled(torch.randn(2, 16, 4, 4).bfloat16())
    with torch.inference_mode(), pytest.raises(TypeError, match="norm_silu takes modulation"):
        compiled(torch.randn(2, 16, 4, 4), torch.zeros(2, 32, 1, 1).bfloat16())


def test_a_map_is_taken_channels_last_and_in_no_other_order() -> None:
    x, out = torch.randn(2, 2, 5, 2, 3).to(memory_format=torch.channels_last_3d).unbind()
    rows = fitting("norm_silu")
    fits = rows | {"x": x.to(memory_format=torch.channels_last), "out": out.to(memory_format=torch.channels_last)}
    run("norm_silu", fits)
    run("norm_silu", rows | {"x": fits["x"].permute(0, 2, 3, 1).reshape(2, 6, 5)})
    torch.testing.assert_close(fits["out"].permute(0, 2, 3, 1).reshape(2, 6, 5), rows["out"])
    for other in (x.contiguous(), x.contiguous().view(2, 2, 5, 3), x.to(memory_format=torch.channels_last)[:1]):
        with pytest.raises(TypeError, match=r"^norm_silu takes x"):
            run("norm_silu", fits | {"x": other})

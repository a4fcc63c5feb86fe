"""How contestants are made equally large: wider and wider, until one has the parameters of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def as_large_as(
    goal: int, build: Callable[[int], Model], step: int, count: Callable[[Model], int] = parameters
) -> Model:
    """Of `build(step)`, `build(2 * step)` and so on, the one whose parameters are nearest to `goal`.

    Args:
        build: a model of that width; more width has to mean more parameters.
    """
    width, best = step, build(step)
    while count(best) < goal:
        width += step
        wider = build(width)
        if count(wider) - goal > goal - count(best):
            break
        best = wider
    return best

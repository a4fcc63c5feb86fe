"""What is kept with a model: not computed twice, bounded, and gone with it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator

from ddpm_core.inspection.remember import finished, remembered, remembered_steps
from ddpm_core.pipeline import LatentDiffusion


class Stub(LatentDiffusion):
    """A model of nothing."""

    def __init__(self) -> None:
        pass


def test_an_answer_is_computed_once_for_each_model_and_what_it_is_given() -> None:
    asked: list[tuple[int, int]] = []

    @remembered(2)
    def double(model: LatentDiffusion, number: int) -> int:
        asked.append((id(model), number))
        return 2 * number

    one, other = Stub(), Stub()
    assert [double(one, 1), double(one, 1), double(other, 1), double(one, 2), double(one, 1)] == [2, 2, 2, 4, 2]
    assert asked == [(id(one), 1), (id(other), 1), (id(one), 2)]
    double(one, 3)  # the one that was asked for longest ago, 2, goes
    double(one, 1)
    assert len(asked) == 4
    double(one, 2)
    assert len(asked) == 5


def test_what_is_made_step_by_step_is_yielded_the_first_time_and_kept_if_it_came_to_its_end() -> None:
    @remembered_steps(2)
    def count(model: LatentDiffusion, number: int) -> Generator[int, None, list[int]]:
        yield from range(number)
        return [number]

    model = Stub()
    given_up = count(model, 3)
    assert next(given_up) == 0
    given_up.close()
    assert list(count(model, 3)) == [0, 1, 2]
    assert list(count(model, 3)) == []
    assert finished(count(model, 3)) is finished(count(model, 3))
    assert finished(count(Stub(), 2)) == [2]


def test_a_model_is_not_kept_alive() -> None:
    @remembered(2)
    def name(model: LatentDiffusion) -> str:
        return "it"

    model = Stub()
    name(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None

"""Requests made in one batch: each gets its own pictures, whoever computes, leaves or fails."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gradio.context import LocalContext

from ddpm_core.diffusion.samplers import Step
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.serving.together import Batch, ModelRequest, generated

ONE, TWO = GenerateRequest(seed=40, count=1, steps=3), GenerateRequest(seed=7, count=2, steps=3)


def test_the_pictures_of_each_are_those_of_its_seeds(tiny_model: LatentDiffusion) -> None:
    batch = Batch([ONE, TWO])
    first, second = batch.steps(0, tiny_model, ONE), batch.steps(1, tiny_model, TWO)
    made = {"first": [next(first)], "second": [*second]}  # they need not walk in step
    made["first"] += list(first)
    for name, request in (("first", ONE), ("second", TWO)):
        alone = list(tiny_model.generate(request))
        assert len(made[name]) == len(alone) == 3
        for step, own in zip(made[name], alone, strict=True):
            assert step.t == own.t
            torch.testing.assert_close(step.latent, own.latent, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(step.denoised, own.denoised, atol=1e-4, rtol=1e-4)


def test_a_step_is_computed_once_and_who_leaves_keeps_nobody_from_going_on() -> None:
    computed: list[int] = []

    def generate(request: GenerateRequest, seeds: list[int]) -> Iterator[Step]:
        assert seeds == [40, 7, 8]
        for t in (2, 1, 0):
            computed.append(t)
            yield Step(t, torch.tensor(seeds), torch.tensor(seeds))

    model: Any = SimpleNamespace(generate=generate)
    batch = Batch([ONE, TWO])
    leaves, stays = batch.steps(0, model, ONE), batch.steps(1, model, TWO)
    assert next(leaves).latent.tolist() == [40]
    leaves.close()  # type: ignore[attr-defined]
    assert [step.latent.tolist() for step in stays] == [[7, 8]] * 3
    assert computed == [2, 1, 0]


def test_what_fails_fails_for_all_and_nobody_takes_half_a_run_for_the_whole() -> None:
    def generate(request: GenerateRequest, seeds: list[int]) -> Iterator[Step]:
        yield Step(1, torch.tensor(seeds), torch.tensor(seeds))
        raise MemoryError

    model: Any = SimpleNamespace(generate=generate)
    batch = Batch([ONE, TWO])
    for first, request in ((0, ONE), (1, TWO)):
        steps = batch.steps(first, model, request)
        next(steps)
        with pytest.raises(MemoryError):
            next(steps)


def test_what_differs_in_more_than_seeds_is_of_another_kind() -> None:
    kind = ModelRequest("faces", ONE).kind
    assert ModelRequest("faces", TWO).kind == kind
    others = [ModelRequest("digits", ONE)]
    others += [
        ModelRequest("faces", ONE.model_copy(update=given)) for given in ({"steps": 4}, {"label": "3"}, {"eta": 0.5})
    ]
    assert kind not in [other.kind for other in others]


def test_a_handler_takes_part_in_what_the_line_began_it_with() -> None:
    alone, shared = object(), Step(0, torch.tensor([40, 7, 8]), torch.tensor([40, 7, 8]))
    model: Any = SimpleNamespace(generate=lambda request, seeds=None: alone if seeds is None else iter([shared]))
    event = SimpleNamespace(batch=Batch([ONE, TWO]), first=1)
    page = SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events={"7": event}))
    assert generated(model, TWO) is alone
    tokens = LocalContext.blocks.set(page), LocalContext.event_id.set("7")  # type: ignore[arg-type]
    try:
        assert [step.latent.tolist() for step in generated(model, TWO)] == [[7, 8]]
    finally:
        LocalContext.blocks.reset(tokens[0])
        LocalContext.event_id.reset(tokens[1])

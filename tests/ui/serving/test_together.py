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
from ui.components import progress
from ui.serving.together import Batch, Generation, ModelRequest, generated

ONE, TWO = GenerateRequest(seed=40, count=1, steps=3), GenerateRequest(seed=7, count=2, steps=3)


def test_the_pictures_of_each_are_those_of_its_seeds(tiny_model: LatentDiffusion) -> None:
    batch = Batch([ONE, TWO])
    first = Generation(tiny_model, ONE, batch, 0).steps()
    second = Generation(tiny_model, TWO, batch, 1).steps()
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
    leaves, stays = Generation(model, ONE, batch, 0).steps(), Generation(model, TWO, batch, 1).steps()
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
        steps = Generation(model, request, batch, first).steps()
        next(steps)
        with pytest.raises(MemoryError):
            next(steps)


def test_a_batch_decodes_the_previews_of_all_at_once_and_each_shows_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PREVIEW_FRACTION", 0.5)
    time, decoded = [0.0], []

    def generate(request: GenerateRequest, seeds: list[int]) -> Iterator[Step]:
        for t in reversed(range(8)):
            time[0] += 1.0
            yield Step(t, torch.tensor(seeds), torch.tensor(seeds))

    def pictures(latent: torch.Tensor) -> list[Any]:
        decoded.append(len(latent))
        time[0] += 1.0  # as long as a step
        return latent.tolist()

    model: Any = SimpleNamespace(generate=generate, pictures=pictures)
    batch = Batch([ONE, TWO])
    batch.budget = progress.PreviewBudget(lambda: time[0])
    members = [Generation(model, request, batch, first) for first, request in ((0, ONE), (1, TWO))]
    walks = [progress.watch(member.steps(), 8, member.budget) for member in members]
    shown: list[list[Any]] = [[], []]
    for ticks in zip(*walks, strict=True):
        assert len({tick.preview_due for tick in ticks}) == 1
        for tick, member, seen in zip(ticks, members, shown, strict=True):
            if tick.preview_due:
                seen.append(member.previews(tick.step))
    previews = len(decoded)
    assert decoded == [3] * previews
    assert shown == [[[40]] * previews, [[7, 8]] * previews]
    assert 2 <= previews <= 0.5 * 8 + 1  # a second each, of eight seconds of steps: the fraction is the batch's


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
    model: Any = SimpleNamespace(
        generate=lambda request, seeds=None: iter([alone]) if seeds is None else iter([shared])
    )
    event = SimpleNamespace(batch=Batch([ONE, TWO]), first=1)
    page = SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events={"7": event}))
    assert next(generated(model, TWO).steps()) is alone
    tokens = LocalContext.blocks.set(page), LocalContext.event_id.set("7")  # type: ignore[arg-type]
    try:
        assert [step.latent.tolist() for step in generated(model, TWO).steps()] == [[7, 8]]
    finally:
        LocalContext.blocks.reset(tokens[0])
        LocalContext.event_id.reset(tokens[1])

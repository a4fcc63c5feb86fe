"""Points: the predictor is the posterior mean, and samplers, guidance and constraints are those of pictures."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import extrapolate
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.inspection.point_sets import SHAPES
from ddpm_core.inspection.points import (
    ANY,
    PointsRequest,
    distance_to_nearest,
    exact_predictor,
    flight,
    point_predictor,
    step_ladder,
)
from ddpm_core.pipeline import LatentDiffusion
from tests.complaints import complaint_of


def test_the_predictor_is_the_posterior_mean() -> None:
    diffuser, points, labels = Diffuser(), torch.tensor([[-1.0, 0], [1, 0.5], [0, 2]]), torch.tensor([0, 0, 1])
    predict = exact_predictor(points, labels, diffuser)
    z, t = torch.tensor([[0.3, 0.4], [-1, 1]])[:, :, None, None], torch.tensor([300, 600])
    for wanted in (0, 1, ANY):
        eps, variance = predict(z, t, torch.full((2,), wanted))
        assert variance is None
        for i in range(2):
            alpha, sigma = diffuser.alpha_bar[t[i]].sqrt().item(), (1 - diffuser.alpha_bar[t[i]]).sqrt().item()
            weights = [
                math.exp(-((z[i].flatten() - alpha * x).square().sum().item()) / (2 * sigma**2))
                * (wanted in (ANY, label))
                for x, label in zip(points, labels.tolist(), strict=True)
            ]
            mean = sum(w * x for w, x in zip(weights, points, strict=True)) / sum(weights)
            denoised = diffuser.denoised(z[i : i + 1], eps[i : i + 1], t[i : i + 1]).flatten()
            assert torch.allclose(denoised, mean, atol=1e-4)


def test_the_flight_is_a_run_of_the_loop_that_makes_pictures(tiny_model: LatentDiffusion) -> None:
    request = PointsRequest(shape="moons", steps=6, sampler="heun", count=5, seed=3)
    made, diffuser = flight(tiny_model, request), tiny_model.diffuser
    draw = SeededNoise([3], (10, 1, 1))
    states = diffuser.spaced_timesteps(6)
    run = sample_loop(
        SAMPLERS["heun"], point_predictor(request, diffuser), diffuser, states, lambda: draw().view(5, 2, 1, 1)
    )
    assert torch.allclose(torch.tensor(made.ways[-1]), last(run).latent.flatten(1), atol=1e-3)
    assert made.states == states
    assert (len(made.ways), len(made.beliefs), len(made.arrows)) == (7, 6, 6)
    assert torch.allclose(torch.tensor(made.points), SHAPES["moons"]()[0], atol=1e-3)
    for x, y, dx, dy in made.arrows[2][:20]:
        eps = point_predictor(request, diffuser)(torch.tensor([x, y]).view(1, 2, 1, 1), torch.tensor([states[2]])).eps
        assert eps.flatten().tolist() == pytest.approx([-dx, -dy], abs=0.02)


def test_more_steps_land_nearer_to_where_the_finest_do(tiny_model: LatentDiffusion) -> None:
    rungs = step_ladder(tiny_model, PointsRequest(count=50))
    apart = [rung.finest for rung in rungs]
    assert [rung.steps for rung in rungs] == [1, 2, 3, 5, 10, 20, 50]
    assert all(a > b for a, b in pairwise(apart))  # type: ignore[operator]
    assert apart[5] < 0.1 < 1 < apart[0]  # type: ignore[operator]
    made = flight(tiny_model, PointsRequest(count=50))
    assert rungs[5].nearest == pytest.approx(made.distance)
    ends = distance_to_nearest(torch.tensor(made.ways[-1]), torch.tensor(made.points))
    assert made.distance == pytest.approx(ends, abs=1e-3)
    assert step_ladder(tiny_model, PointsRequest(count=50, steps=7)) is rungs
    assert {rung.finest for rung in step_ladder(tiny_model, PointsRequest(count=50, sampler="ddpm"))} == {None}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_points_fly_by_every_sampler_and_land_where_points_are(tiny_model: LatentDiffusion, sampler: str) -> None:
    made = flight(tiny_model, PointsRequest(shape="rings", sampler=sampler, count=50))
    begun, ended = (distance_to_nearest(torch.tensor(made.ways[at]), torch.tensor(made.points)) for at in (0, -1))
    assert ended < 0.1 < begun


def test_eta_draws_fresh_noise(tiny_model: LatentDiffusion) -> None:
    ends = [flight(tiny_model, PointsRequest(sampler="ddim", eta=eta, count=50)) for eta in (0, 0.5, 1)]
    assert ends[0].ways[0] == ends[1].ways[0] == ends[2].ways[0]
    assert ends[0].ways[-1] != ends[1].ways[-1] != ends[2].ways[-1]
    assert all(made.distance < 0.1 for made in ends)


def test_guidance_is_that_of_classes_and_leads_to_the_colour(tiny_model: LatentDiffusion) -> None:
    diffuser, z, t = tiny_model.diffuser, torch.randn(4, 2, 1, 1), torch.full((4,), 500)
    predict = exact_predictor(*SHAPES["rings"](), diffuser)
    one, every = (predict(z, t, torch.full((4,), wanted)).eps for wanted in (1, ANY))
    guided = point_predictor(PointsRequest(shape="rings", colour="second", guidance=3), diffuser)(z, t).eps
    assert torch.allclose(guided, extrapolate(every, one, 3), atol=1e-5)
    made = flight(tiny_model, PointsRequest(shape="rings", colour="second", count=40))
    radii = torch.tensor(made.ways[-1]).norm(dim=1)
    assert (radii < 1).all()  # the inner ring


@pytest.mark.parametrize("clamp", ["clean", "noised"])
def test_a_coordinate_can_be_kept(tiny_model: LatentDiffusion, clamp: str) -> None:
    made = flight(tiny_model, PointsRequest(hold="y", at=0.75, clamp=clamp, count=20))
    assert [y for _, y in made.ways[-1]] == [0.75] * 20
    held = [y for _, y in made.ways[5]]
    assert (held == [0.75] * 20) == (clamp == "clean")
    assert len({x for x, _ in made.ways[-1]}) > 1


def test_what_has_no_effect_is_refused() -> None:
    assert complaint_of(PointsRequest, eta=0.5).startswith("eta belongs to the sampler ddim")
    assert PointsRequest(eta=0.5, sampler="ddim").eta == 0.5

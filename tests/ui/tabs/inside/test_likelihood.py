"""The view Likelihood: it shows what `inspection.exact_likelihood` says."""

from __future__ import annotations

from collections.abc import Callable

from ddpm_core.inspection.exact_likelihood import LikelihoodRequest, likelihood
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.likelihood import VIEW
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(draw: Callable[..., Drawing], model: LatentDiffusion) -> None:
    asked = {"steps": 2, "probes": 2, "draws": 3}
    drawn = draw(VIEW, **asked)
    found = likelihood(model, subject_of_seed(model, 3), LikelihoodRequest(seed=3, **asked))
    assert (drawn.numbers["bits_per_latent_dimension"], drawn.numbers["error"]) == (found.bits, found.error)
    bound = drawn.numbers["bound"]
    assert bound["total"] == found.bound.total
    assert bound["prior"] + bound["steps"] + bound["reconstruction"] == found.bound.total
    for said in (f"{found.bits:.2f} ± {found.error:.2f}", f"{found.bound.total:.2f}", f"{found.bound.steps:.2f}"):
        assert f"<strong>{said}</strong>" in drawn.shown
    assert f"{found.calls} calls" in drawn.shown

"""The view Likelihood: what a picture's latent costs, exactly and by the bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ddpm_core.diffusion.variational_bound import step_bits
from ddpm_core.inspection.exact_likelihood import (
    Followed,
    LikelihoodRequest,
    bound_by_batches,
    flow_step_by_step,
    likelihood,
    likelihood_under_way,
)
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import Subject
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import Figure, figures, note
from ui.tabs.inside.grids import bars
from ui.tabs.inside.view import Drawing, View, png, slider

FORMULA = r"""
$$\frac{d x}{d \lambda} = -\frac{\sigma}{\alpha}\, \hat\epsilon(z, t), \qquad
\ln p(x_0) = \ln p_T(x_T) + \int_{\lambda_T}^{\lambda_1} \sigma \,
\mathrm{tr}\, \frac{\partial \hat\epsilon}{\partial z} \, d\lambda, \qquad \mathrm{tr}\, J = \mathbb{E}_v [v^T J v]$$

with $x = z / \alpha$ and $\lambda = \ln(\alpha / \sigma)$: Song et al. 2021,
[Score-based generative modeling](https://arxiv.org/abs/2011.13456), equations 39 and 40. The bound is Ho et al. 2020,
equation 5: $L_T + \sum_t L_{t-1} + L_0$. "Exact" means without a bound: steps of the ODE and random directions $v$
leave an error, of which the second is given. It is a density of normalised latents, not a probability of pixels, so
below 0 bits is possible, and only denoisers of one autoencoder can be compared.
"""


def draw(model: LatentDiffusion, subject: Subject, request: LikelihoodRequest) -> Drawing:
    """The exact number and the bound's three terms as bars."""
    found = likelihood(model, subject, request)
    bound = found.bound
    error = "" if found.error is None else f" ± {found.error:.2f}"
    rows = [
        ("exactly, along the flow", found.bits, f"{found.bits:.2f}{error}"),
        ("the bound, all three terms", bound.total, f"{bound.total:.2f}"),
        ("· how far the last state is from noise", bound.prior, f"{bound.prior:.4f}"),
        ("· how far its steps are from the right ones", bound.steps, f"{bound.steps:.2f}"),
        ("· the last step, to the clean latent", bound.reconstruction, f"{bound.reconstruction:.2f}"),
    ]
    words = [f"{said}  {name}" for name, _, said in rows]
    return Drawing(
        figures([Figure(subject.picture, "the picture")], small=True) + bars(rows)
        + note(
            f"Bits for each of the latent's {found.dimensions:,} numbers, from {found.calls} calls of the network; "
            "fewer is likelier, and below 0 is possible: it is a density. A bound can only be too high."
        ),
        {
            "bits_per_latent_dimension": found.bits,
            "error": found.error,
            "bound": {
                "total": bound.total, "prior": bound.prior, "steps": bound.steps,
                "reconstruction": bound.reconstruction,
            },
            "dimensions": found.dimensions,
            "calls": found.calls,
        },
        png(
            lambda: labelled_sheet([subject.picture], ["\n".join(words)], side=512),
            "likelihood",
        ),
    )  # fmt: skip


def sketches(model: LatentDiffusion, subject: Subject, request: LikelihoodRequest) -> Iterator[Callable[[], str]]:
    """The picture on its way into noise, with the bits so far; then how many terms of the bound are done."""

    def follow(at: Followed) -> str:
        said = (
            f"Step {at.step} of {request.steps}: followed to state {at.t}. So far the flow has changed the volume by "
            f"{at.bits:.2f} bits a number; at the end, the density of pure noise is added."
        )
        return figures([Figure(model.pictures(at.latent)[0], f"state {at.t}")], small=True) + note(said)

    def count(terms: int) -> str:
        return note(
            f"The flow is followed to its end; of the bound, {terms} of {request.draws + 1} terms are computed."
        )

    for at in likelihood_under_way(model, subject, request):
        yield partial(follow, at) if isinstance(at, Followed) else partial(count, at)


VIEW = View(
    "likelihood",
    "Likelihood",
    "How many bits this picture's latent costs the model, exactly and by the bound: it is followed into noise.",
    LikelihoodRequest,
    draw,
    {
        "steps": slider("Steps of the flow", 2, 60),
        "probes": slider("Random directions", 1, 8),
        "draws": slider("Terms of the bound drawn", 1, 256),
    },
    FORMULA,
    (flow_step_by_step, bound_by_batches, step_bits),
    sketches=sketches,
    restarts=frozenset({"steps", "probes", "draws"}),
)

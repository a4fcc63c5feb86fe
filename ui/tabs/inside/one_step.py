"""The view One step: a blur, one prediction and many steps from one noisy state."""

from __future__ import annotations

from typing import Any

from PIL import Image

from ddpm_core.inspection.one_step import OneStepRequest, best_blur, ladder, three_ways
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import MOST_STATES, Subject
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import Figure, decibels, figures, finite, note
from ui.tabs.inside.view import Drawing, View, png, sampler_menu, slider, switch

FORMULA = r"""
$$\hat x_0 = \frac{z_t - \sqrt{1 - \bar\alpha_t}\, \epsilon_\theta(z_t, t)}{\sqrt{\bar\alpha_t}}
\;\approx\; \mathbb{E}[x_0 \mid z_t]$$

Ho et al. 2020, [Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2006.11239), equation 15. One
prediction is the mean of all pictures that could be under the noise: no other guess has less squared error, and it is
blurred. Many steps choose one of them: sharper, and, by the same measure, further off.
"""


MEANT = (
    "One prediction is the mean of all pictures that could be under the noise: the least error to expect, and blurred. "
    "Many steps choose one of those pictures: sharp, and, by the same measure, mostly further off."
)


def draw(model: LatentDiffusion, subject: Subject, request: OneStepRequest) -> Drawing:
    """One noisy state, three ways back, and what each is worth; then the ladder of steps, if asked for."""
    made = three_ways(model, subject, request.model_copy(update={"ladder": False}))
    ways = [
        (made.noisy, f"the noisy state, t = {request.t}"),
        (made.blurred, f"the best blur of its latent, {made.width:.2g} pixels wide"),
        (made.predicted, "one prediction"),
        (made.iterated, f"many steps: {made.calls} calls"),
    ]
    shown = [Figure(subject.picture, "the picture")]
    shown += [Figure(one.picture, what, decibels(one.psnr)) for one, what in ways]
    numbers: dict[str, Any] = {
        "t": request.t, "width": made.width, "calls": made.calls, "psnr_noisy": finite(made.noisy.psnr),
        "psnr_blurred": finite(made.blurred.psnr), "psnr_predicted": finite(made.predicted.psnr),
        "psnr_iterated": finite(made.iterated.psnr),
    }  # fmt: skip
    html = figures(shown) + note(MEANT)
    if request.ladder:
        rungs = ladder(model, request.seed, request.sampler)
        numbers["ladder"] = {str(rung.steps): finite(rung.psnr) for rung in rungs}
        climbed = [
            Figure(
                rung.picture,
                "1 step" if rung.steps == 1 else f"{rung.steps} steps",
                "" if rung is rungs[-1] else decibels(rung.psnr),
            )
            for rung in rungs
        ]
        html += note(
            f"From pure noise, seed {request.seed}: how near is the picture of few steps to that of {rungs[-1].steps}?"
        ) + figures(climbed)
        shown += climbed
    return Drawing(
        html,
        numbers,
        png(lambda: _sheet(shown), f"one-step-t-{request.t}"),
    )


def _sheet(shown: list[Figure]) -> Image.Image:
    labels = [f"{one.caption}\n{one.strong}".strip() for one in shown]
    return labelled_sheet([one.picture for one in shown], labels, 5 if len(shown) == 5 else 6)


VIEW = View(
    "one_step",
    "One step or many",
    "From one noisy state: a blur, the model's first guess, and many small steps; drag t to see who wins where.",
    OneStepRequest,
    draw,
    {
        "t": slider("State t", 1, MOST_STATES - 1),
        "steps": slider("Steps from noise to picture", 1, 50),
        "sampler": sampler_menu(OneStepRequest),
        "ladder": switch("How many steps are enough? The seed's picture in 1 to 40 steps; takes seconds once."),
    },
    FORMULA,
    (three_ways, best_blur, ladder),
    more=frozenset({"steps", "sampler"}),
)

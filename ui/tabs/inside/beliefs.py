"""The view Beliefs: the predicted clean picture along a run, its spectrum, and what is settled when."""

from __future__ import annotations

from collections.abc import Sequence

from ddpm_core.inspection.beliefs import BANDS, OWN, BeliefsRequest, agreement, beliefs, power_spectrum
from ddpm_core.inspection.subject import Subject
from ddpm_core.pipeline import LatentDiffusion
from ui.results import animate
from ui.tabs.inside.draw import Figure, Line, chart, charts, figures
from ui.tabs.inside.view import Drawing, View, sampler_menu, slider

FORMULA = r"""
$$\hat x_0(t) = \frac{z_t - \sqrt{1 - \bar\alpha_t}\, \epsilon_\theta(z_t, t)}{\sqrt{\bar\alpha_t}}, \qquad
P(f) = \big\langle |\mathcal{F} \hat x_0|^2 \big\rangle_{|k| = f}, \qquad
\rho_B = \frac{\sum_{k \in B} \mathrm{Re}\, a_k \bar b_k}{\sqrt{\sum_B |a_k|^2 \sum_B |b_k|^2}}$$

Prediction: Ho et al. 2020, equation 15. Spectra of pictures: van der Schaaf & van Hateren 1996, section 2. That
diffusion goes from coarse to fine because noise hides what is weak, and in pictures the fine is weak: Rissanen et al.
2023, [Generative Modelling with Inverse Heat Dissipation](https://arxiv.org/abs/2206.13397), section 2.
"""
LEAST = 1e-6  # power that is drawn
LONGEST = 24  # steps that a shipped checkpoint takes by itself; where it takes fewer, its last is shown from there on


def draw(model: LatentDiffusion, subject: Subject, request: BeliefsRequest) -> Drawing:
    """The belief after a step, what it changed, its spectrum beside the last one's, and the bands' agreement."""
    run = beliefs(model, request.seed, request.steps, request.sampler)
    at = min(request.at, len(run))
    now, final = run[at - 1], run[-1]
    states = [one.t for one in run]
    as_elsewhere = request.steps == 0 and request.sampler == OWN
    end = f"where it ends: the picture of seed {request.seed}" if as_elsewhere else "where it ends"
    bands = [
        Line(
            [(i, one.agreement[band]) for i, one in enumerate(run, start=1)],
            f"{band}, {low} to {high} waves" if high else f"{band}, from {low} waves",
            f"{now.agreement[band]:.0%}",
        )
        for band, (low, high) in BANDS.items()
    ]
    strip = [Figure(run[i - 1].picture, f"step {i}", sets={"at": i}) for i in range(1, len(run) + 1)]
    return Drawing(
        figures(
            [
                Figure(now.picture, f"step {at} of {len(run)}: what it believes in state {now.t}"),
                Figure(now.change, "what this step changed, 4 times as strong"),
                Figure(final.picture, end),
            ]
        )
        + charts(
            chart("How much of the final picture is settled", bands, "step", "agreement", at, (0, 1)),
            chart(
                "Spectrum of the belief",
                [
                    Line(_by_waves(now.spectrum), f"step {at}"),
                    Line(_by_waves(final.spectrum), "the end", faint=True),
                ],
                "waves across the picture, coarse to fine", "power", logarithmic=True,
            ),
        )
        + figures(strip, small=True),
        {
            "at": at, "states": states, "spectrum": now.spectrum, "spectrum_of_the_end": final.spectrum,
            "agreement": {band: [one.agreement[band] for one in run] for band in BANDS},
        },
        lambda folder: animate([one.picture for one in run], folder, f"beliefs-seed-{request.seed}"),
    )  # fmt: skip


def _by_waves(spectrum: Sequence[float]) -> list[tuple[float, float]]:
    """Points (waves across the picture, power at least `LEAST`)."""
    return [(wave, max(power, LEAST)) for wave, power in enumerate(spectrum, start=1)]


VIEW = View(
    "beliefs",
    "What it believes",
    "Drag through the seed's run: the model expects the coarse of its picture first and the fine last.",
    BeliefsRequest,
    draw,
    {
        "at": slider("After step", 1, LONGEST),
        "sampler": sampler_menu(BeliefsRequest),
    },
    FORMULA,
    (beliefs, power_spectrum, agreement),
)

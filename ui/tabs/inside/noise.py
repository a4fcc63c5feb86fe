"""The view Noise: a picture under more and more of it, and every schedule's way there."""

from __future__ import annotations

import math

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.schedules import SCHEDULES
from ddpm_core.inspection.noising import OWN, NoiseRequest, levels_at, noised, schedule_curves
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import MOST_STATES, Subject
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import Figure, Line, chart, charts, figures, finite
from ui.tabs.inside.view import Drawing, View, choice, png, slider

FORMULA = r"""
$$z_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon, \qquad
\mathrm{SNR}_t = \frac{\bar\alpha_t}{1 - \bar\alpha_t}$$

Ho et al. 2020, [Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2006.11239), equation 4. Schedules:
cosine is Nichol & Dhariwal 2021, equation 17; flow is the line of Liu et al. 2022, equation 1, scaled to unit variance.
*Quadratic* is *scaled-linear* under its older name; *ve*, variance exploding, is Song et al. 2021,
equation 9.
"""
ALSO = {"scaled-linear": "scaled-linear (quadratic)", "ve": "ve (variance exploding)"}  # names that others know better


def draw(model: LatentDiffusion, subject: Subject, request: NoiseRequest) -> Drawing:
    """The picture at state t, as pixels and as a latent, and where all schedules are there."""
    made, levels = noised(model, subject, request), levels_at(model, request.t)
    signal = f"{made.alpha_bar:.1%} of the variance is picture"
    shown = [
        Figure(subject.picture, "the picture"),
        Figure(made.pixels, f"noise on its pixels: {signal}"),
        Figure(made.decoded, "as much noise on its latent, decoded"),
    ]
    curves = schedule_curves(model)
    names = {name: model.diffuser.schedule + " (this checkpoint)" if name == OWN else name for name in curves}
    names = {name: ALSO.get(said, said) for name, said in names.items() if name != model.diffuser.schedule}
    left, ratio = (
        [
            Line([(t, level[which]) for t, level in curves[name].items()], said, _number(levels[name][which]))
            for name, said in names.items()
        ]
        for which in (0, 1)
    )
    channels = [Figure(one, f"channel {i}", crisp=True) for i, one in enumerate(made.channels)]
    return Drawing(
        figures(shown)
        + charts(
            chart("Share of the picture that is left", left, "state t", "alpha-bar", request.t, (0, 1)),
            chart("Signal against noise, as a logarithm", ratio, "state t", "log SNR", request.t, (-12, 10)),
        )
        + '<p class="note">What the network is shown: the latent at this state, channel by channel.</p>'
        + figures(channels, small=True),
        {
            "t": request.t, "alpha_bar": made.alpha_bar, "log_snr": finite(made.log_snr),
            "schedules": {
                name: {"alpha_bar": level.alpha_bar, "log_snr": finite(level.log_snr)}
                for name, level in levels.items()
            },
        },
        png(
            lambda: labelled_sheet(
                [one.picture for one in shown],
                ["the picture", f"pixels at t = {request.t}", f"latent at t = {request.t}"],
            ),
            f"noise-t-{request.t}",
        ),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "∞"


VIEW = View(
    "noise",
    "Noise",
    "Drag t: the picture drowns in noise, fast or slowly as its schedule says; the network learns to go back.",
    NoiseRequest,
    draw,
    {
        "t": slider("State t", 0, MOST_STATES - 1),
        "schedule": choice(
            "Schedule",
            [
                ("this checkpoint's", OWN),
                *((ALSO.get(name, name), name) for name in SCHEDULES),
            ],
        ),
    },
    FORMULA,
    (Diffuser.add_noise, noised, levels_at),
)

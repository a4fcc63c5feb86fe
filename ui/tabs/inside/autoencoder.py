"""The view Your photo: through the autoencoder and back."""

from __future__ import annotations

from ddpm_core.inspection.autoencoder import AMPLIFIED, AutoencoderRequest, RoundTrip, psnr, round_trip
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import Subject
from ddpm_core.networks.codec import Codec
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import Figure, decibels, figures, finite, note
from ui.tabs.inside.view import Drawing, View, png

FORMULA = r"""
$$\hat x = D(\mu(x)), \qquad \mathrm{PSNR} = 10 \log_{10} \frac{255^2}{\frac{1}{n} \sum_i (x_i - \hat x_i)^2}$$

The encoder's posterior has the mean $\mu(x)$: Kingma & Welling 2014,
[Auto-Encoding Variational Bayes](https://arxiv.org/abs/1312.6114), section 3. Diffusion in its latents: Rombach et al.
2022, [High-Resolution Image Synthesis with Latent Diffusion Models](https://arxiv.org/abs/2112.10752), section 3.1.
"""


def draw(model: LatentDiffusion, subject: Subject, request: AutoencoderRequest) -> Drawing:
    """Original, reconstruction and what is between them."""
    made: RoundTrip = round_trip(model, subject)
    shown = [
        Figure(subject.picture, "the picture, as the model sees it"),
        Figure(made.reconstruction, "encoded and decoded", decibels(made.psnr)),
        Figure(made.difference, f"what was lost, {AMPLIFIED} times as strong; grey is nothing"),
    ]
    smaller = made.pixels / made.values
    return Drawing(
        figures(shown)
        + note(
            f"{made.pixels:,} numbers become {made.values:,}, {smaller:.3g} times fewer. "
            "Whatever is made in the latent is seen through the same decoder, so this is about the best to hope for."
        ),
        {"psnr": finite(made.psnr), "values": made.values, "pixels": made.pixels},
        png(
            lambda: labelled_sheet(
                [one.picture for one in shown], ["the picture", decibels(made.psnr), f"difference x {AMPLIFIED}"]
            ),
            "autoencoder",
        ),
    )


VIEW = View(
    "autoencoder",
    "Your photo",
    "Open a photo: this is what the autoencoder alone keeps of it, the ceiling of everything else here.",
    AutoencoderRequest,
    draw,
    {},
    FORMULA,
    (round_trip, psnr, Codec.encode, Codec.decode),
)

"""What a network says of a noisy latent, in the terms of samplers and losses.

In the formulas alpha is sqrt(alpha_bar) and sigma sqrt(1 - alpha_bar), so that z = alpha x0 + sigma eps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, get_args

from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.errors import no_such

PredictionType = Literal["eps", "x0", "v", "velocity"]


class Prediction(NamedTuple):
    """What a predictor says of a noisy latent.

    Attributes:
        eps: (B, C, h, w), the noise in it.
        variance: (B, C, h, w), where the log variance of a reverse step lies between least (0) and greatest (1): v of
            Nichol & Dhariwal 2021, eq. 15, not held there. None if fixed.
    """

    eps: Tensor
    variance: Tensor | None = None


Predictor = Callable[[Tensor, Tensor], Prediction]  # predict(z_t (B, C, h, w), t (B,))
# predict(z_t (B, C, h, w), t (B,), labels (B,)), and captions (B, L, W) where it knows words; either may be None
LabelPredictor = Callable[..., Prediction]


class Network(Protocol):
    """A denoising network (`networks.unet.Denoiser`), and what its output means."""

    prediction: PredictionType

    def __call__(
        self, noisy: Tensor, t: Tensor, label: Tensor | None = None, encoder_hidden_states: Tensor | None = None, /
    ) -> Tensor: ...


def predictor(network: Network, diffuser: Diffuser) -> Callable[..., Prediction]:
    """The `Predictor` of a network; it takes labels (B,) and captions (B, L, W) as well."""

    def predict(
        noisy: Tensor, t: Tensor, labels: Tensor | None = None, encoder_hidden_states: Tensor | None = None
    ) -> Prediction:
        # What is not asked for is not handed on: a network may know of neither.
        asked = (labels,) if encoder_hidden_states is None else (labels, encoder_hidden_states)
        output, variance = split_variance(network(noisy, t, *asked), noisy.shape[1])  # (B, C, h, w) each
        return Prediction(to_eps(output, noisy, t, network.prediction, diffuser), variance)

    return predict


def split_variance(output: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """A raw output, of C or 2C `channels`: its prediction (B, C, h, w), and `Prediction.variance`.

    The latter is 1/2 everywhere in a new network (Nichol & Dhariwal 2021, section 3.1).
    """
    prediction, *raw = output.split(channels, dim=1)  # (B, C, h, w) each
    return prediction, (raw[0] + 1) / 2 if raw else None


def to_eps(output: Tensor, noisy: Tensor, t: Tensor, prediction: PredictionType, diffuser: Diffuser) -> Tensor:
    """The noise (B, C, h, w) that a network's `output` implies for `noisy` at `t` (B,): inverts `training_target`.

    Raises:
        UserError: no such prediction type.
    """
    if prediction == "eps":
        return output
    alpha, sigma = diffuser.signal_and_noise(t, noisy)  # (B, 1, 1, 1) each
    if prediction == "x0":
        return (noisy - alpha * output) / sigma
    if prediction == "velocity":
        return (noisy + alpha * output) / (alpha + sigma)
    if prediction == "v":  # Salimans & Ho 2022, section 4, unnumbered
        return sigma * noisy + alpha * output
    raise no_such("prediction type", prediction, get_args(PredictionType))


def training_target(clean: Tensor, eps: Tensor, t: Tensor, prediction: PredictionType, diffuser: Diffuser) -> Tensor:
    """What a network should put out for `clean` (B, C, h, w) under noise `eps` at `t` (B,).

    "v" is Salimans & Ho 2022, section 4; "velocity" the direction of rectified flow's line (Liu et al. 2022, eq. 1).

    Raises:
        UserError: no such prediction type.
    """
    if prediction == "eps":
        return eps
    if prediction == "x0":
        return clean
    if prediction == "velocity":
        return eps - clean
    if prediction == "v":
        alpha, sigma = diffuser.signal_and_noise(t, clean)  # (B, 1, 1, 1) each
        return alpha * eps - sigma * clean
    raise no_such("prediction type", prediction, get_args(PredictionType))

"""How likely a model finds unseen pictures: the variational bound (Ho et al. 2020, eq. 5), in bits per dimension.

Of each picture some terms are drawn and weighed; the sum is right on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.variational_bound import BITS, log_variance, prior_bits, step_bits
from ddpm_core.display.progress_bar import watched
from ddpm_core.images.files import Source
from ddpm_core.networks.codec import Codec
from ddpm_core.pipeline import LatentDiffusion

PICTURES = 256
DRAWS = 16  # terms computed of each picture beside the first and the last
UNIFORM_FRACTION = 0.1
HALF_LEVEL = 1 / 255  # of 8 bits, in pixels from -1 to 1


def measure_likelihood(model: LatentDiffusion, files: Mapping[str, Sequence[Source]]) -> dict[str, float | None]:
    """Bits per dimension of at most `PICTURES` held-out pictures ("val"), and the standard error; None without any.

    "bits_per_dim" bounds the probability of pixels, "latent_bits_per_dim" the density of normalised latents: perhaps
    below 0, comparable for one codec alone. What is likelier in "..._train" is memorised.
    """
    name = "bits_per_dim" if model.codec.of_pixels else "latent_bits_per_dim"
    held_out = files["val"][:: max(1, -(-len(files["val"]) // PICTURES))]
    learned = files["train"][:: max(1, len(files["train"]) // max(1, len(held_out)))][: len(held_out)]
    measures: dict[str, float | None] = {}
    for measure, some in ((name, held_out), (f"{name}_train", learned)):
        measures |= {measure: None, f"{measure}_error": None}
        if some:
            bits = bits_per_dim(model, load_pictures(some, model.size))
            error = (bits.var(correction=0) / len(bits)).sqrt().item()
            measures |= {measure: bits.mean().item(), f"{measure}_error": error}
    return measures


@torch.inference_mode()
def bits_per_dim(model: LatentDiffusion, pictures: PictureSet, draws: int = DRAWS, seed: int = 0) -> Tensor:
    """The bound for each picture, (N,) float64, of `model.predict` without a class; of pixels in 8 bits.

    Args:
        draws: terms of each picture beside the first and the last.
        seed: of noise and draws; picture i has `seed` + i.
    """
    diffuser, found = model.diffuser, []
    for number in watched(range(len(pictures)), "weighing steps", "picture"):
        generator = Generator().manual_seed(seed + number)
        image = pictures.batch(torch.tensor([number])).to(model.device)
        if model.codec.of_pixels:
            image = in_8_bits(model.codec.decode(model.codec.encode(image)))
        clean = model.codec.encode(image)
        t, weights = drawn_steps(diffuser, draws, generator)
        t = torch.cat([torch.ones(1, dtype=t.dtype), t]).to(model.device)
        eps = torch.randn((len(t), *clean.shape[1:]), generator=generator).to(clean)
        noisy = diffuser.add_noise(clean, eps, t)
        eps, variance = model.predict(noisy, t)
        denoised = diffuser.denoised(noisy, eps, t)
        terms = step_bits(clean, denoised, t, diffuser, variance)
        if model.codec.of_pixels:
            spread = log_variance(diffuser, t, denoised, variance).expand_as(denoised)
            terms[:1] = pixel_bits(image, denoised[:1], spread[:1], model.codec)
        each = terms.mean((1, 2, 3)).cpu().double()
        found.append(each[0] + (weights * each[1:]).sum() + prior_bits(clean, diffuser).mean().item())
    return torch.stack(found)


def drawn_steps(diffuser: Diffuser, draws: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Steps drawn from states 2..N-1, (draws,), and weights (draws,) by which their terms add up to all.

    Stratified, mostly by a term's size for normal pixels; sometimes uniform, so that no weight is large.
    """
    chance = torch.log1p(-diffuser.alpha_bar[1:]).diff()
    if not len(chance):
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
    chance = (1 - UNIFORM_FRACTION) * chance / chance.sum() + UNIFORM_FRACTION / len(chance)
    places = (torch.arange(draws) + torch.rand(draws, generator=generator, dtype=torch.float64)) / draws
    index = torch.searchsorted(chance.cumsum(0), places).clamp_max(len(chance) - 1)
    return 2 + index, 1 / (draws * chance[index])


def in_8_bits(image: Tensor) -> Tensor:
    """An image in [-1, 1], rounded to 256 levels."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def pixel_bits(image: Tensor, mean: Tensor, log_variance: Tensor, codec: Codec) -> Tensor:
    """Minus log2 of the probability of 8-bit pixels under Gaussians: (B, C, h, w) (Ho et al. 2020, eq. 13).

    Args:
        image: (B, 3, H, W), of 8 bits, in [-1, 1]; grey if the codec keeps brightness alone.
        mean, log_variance: (B, C, h, w), in the codec's latents.
    """
    infinity = torch.full_like(image, torch.inf)
    below = codec.encode(torch.where(image < -1 + HALF_LEVEL, -infinity, image - HALF_LEVEL))
    above = codec.encode(torch.where(image > 1 - HALF_LEVEL, infinity, image + HALF_LEVEL))
    mean, deviation = mean.cpu().double(), log_variance.cpu().double().div(2).exp()
    # A pixel takes all that rounds to it; black and white take all beyond.
    low, high = ((edge.cpu().double() - mean) / deviation for edge in (below, above))
    # In the lower tail, where logarithms of small probabilities are exact, as the distribution is symmetric.
    low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)
    most, less = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    return -BITS * (most + torch.log1p(-torch.exp(less - most)))

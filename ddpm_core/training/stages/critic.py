"""A critic learns to tell what the decoder makes from pictures, while the decoder learns to pass for one.

Errors by pixel are smallest where fine texture is left out; a critic asks only that it looks right (Goodfellow et al.
2014; Rombach et al. 2022, appendix G). It is not shipped.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.parametrize import register_parametrization

from ddpm_core.diffusion.samplers import last
from ddpm_core.networks.layers import placed
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.loop import batch_index
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.vae import VaeStage, build_vae
from ddpm_core.training.vae_loss import vae_loss

WIDTH = 32  # at full resolution; doubled at every halving
GAIN = 4.0  # what spectral norms of 1 hold back
FAINT = 10.0  # how many times stronger faint detail is shown to it
INIT_SCALE = 0.1  # of the usual first weights: their norm is of no effect, but the smaller it is the sooner they turn
SAMPLED_AT_ONCE = 8  # pictures, in one call of the denoiser
FIRST_SEED = 1_000_000  # of what is sampled for the critic: seeds that people try, and measure, are lower


class SpectralNorm(nn.Module):
    """A convolution's weights (out, in, k, k) over their spectral norm, as a matrix (Miyato et al. 2018, eq. 8).

    PyTorch's own tracks it from call to call, which a resumed run would lose.
    """

    def forward(self, weight: Tensor) -> Tensor:
        return weight / torch.linalg.matrix_norm(weight.flatten(1), ord=2)


class Critic(nn.Module):
    """How real each neighbourhood of some 20 pixels of an image (B, 3, H, W) looks: (B, 1, H/4, W/4), above 0 for real.

    It judges patches (Isola et al. 2017, section 3.2.2), with weights of spectral norm 1 (Miyato et al. 2018, section
    2.1). Faint detail is shown to it stronger: the grain of skin would be lost on it beside edges and colours.
    """

    def __init__(self, width: int = WIDTH):
        super().__init__()
        convolutions = [
            nn.Conv2d(3, width, 3, padding=1),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        ]
        layers: list[nn.Module] = []
        for convolution in convolutions:
            with torch.no_grad():
                convolution.weight.mul_(INIT_SCALE)
            register_parametrization(convolution, "weight", SpectralNorm())
            layers += [convolution, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, image: Tensor) -> Tensor:
        blurred = F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)  # (B, 3, H, W)
        return GAIN * self.layers(blurred + torch.tanh(FAINT * (image - blurred)))


class VaeWithCritic(nn.Module):
    """An autoencoder and its critic, which learn in the same steps."""

    def __init__(self, vae: VAE, critic: Critic):
        super().__init__()
        self.vae, self.critic = vae, critic


def contest(critic: Critic, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
    """The two sides' terms for pictures (B, 3, H, W) and what a decoder made (N, 3, H, W), in [-1, 1].

    "judging" teaches the critic alone, "passing" the decoder alone (Lim & Ye 2017, "Geometric GAN", section 3).
    """
    judging = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(generated.detach())).mean()
    unmoved = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    return {"judging": judging, "passing": -functional_call(critic, unmoved, (generated,)).mean()}


class AdversarialVaeStage(VaeStage):
    """Trains the autoencoder, or its decoder, against a critic of pictures and of `sampled` latents (N, C, h, w), if
    any.

    A denoiser's latents are smoother than those of pictures; the decoder learns to give them texture as well.
    """

    model: VaeWithCritic  # type: ignore[assignment]

    def __init__(
        self, request: TrainRequest, pictures: Pictures, model: VaeWithCritic, notes: list[str], sampled: Tensor | None
    ):
        super().__init__(request, pictures, model, notes)  # type: ignore[arg-type]
        self.sampled = sampled

    @classmethod
    def prepare(cls, request: TrainRequest, pictures: Pictures) -> AdversarialVaeStage:
        """As `VaeStage.prepare`, with a new critic and what it judges of the denoiser of --init."""
        vae, notes = build_vae(request)
        torch.manual_seed(request.seed)
        model = VaeWithCritic(vae, placed(Critic(), next(vae.parameters()).device))
        sampled = None
        if request.vae.sampled and request.init:
            sampled = sampled_latents(request.init, request.vae.sampled, request.device)
            notes = [*notes, f"The critic also judges {len(sampled)} samples of the denoiser of {request.init}."]
        return cls(request, pictures, model, notes, sampled)

    def loss(self, model: VaeWithCritic, micro_batch: MicroBatch) -> dict[str, Tensor]:  # type: ignore[override]
        settings = self.request.vae
        image = self.images(micro_batch)

        def adversarial_terms(restored: Tensor) -> dict[str, Tensor]:
            generated = restored
            if self.sampled is not None:
                order = batch_index(micro_batch.number, micro_batch.batch_size, len(self.sampled), self.request.seed)
                latent = self.sampled[micro_batch.take(order)].to(self.device, memory_format=torch.channels_last)
                generated = torch.cat([restored, model.vae.decode(latent)])  # (2B, 3, H, W)
            terms = contest(model.critic, image, generated)
            return terms | {"passing": settings.adversarial_weight * terms["passing"]}

        return vae_loss(model.vae, image, **settings.weights, shard=micro_batch, more=adversarial_terms)

    def evaluate(self, model: VaeWithCritic, grid: Path) -> dict[str, float]:  # type: ignore[override]
        return super().evaluate(model.vae, grid)

    def export(self, model: VaeWithCritic, finished: int | None) -> None:  # type: ignore[override]
        super().export(model.vae, finished)


def sampled_latents(folder: Path, count: int, device: str) -> Tensor:
    """Latents (count, C, h, w) that a checkpoint's denoiser makes by default. Raises `CheckpointError` without one."""
    model = LatentDiffusion.load(folder, device)
    requests = [
        model.request(GenerateRequest, seed=FIRST_SEED + first, count=min(SAMPLED_AT_ONCE, count - first))
        for first in range(0, count, SAMPLED_AT_ONCE)
    ]
    return torch.cat([last(model.generate(request)).latent for request in requests])

"""Distillation to few steps: a denoiser learns to cross, in one call, what its teacher takes many steps for.

Its clean latent is where the teacher's path ends (a consistency function), or a segment of it. At state 0 that is the
latent itself, whatever the network puts out (c_skip and c_out of Song et al. 2023, eq. 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import (
    CODEC_WEIGHTS,
    CheckpointConfig,
    load_denoiser,
    load_diffuser,
    load_guide,
    read_config,
)
from ddpm_core.cli import plain
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import autoguidance, extrapolate
from ddpm_core.diffusion.prediction import Predictor, predictor
from ddpm_core.networks.cpu.packed import ready
from ddpm_core.networks.unet import Denoiser
from ddpm_core.requests import REQUESTS, GenerateRequest
from ddpm_core.training.initialization import has_other_codec
from ddpm_core.training.losses import NoisyExamples, encoded_captions
from ddpm_core.training.settings import DenoiserSettings, TrainRequest
from ddpm_core.training.shards import WHOLE, Shard

INTERVALS = (8, 64)  # that the way is parted into at the start of a run and at its end
STEPS = 4  # of a student that crosses the way at once, unless asked otherwise
SPACING = "uniform"  # of those, and of segments
PSEUDO_HUBER = 0.00054  # c per square root of an entry, Song & Dhariwal 2023, section 3.3

# The noise (B, C, h, w) that a teacher predicts in latents (B, C, h, w) at timesteps (B,), of classes (B,) and captions
# (B, L), which are None where it knows none.
Teacher = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], Tensor]


def teacher_of(folder: Path, device: torch.device) -> Teacher:
    """What a checkpoint predicts, guided as it is by default, in one call (Meng et al. 2023, section 3.1; Luo et al.
    2023, section 4.2). Raises `CheckpointError` if a file is missing or damaged.
    """
    config, diffuser = read_config(folder), load_diffuser(folder)
    network, guide = load_denoiser(folder, device), load_guide(folder, device)
    predict, text, null_class = predictor(ready(network, device), diffuser), network.text, network.null_class
    scale = GenerateRequest.model_validate(config.defaults.get(GenerateRequest.action, {})).guidance
    unasked: Predictor = predict
    if guide is not None:
        weaker = predictor(ready(guide, device), diffuser)
        unasked = autoguidance(predict, weaker, config.guidance, config.guidance_interval, config.guidance_low)

    def asked(noisy: Tensor, t: Tensor, label: Tensor | None, tokens: Tensor | None) -> Tensor:
        captions = None if text is None or tokens is None else text(tokens)  # (B, L, W)
        return predict(noisy, t, label, captions).eps

    @torch.no_grad()
    def teacher(noisy: Tensor, t: Tensor, label: Tensor | None, tokens: Tensor | None) -> Tensor:
        if label is None and tokens is None:
            return unasked(noisy, t).eps
        no_class = None if label is None else torch.full_like(label, null_class or 0)  # (B,)
        no_words = None if tokens is None else torch.zeros_like(tokens)  # (B, L)
        weaker, stronger = asked(noisy, t, no_class, no_words), asked(noisy, t, label, tokens)
        eps = extrapolate(weaker, stronger, scale)  # (B, C, h, w)
        if guide is None:
            return eps
        nothing = torch.ones(len(t), dtype=torch.bool, device=t.device)  # (B,)
        if label is not None and no_class is not None:
            nothing &= label == no_class
        if tokens is not None:
            nothing &= ~tokens.any(1)
        return torch.where(nothing[:, None, None, None], unasked(noisy, t).eps, eps)

    return teacher


def teaching(request: TrainRequest, classes: tuple[str, ...], words: tuple[str, ...]) -> Path:
    """The checkpoint of --init; a `CheckpointError` if there is none, or it makes other things than are to be made."""
    if request.init is None:
        raise CheckpointError("What makes pictures in few steps is learned from a denoiser; name it with --init.")
    config, diffuser, settings = read_config(request.init), load_diffuser(request.init), request.denoiser
    if not config.denoiser or config.conditioning:
        raise CheckpointError(f"{request.init} makes no pictures of noise, so nobody can learn that from it.")
    before = {
        "noise schedule": (diffuser.config(), Diffuser(schedule=settings.schedule).config()),
        "prediction type": (config.denoiser.get("prediction", settings.prediction), settings.prediction),
        "classes": (tuple(config.classes), classes),
        "words": (tuple(config.words), words),
        "autoencoder": (False, (request.out / CODEC_WEIGHTS).exists() and has_other_codec(request.out, request.init)),
    }
    if others := [name for name, (teacher, student) in before.items() if teacher != student]:
        raise CheckpointError(
            f"{request.init} differs from what is to be trained in its {plain(others)}, and few steps are learned from "
            "one that makes the same pictures; train a denoiser on these first, and name that with --init."
        )
    return request.init


def consistency_loss(
    student: Denoiser,
    examples: NoisyExamples,
    teacher: Teacher,
    diffuser: Diffuser,
    intervals: int,
    segments: int = 1,
    label: Tensor | None = None,
    tokens: Tensor | None = None,
    shard: Shard = WHOLE,
) -> dict[str, Tensor]:
    """How far the student's end of a path is from its own end a step of the teacher's later, as "loss".

    Consistency distillation (Song et al. 2023, algorithm 2) with DDIM steps (Luo et al. 2023, "Latent Consistency
    Models", algorithm 1) and distances rounded off near 0 (Song & Dhariwal 2023, "Improved Techniques for Training
    Consistency Models", section 3.3); of segments, distances are those of the clean latents that lead to their ends
    (Heek et al. 2024, "Multistep Consistency Models", algorithm 1). Clean cells do not count.

    Args:
        examples: a shard's, with classes `label` (B/size,) and captions `tokens` (B/size, L), if any.
        intervals: how many steps the teacher would take for the whole way.
    """
    clean, z_t, t, kept = examples.clean, examples.shown, examples.t, examples.clean_cells
    ends = torch.tensor(segment_ends(diffuser, segments))  # (segments+1,), rising from 0
    end = ends[torch.searchsorted(ends, t.cpu()) - 1].to(t.device)  # (B/size,), the last below t
    s = torch.maximum(t - math.ceil((diffuser.num_timesteps - 1) / intervals), end)  # (B/size,)
    predict = predictor(student, diffuser)

    def denoised(noisy: Tensor, at: Tensor) -> Tensor:
        eps = predict(noisy, at, label, *encoded_captions(student, tokens)).eps
        return diffuser.denoised(noisy, eps, at)  # (B/size, C, h, w)

    with shard.fork_rng():
        ours = denoised(z_t, t)
    # After the student's own call: weights that autocast keeps from it are those that gradients lead to.
    with torch.no_grad():
        with torch.autocast(z_t.device.type, enabled=False):  # a teacher is ready in a type of its own
            x0 = diffuser.denoised(z_t, teacher(z_t, t, label, tokens), t)  # (B/size, C, h, w)
        z_s = torch.where(kept, clean, _ddim(z_t, x0, t, s, diffuser))  # (B/size, C, h, w)
        training, noisy = student.training, s.clamp_min(1)  # at state 0 there is nothing to predict
        student.eval()  # no gradient, moving average or dropout there (Song & Dhariwal 2023, section 3.2)
        later = denoised(z_s, noisy)  # (B/size, C, h, w)
        student.train(training)
        z_end = torch.where((s == end)[:, None, None, None], z_s, _ddim(z_s, later, noisy, end, diffuser))
        target = _ddim_inverse(z_t, z_end, t, end, diffuser)
    squared = ((ours - target).square() * ~kept).sum((1, 2, 3))  # (B/size,)
    entries = ((~kept).sum((1, 2, 3)) * clean.shape[1]).clamp_min(1)  # (B/size,)
    return {"loss": ((squared / entries + PSEUDO_HUBER**2).sqrt() - PSEUDO_HUBER).mean()}


def _ddim(noisy: Tensor, clean: Tensor, t: Tensor, s: Tensor, diffuser: Diffuser) -> Tensor:
    """From state t (B,) to s (B,), towards `clean` (Song et al. 2021, eq. 12)."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (diffuser.signal_and_noise(at, noisy) for at in (t, s))
    return alpha_s * clean + sigma_s * (noisy - alpha_t * clean) / sigma_t


def _ddim_inverse(noisy: Tensor, later: Tensor, t: Tensor, s: Tensor, diffuser: Diffuser) -> Tensor:
    """The clean latent towards which `_ddim` goes from `noisy` to `later`; at s = 0 it is that."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (diffuser.signal_and_noise(at, noisy) for at in (t, s))
    return (sigma_t * later - sigma_s * noisy) / (alpha_s * sigma_t - sigma_s * alpha_t)


def segment_ends(diffuser: Diffuser, segments: int) -> list[int]:
    """The states that part the way, rising from 0 to N-1, where a sampler of as many steps stands."""
    return diffuser.spaced_timesteps(segments, SPACING)[::-1]


def intervals_at(progress: float) -> int:
    """The teacher's steps for the whole way, after a fraction 0..1 of the run (Song & Dhariwal 2023, eq. 5)."""
    first, last = INTERVALS  # few at first, so that ends are soon known everywhere, then more, to make them right
    return min(first * 2 ** int(progress * (math.log2(last / first) + 1)), last)


def few_step_defaults(config: CheckpointConfig, settings: DenoiserSettings) -> dict[str, dict[str, Any]]:
    """The `defaults` of a student's checkpoint; what its teacher's `config` says of masks stands."""
    method: dict[str, Any] = {"sampler": "lcm", "steps": STEPS, "spacing": SPACING}
    if settings.segments > 1:
        method |= {"sampler": "ddim", "steps": settings.segments}
    if config.classes or config.words:
        method["guidance"] = 1.0  # it is in what was learned
    masks = _of_masks(config)
    held = {"clamp": "clean" if settings.clamp_share else "noised", "resamples": 1}  # as it was shown what is kept
    return {
        action: method | (masks | held if action == "inpaint" else {}) for action in REQUESTS if action != "enlarge"
    }


def inherited_defaults(config: CheckpointConfig) -> dict[str, dict[str, Any]]:
    """The `defaults` of what starts from a checkpoint's weights: its own, but for the few steps that it was taught."""
    if config.training.get("denoiser", {}).get("denoiser", {}).get("learns") != "consistency":
        return config.defaults
    masks = _of_masks(config)
    return {"inpaint": masks} if masks else {}


def _of_masks(config: CheckpointConfig) -> dict[str, Any]:
    return {name: value for name, value in config.defaults.get("inpaint", {}).items() if name == "mask_rule"}

"""LatentDiffusion: a trained model, and what one does with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.hub import HubMixin, Repository
from ddpm_core.checkpoints.native import CONFIG
from ddpm_core.diffusion.constraints import CLAMPS, MASK_RULES, Constraint, repaint_timesteps, unconstrained
from ddpm_core.diffusion.illusions import VIEWS, anagram, hybrid, rearranged
from ddpm_core.diffusion.noise import Noise, SeededNoise, interpolated, starting_at
from ddpm_core.diffusion.prediction import Predictor
from ddpm_core.diffusion.samplers import SAMPLERS, Step, last, sample_loop
from ddpm_core.diffusion.spacing import churned_timesteps
from ddpm_core.errors import UserError, lookup
from ddpm_core.images.crop import Frame
from ddpm_core.images.enlargement import Enlargement, together
from ddpm_core.images.files import to_pictures
from ddpm_core.images.low_resolution import enlarged_bicubically
from ddpm_core.machine import pick_device
from ddpm_core.networks.cpu.packed import ready
from ddpm_core.pipeline import uploads
from ddpm_core.pipeline.conditioning import ConditionalModel
from ddpm_core.pipeline.defaults import fitting, wrong_defaults
from ddpm_core.requests import (
    OWNERS,
    AnagramRequest,
    BetweenRequest,
    EditRequest,
    EnlargeRequest,
    GenerateRequest,
    HybridRequest,
    InpaintRequest,
    PairRequest,
    Request,
)

RequestT = TypeVar("RequestT", bound=Request)


class LatentDiffusion(ConditionalModel, HubMixin):
    """A trained model ready for use.

    `generate`, `inpaint` and all that make pictures yield every reverse step of their batch. They raise `UserError`,
    before the first, if there are more steps than the diffuser has, no such class, or no words.

    Attributes:
        folder: where it was loaded from; None if it was put together from parts.
    """

    @classmethod
    def load(cls, checkpoint: str | Path, device: str = "auto") -> LatentDiffusion:
        """Load a folder of ours, one in which diffusers saved a pipeline, or "user/name" on the Hub.

        Raises:
            CheckpointError: something in it is missing, damaged or does not fit.
            NoSuchDevice: there is no such device.
        """
        folder, target = Path(checkpoint), pick_device(device)
        if Repository.of(checkpoint):
            return cls.from_pretrained(checkpoint, device=device)
        parts = folders.load_parts(folder, target)
        if complaint := wrong_defaults(parts.defaults):
            raise CheckpointError(f"{folder / CONFIG} cannot be used: defaults: {complaint}.")
        for network in filter(None, (parts.denoiser, parts.guide)):
            ready(network, target)
        model = cls(**vars(parts), name=folder.resolve().name)
        model.folder = folder
        return model

    @property
    def stem(self) -> str:
        """Its name as it can stand in the name of a file."""
        return self.name.replace("/", "--")

    def request(self, kind: type[RequestT], **given: Any) -> RequestT:
        """A request for what is `given`, with the checkpoint's `defaults`. Raises pydantic's `ValidationError`."""
        return kind.model_validate({**fitting(self.defaults.get(kind.action, {}), given), **given})

    def generate(self, request: GenerateRequest, seeds: Sequence[int] | None = None) -> Iterator[Step]:
        """Pictures from seeds `seed`, `seed`+1, ..., or from any others if given."""
        return self._run(request, self._noise_of(request.seeds if seeds is None else seeds))

    def frame(self, request: InpaintRequest, picture: Image.Image, painted: np.ndarray) -> Frame:
        """The window of an upload that an inpainting works on; see `uploads.frame`."""
        return uploads.frame(request, picture, painted, self.size, self.framing)

    def square(self, picture: Image.Image) -> Image.Image:
        """An upload of any shape as the model sees it; see `uploads.square`."""
        return uploads.square(picture, self.size, self.framing)

    @torch.inference_mode()
    def inpaint(self, request: InpaintRequest, image: Tensor, mask: Tensor) -> Iterator[Step]:
        """Make the masked part of `image` anew, once per seed.

        Args:
            image: (1, 3, S, S) in [-1, 1].
            mask: bool (1, 1, S, S), True where pixels are to be made anew; other cells are clamped to the image's
                latent.
        """
        anchor = self.codec.encode(image.to(self.device))  # (1, C, h, w)
        rule = lookup(MASK_RULES, "mask rule", request.mask_rule)
        cells = rule(mask, self.codec.stride).to(self.device)  # (1, 1, h, w)
        noise = self._noise(request)
        clamp = lookup(CLAMPS, "clamp", request.clamp)(anchor, cells, self.diffuser, noise)
        timesteps = repaint_timesteps(self._timesteps(request), request.resamples, request.jump)
        return self._run(request, noise, timesteps=timesteps, constrain=clamp)

    @torch.inference_mode()
    def edit(self, request: EditRequest, image: Tensor) -> Iterator[Step]:
        """Make `image` (1, 3, S, S) in [-1, 1] anew from a noised version of itself, once per seed.

        SDEdit (Meng et al. 2022, algorithm 1, but variance-preserving, as in their appendix).
        """
        timesteps = self._timesteps(request)[-request.calls - 1 :]
        anchor, noise = self.codec.encode(image.to(self.device)), self._noise(request)  # (1, C, h, w)
        start = self.diffuser.add_noise(anchor, noise(), torch.full((1,), timesteps[0]))  # (B, C, h, w)
        return self._run(request, starting_at(start, noise), timesteps=timesteps)

    def enlargement(self, picture: Image.Image) -> Enlargement:
        """An upload on its way to being enlarged.

        Raises:
            UserError: it is too large, or the model was not trained to enlarge.
        """
        factor, stride = self.enlarging.factor, self.codec.stride
        return Enlargement.of(picture, factor, self.size // factor, stride // math.gcd(stride, factor))

    @torch.inference_mode()
    def enlarge(self, request: EnlargeRequest, image: Tensor) -> Iterator[Step]:
        """Make a larger picture that looks like `image` from afar, once per seed (Saharia et al. 2021, algorithm 2).

        Args:
            image: (1, 3, H, W) in [-1, 1], as `Enlargement.image` has it; or (B, 3, H, W), one for each seed.

        Raises:
            UserError: it was not trained to enlarge, or not with that much noise.
        """
        conditioning = self.enlarging
        if request.noise_level > conditioning.noise:
            most = f"{conditioning.noise:g} is the most that it was trained with"
            raise UserError(f"{self._called} knows no noise level of {request.noise_level:g}; {most}.")
        smooth = enlarged_bicubically(image.to(self.device), conditioning.factor)  # (1, 3, factor H, factor W)
        condition = self.codec.encode(smooth).expand(request.count, -1, -1, -1)  # (B, C, h, w)
        model = self.with_condition(condition, request.noise_level, request.seeds)
        return model._run(request, SeededNoise(request.seeds, condition.shape[1:], self.device))

    def enlarged(
        self, pictures: Sequence[Image.Image], seed: int, walk: Callable[[Iterator[Step]], Iterator[Step]] = iter
    ) -> list[Image.Image]:
        """Pictures of one size, made larger as `enlarge` does, one for each seed from `seed` on.

        Args:
            walk: goes through the steps, and may stop between them.

        Raises:
            UserError: they are too large, or it was not trained to enlarge.
        """
        request = self.request(EnlargeRequest, seed=seed, count=len(pictures))
        sheets = [self.enlargement(picture) for picture in pictures]
        made = self.pictures(last(walk(self.enlarge(request, together(sheets)))).latent)
        return [sheet.cut(one) for sheet, one in zip(sheets, made, strict=True)]

    def between(self, request: BetweenRequest) -> Iterator[Step]:
        """Pictures on the way from one seed to another, along the arc between their noise (`noise.slerp`)."""
        first, second = (self._noise_of([seed] * request.count) for seed in request.seeds)
        return self._run(request, interpolated(first, second, torch.tensor(request.fractions)))

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views in which anagrams can be made, without the plain one."""
        # Negation inverts colours where latents are pixels whose 0 is the middle colour.
        colours = self.codec.of_pixels and not self.codec.latent_mean.any()
        return tuple(name for name, view in VIEWS.items() if name != "identity" and (view.of_latents or colours))

    @property
    def hybrids(self) -> bool:
        """Whether it makes hybrids of two classes or prompts."""
        # By the frequencies of pixels: in a learned latent, fine and coarse lie in the same cell.
        return self.codec.of_pixels and (len(self.classes) > 1 or bool(self.words))

    def anagram(self, request: AnagramRequest) -> Iterator[Step]:
        """Pictures that the model takes for its own as they are and in a view (`illusions.anagram`).

        Raises:
            UserError: the view does not go with the codec.
        """
        if request.view not in self.views:
            names = ", ".join(self.views)
            raise UserError(f"pictures of {self.name} cannot be made to be seen {request.view}; choose from: {names}.")
        views = VIEWS["identity"], VIEWS[request.view]
        return self._pair(request, lambda *both: anagram(list(zip(both, views, strict=True))))

    def hybrid(self, request: HybridRequest) -> Iterator[Step]:
        """Pictures of `label` and `prompt` from afar, `other` and `other_prompt` close by (`illusions.hybrid`).

        Raises:
            UserError: it makes no `hybrids`, or neither thing is named.
        """
        if not self.hybrids:
            raise UserError(f"{self.name} makes no hybrids: they take classes or words, and pixels for latents.")
        if not request.names_a_thing:  # of anything at all, twice, it would be one plain picture
            if not self.classes:
                raise UserError(f"{self._called} makes hybrids of two things, and neither is named; put both in words.")
            names = ", ".join(self.classes)[:400]
            raise UserError(f"{self._called} makes hybrids of two classes, and neither is named; choose from: {names}.")
        return self._pair(request, lambda low, high: hybrid(low, high, request.blur))

    def _pair(self, request: PairRequest, combine: Callable[[Predictor, Predictor], Predictor]) -> Iterator[Step]:
        """The run by both things' predictors combined, laid out as the picture is."""
        fold, unfold = self.codec.fold, self.codec.unfold
        both = (self.conditional_predictor(half) for half in request.halves)
        predict = rearranged(combine(*(rearranged(one, fold, unfold) for one in both)), unfold, fold)
        return self._run(request, self._noise(request), predict)

    def _noise(self, request: GenerateRequest) -> SeededNoise:
        return self._noise_of(request.seeds)

    def _noise_of(self, seeds: Iterable[int]) -> SeededNoise:
        cells = self.size // self.codec.stride
        return SeededNoise(seeds, (self.codec.latent_channels, cells, cells), self.device)

    def _timesteps(self, request: GenerateRequest) -> list[int]:
        return self.diffuser.spaced_timesteps(request.steps, request.spacing, **request.extras("spacing"))

    def _run(
        self,
        request: GenerateRequest,
        noise: Noise,
        predict: Predictor | None = None,
        timesteps: list[int] | None = None,
        constrain: Constraint = unconstrained,
    ) -> Iterator[Step]:
        """The request's sampler; predictor and timesteps are the request's unless given."""
        predict = predict or self.conditional_predictor(request)
        timesteps = churned_timesteps(timesteps or self._timesteps(request), self.diffuser.alpha_bar, request.churn)
        take_step = partial(lookup(SAMPLERS, "sampler", request.sampler), **request.extras("sampler"))
        return _without_gradients(sample_loop(take_step, predict, self.diffuser, timesteps, noise, constrain))

    @torch.inference_mode()
    def pictures(self, latent: Tensor) -> list[Image.Image]:
        """RGB pictures of normalised latents (B, C, h, w)."""
        return to_pictures(self.codec.decode(latent))

    def png_parameters(self, request: GenerateRequest) -> dict[str, Any]:
        """What a saved picture's PNG text says of its making."""
        asked = request.labels | request.prompts
        unused = {"label", "other", "prompt", "other_prompt", "negative_prompt"} - set(asked)
        unused |= set() if asked else {"guidance"}
        unused |= set() if request.labels else {"classifier_guidance"}
        unused |= {name for name, (field, owners) in OWNERS.items() if getattr(request, field) not in owners} - {"eta"}
        return {"action": request.action, "checkpoint": self.name, **request.model_dump(mode="json", exclude=unused)}


@torch.inference_mode()
def _without_gradients(steps: Iterator[Step]) -> Iterator[Step]:
    yield from steps

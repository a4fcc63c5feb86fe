"""LatentDiffusion: codec, denoiser and diffuser together, and what one does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.checkpoints import diffusers_format as pretrained
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import Framing
from ddpm_core.diffusion.constraints import Constraint, clamp_noised, clamp_to, keep_cells, resampled
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import VIEWS, anagram, autoguided, clipped, hybrid, rearranged, told_and_untold
from ddpm_core.diffusion.noise import Noise, SeededNoise, begun_with, between
from ddpm_core.diffusion.samplers import SAMPLERS, Predictor, Step, unconstrained
from ddpm_core.diffusion.steps import WithVariance
from ddpm_core.images.crop import Frame, cut_out, middle
from ddpm_core.images.faces import Square, face_squares, middle_square
from ddpm_core.images.files import as_picture, to_pictures
from ddpm_core.images.masks import MaskError, grown
from ddpm_core.machine import pick_device
from ddpm_core.networks.codec import Codec
from ddpm_core.networks.cpu.packed import ready
from ddpm_core.networks.unet import Denoiser, parted, to_eps
from ddpm_core.requests import (
    AnagramRequest,
    BetweenRequest,
    EditRequest,
    GenerateRequest,
    HybridRequest,
    InpaintRequest,
    PairRequest,
)


def predictor(unet: Denoiser, diffuser: Diffuser) -> WithVariance:
    """What a network says of the noise in latents (B, C, h, w) at timesteps (B,), whatever its prediction type.

    It can be told classes (B,) as well, see `Denoiser.forward`, and be asked for the variance if it learned it.
    """

    def both(noisy: Tensor, t: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        output, share = parted(unet(noisy, t, label), noisy.shape[1])
        return to_eps(output, noisy, t, unet.prediction, diffuser), share

    return WithVariance(both)


class LatentDiffusion:
    """A trained model ready for use.

    Attributes:
        codec: image <-> latent, see `Codec.encode` and `Codec.decode`.
        denoiser: the network.
        guide: a weaker network for the same latents, from whose mistakes it is steered away; None without one.
        predict: the noise (B, C, h, w) in latents of the same shape at timesteps (B,), guided if there is a guide.
            Requests that name a class go by `told` instead.
        diffuser: the noise schedule.
        size: side of the pictures it was trained on, pixels.
        name, about: the checkpoint's name and one line on its training data.
        classes: names of what it can be asked for, by number; empty without classes.
        limit: how far from 0 the clean latents it believes in may lie; None for any distance.
        framing: "face" if it knows faces, framed as `squares.face_squares` frames those in photos.
    """

    def __init__(
        self,
        codec: Codec,
        denoiser: Denoiser,
        diffuser: Diffuser,
        size: int,
        name: str = "",
        about: str = "",
        guide: Denoiser | None = None,
        guidance: float = 1.0,
        classes: Sequence[str] = (),
        limit: float | None = None,
        framing: Framing = "any",
    ):
        self.codec, self.denoiser, self.guide, self.diffuser = codec, denoiser, guide, diffuser
        self.size, self.name, self.about, self.classes, self.limit = size, name, about, tuple(classes), limit
        self.framing = framing
        self.device = codec.latent_mean.device
        predict: Predictor = predictor(denoiser, diffuser)
        if guide is not None:
            predict = autoguided(predict, predictor(guide, diffuser), guidance)
        self.predict = self._within_limit(predict)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> LatentDiffusion:
        """Load a checkpoint folder, or one in which diffusers saved a pipeline (see `pretrained`).

        Raises:
            CheckpointError: something in it is missing, damaged or does not fit; the message names the file.
            ValueError: there is no such device.
        """
        folder, target = Path(folder), pick_device(device)
        read = pretrained.load_parts if checkpoint.is_pipeline(folder) else checkpoint.load_parts
        parts = read(folder, target)
        for network in filter(None, (parts.denoiser, parts.guide)):
            ready(network, target)
        return cls(**vars(parts), name=folder.resolve().name)

    def told(self, label: str, guidance: float) -> Predictor:
        """The noise predictor for a class, with classifier-free guidance of that scale (`guidance.classifier_free`).

        A guide was never told classes, and steers what is told nothing only: here it has no part.

        Args:
            label: the class, by name or, if none has that name, by number.

        Raises:
            ValueError: there is no such class, or guidance to it asked of a network that has no null class.
        """
        name = self.name or "this model"
        if not self.classes:
            raise ValueError(f"{name} was trained without classes; leave the class out.")
        numbers = {str(number): number for number in range(len(self.classes))}
        known = numbers | {one: number for number, one in enumerate(self.classes)}
        if label not in known:
            raise ValueError(f"{name} has no class {label[:60]!r}; choose from: {', '.join(self.classes)[:400]}.")
        predict, none = predictor(self.denoiser, self.diffuser), self.denoiser.null_class
        if none is not None:
            return self._within_limit(told_and_untold(predict, known[label], none, guidance))
        if guidance != 1:
            raise ValueError(f"{name} always wants a class, so it cannot be guided towards one; set guidance to 1.")
        return self._within_limit(lambda noisy, t: predict(noisy, t, torch.full_like(t, known[label])))

    @property
    def unconditional(self) -> bool:
        """Whether it makes pictures without being told a class, too; if it does not, it cannot be guided to one."""
        return not self.classes or self.denoiser.null_class is not None

    def _asked(self, label: str | None, guidance: float) -> Predictor:
        if label is not None:
            return self.told(label, guidance)
        if not self.unconditional:
            known = ", ".join(self.classes)[:400]
            raise ValueError(f"{self.name or 'this model'} always wants a class; choose from: {known}.")
        return self.predict

    def _within_limit(self, predict: Predictor) -> Predictor:
        return predict if self.limit is None else clipped(predict, self.diffuser, self.limit)

    def generate(self, request: GenerateRequest) -> Iterator[Step]:
        """Pictures from seeds `seed`, `seed`+1, ...; yields every reverse step of the batch.

        Raises:
            ValueError: more steps than the diffuser has, or no such class.
        """
        timesteps = self.diffuser.spaced_timesteps(request.steps, request.spacing)
        return self._run(request, self._first(request), timesteps, self._noise(request), unconstrained)

    def frame(self, request: InpaintRequest, picture: Image.Image, painted: np.ndarray) -> Frame:
        """The window of an upload that an inpainting works on, for what is `painted`, bool (H, W), on a `picture`.

        Raises:
            MaskError: the mask leaves nothing to make or nothing to keep, or is not the picture's size.
        """
        if request.keep_painted and not painted.any():
            raise MaskError("Nothing is painted yet; brush over the part you want to keep.")
        if request.keep_painted and painted.all():
            raise MaskError("Everything is painted, so all is kept; leave free what you want made anew.")
        region = ~painted if request.keep_painted else painted
        anew = grown(region, request.grow)
        if region.any() and not anew.any():
            raise MaskError(f"Narrowed by {-request.grow} pixels, nothing is left to make anew; narrow it less.")
        if anew.all() and not region.all():
            raise MaskError(f"Widened by {request.grow} pixels, all is made anew and nothing kept; widen it less.")
        # A face that lies as it should in the whole picture is shown with the whole picture around it.
        square = middle_square(*picture.size)
        faces = [face for face in self._faces(picture) if not face.like(square)] if request.crop == "auto" else []
        return Frame.around(picture, anew, self.size, request.crop, request.feather, faces)

    def square(self, picture: Image.Image) -> Image.Image:
        """An upload of any shape as the model sees it: RGB, `size` pixels a side.

        What it sees is the largest square in the picture's middle; if the model knows faces, the largest face.
        """
        upload = as_picture(picture)
        largest = next(iter(self._faces(upload)), None)
        if largest is None or largest.like(middle_square(*upload.size)):
            return middle(upload, self.size)
        return cut_out(upload, largest, self.size)

    def _faces(self, picture: Image.Image) -> list[Square]:
        return face_squares(picture) if self.framing == "face" else []

    @torch.inference_mode()
    def inpaint(self, request: InpaintRequest, image: Tensor, keep: Tensor) -> Iterator[Step]:
        """Make the part of `image` that is not kept anew, once per seed; yields every reverse step of the batch.

        Args:
            image: (1, 3, S, S) in [-1, 1].
            keep: bool (1, 1, S, S), True where pixels are to be kept. Their cells are clamped to the
                image's latent at every step; pasting the pixels themselves back is `Frame.paste`'s.

        Raises:
            ValueError: more steps than the diffuser has, or no such class.
        """
        anchor = self.codec.encode(image.to(self.device))
        cells = keep_cells(keep, self.codec.stride, request.mask_rule).to(self.device)
        noise = self._noise(request)
        clamp = {"clean": clamp_to(anchor, cells), "noised": clamp_noised(anchor, cells, self.diffuser, noise)}
        spaced = self.diffuser.spaced_timesteps(request.steps, request.spacing)
        timesteps = resampled(spaced, request.resamples, request.jump)
        return self._run(request, self._first(request), timesteps, noise, clamp[request.clamp])

    @torch.inference_mode()
    def edit(self, request: EditRequest, image: Tensor) -> Iterator[Step]:
        """Make `image` anew from a noised version of itself, once per seed; yields every reverse step of the batch.

        SDEdit (Meng et al. 2022, algorithm 1, but for the process whose variance is preserved, as in their appendix):
        noise hides what is small, and the model makes up what fits the rest. It starts from alpha x + sigma eps.

        Args:
            image: (1, 3, S, S) in [-1, 1].

        Raises:
            ValueError: more steps than the diffuser has, or no such class.
        """
        timesteps = self.diffuser.spaced_timesteps(request.steps, request.spacing)[-request.calls - 1 :]
        anchor, noise = self.codec.encode(image.to(self.device)), self._noise(request)
        start = self.diffuser.add_noise(anchor, noise(), torch.full((1,), timesteps[0]))
        return self._run(request, self._first(request), timesteps, begun_with(start, noise), unconstrained)

    def between(self, request: BetweenRequest) -> Iterator[Step]:
        """Pictures on the way from one seed to another, along the arc between their noise (`noise.slerp`).

        Yields every reverse step of the batch. The ends are what `generate` makes of the two seeds.

        Raises:
            ValueError: more steps than the diffuser has, or no such class.
        """
        timesteps = self.diffuser.spaced_timesteps(request.steps, request.spacing)
        first, second = (self._noise_of([seed] * request.count) for seed in request.seeds)
        noise = between(first, second, torch.tensor(request.shares))
        return self._run(request, self._first(request), timesteps, noise, unconstrained)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views in which anagrams can be made, the plain one left out.

        A flip or a turn of latents is, nearly, that of the picture (see `guidance.View`). Negation inverts colours
        where latents are pixels whose 0 is the colour in the middle.
        """
        colours = self.codec.of_pixels and not self.codec.latent_mean.any()
        return tuple(name for name, view in VIEWS.items() if name != "identity" and (view.of_latents or colours))

    @property
    def hybrids(self) -> bool:
        """Whether hybrids can be made: of two classes, by the frequencies of pixels.

        What is fine in a picture and what is coarse lie in the same cell of a learned latent.
        """
        return self.codec.of_pixels and len(self.classes) > 1

    def anagram(self, request: AnagramRequest) -> Iterator[Step]:
        """Pictures that the model takes for its own both as they are and in a view (see `guidance.anagram`).

        Yields every reverse step of the batch.

        Raises:
            ValueError: more steps than the diffuser has, no such class, or no view that goes with the codec.
        """
        if request.view not in self.views:
            known = ", ".join(self.views)
            raise ValueError(f"pictures of {self.name} cannot be made to be seen {request.view}; choose from: {known}.")
        ways = VIEWS["identity"], VIEWS[request.view]
        return self._pair(request, lambda *looks: anagram(list(zip(looks, ways, strict=True))))

    def hybrid(self, request: HybridRequest) -> Iterator[Step]:
        """Pictures of class `label` from afar and class `other` close by (see `guidance.hybrid`).

        Yields every reverse step of the batch.

        Raises:
            ValueError: more steps than the diffuser has, no such class, or no `hybrids` at all.
        """
        if not self.hybrids:
            raise ValueError(f"{self.name} makes no hybrids: they take classes, and pixels for latents.")
        return self._pair(request, lambda low, high: hybrid(low, high, request.blur))

    def _pair(self, request: PairRequest, joined: Callable[[Predictor, Predictor], Predictor]) -> Iterator[Step]:
        """The run in which what is predicted for both classes is `joined`, laid out as the picture is."""
        fold, unfold = self.codec.fold, self.codec.unfold
        looks = (self._asked(label, request.guidance) for label in (request.label, request.other))
        predict = rearranged(joined(*(rearranged(look, fold, unfold) for look in looks)), unfold, fold)
        timesteps = self.diffuser.spaced_timesteps(request.steps, request.spacing)
        return self._run(request, predict, timesteps, self._noise(request), unconstrained)

    def _first(self, request: GenerateRequest) -> Predictor:
        return self._asked(request.label, request.guidance)

    def _noise(self, request: GenerateRequest) -> SeededNoise:
        return self._noise_of(request.seeds)

    def _noise_of(self, seeds: Iterable[int]) -> SeededNoise:
        cells = self.size // self.codec.stride
        return SeededNoise(seeds, (self.codec.latent_channels, cells, cells), self.device)

    def _run(
        self,
        request: GenerateRequest,
        predict: Predictor,
        timesteps: list[int],
        noise: Noise,
        constrain: Constraint,
    ) -> Iterator[Step]:
        steps = SAMPLERS[request.sampler](predict, self.diffuser, timesteps, noise, constrain, **request.extras)
        return _without_gradients(steps)

    @torch.inference_mode()
    def pictures(self, latent: Tensor) -> list[Image.Image]:
        """RGB pictures of normalised latents (B, C, h, w)."""
        return to_pictures(self.codec.decode(latent))

    def parameters(self, request: GenerateRequest) -> dict[str, Any]:
        """What a saved picture says of its making."""
        unheard = {"label", "other"} - set(request.labels) | (set() if request.labels else {"guidance"})
        return {"action": request.action, "checkpoint": self.name, **request.model_dump(mode="json", exclude=unheard)}


@torch.inference_mode()
def _without_gradients(steps: Iterator[Step]) -> Iterator[Step]:
    yield from steps

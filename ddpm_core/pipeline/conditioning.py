"""What a picture is asked for, a class, words, another picture or nothing, made into a predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, Self, get_args

import torch
from torch import Tensor, nn

from ddpm_core.checkpoints.native import Framing, ImageConditioning
from ddpm_core.diffusion.concatenation import Conditioned, Windowed, with_augmentation
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import (
    WRAPPERS,
    Wrapper,
    autoguidance,
    classifier_free_guidance,
    classifier_guidance,
    static_thresholding,
)
from ddpm_core.diffusion.prediction import Prediction, Predictor, predictor
from ddpm_core.errors import UserError, no_such
from ddpm_core.networks.codec import Codec
from ddpm_core.networks.text import Vocabulary
from ddpm_core.networks.unet import Denoiser
from ddpm_core.requests import GenerateRequest


class ConditionalModel:
    """Codec, denoiser and diffuser together, and what they predict for what is asked for.

    Attributes:
        guide: a weaker network, from whose mistakes the denoiser is steered away (`autoguidance`); None without one.
        predict: the predictor where nothing is asked for.
        wrappers: what is around all of its predictors, the innermost first.
        size: side of the pictures it was trained on, pixels.
        name, about: the checkpoint's name and one line on its training data.
        limit: how far from 0 the clean latents it predicts may lie; None for any distance.
        framing: "face" if it knows faces, framed as `images.faces.find_faces` does.
        defaults: what `request` sets unless told otherwise, by action and field.
        words: that it knows in prompts, sorted; `prompts` are some to begin with.
        classifier: of noisy latents, to guide by (`classifier_guidance`); None without one.
        conditioning: what its networks are shown beside noise; it then predicts `with_condition` only.

    Raises:
        UserError: there is no such framing.
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
        guidance_interval: tuple[int, int] | None = None,
        guidance_low: float | None = None,
        classes: Sequence[str] = (),
        limit: float | None = None,
        framing: Framing = "any",
        defaults: Mapping[str, dict[str, Any]] | None = None,
        words: Sequence[str] = (),
        prompts: Sequence[str] = (),
        classifier: nn.Module | None = None,
        conditioning: ImageConditioning | None = None,
    ):
        if framing not in get_args(Framing):
            raise no_such("framing", framing, get_args(Framing))
        self.codec, self.denoiser, self.diffuser = codec, denoiser, diffuser
        self.guide, self.guidance = guide, guidance
        self.guidance_interval, self.guidance_low = guidance_interval, guidance_low
        self.size, self.name, self.about, self.classes, self.limit = size, name, about, tuple(classes), limit
        self.framing, self.defaults, self.words = framing, dict(defaults or {}), tuple(words)
        self.prompts, self.classifier, self.conditioning = tuple(prompts), classifier, conditioning
        self.condition: Tensor | None = None
        self.vocabulary = Vocabulary(self.words, denoiser.text.length) if denoiser.text else None
        self.device = codec.latent_mean.device
        self.wrappers: tuple[Wrapper, ...] = ()
        if limit is not None:
            self.wrappers = (partial(static_thresholding, diffuser=diffuser, limit=limit),)
        self.predict: Predictor = self.wrapped(self.unasked())

    def with_wrapper(self, wrapper: Wrapper) -> Self:
        """The same model with `wrapper` around all of its predictors; networks and codec are shared."""
        model = copy(self)
        model.wrappers = (*self.wrappers, wrapper)
        model.predict = wrapper(self.predict)
        return model

    def wrapped(self, predict: Predictor) -> Predictor:
        """A predictor with all `wrappers` around it."""
        for wrapper in self.wrappers:
            predict = wrapper(predict)
        return predict

    def with_condition(self, condition: Tensor, level: float = 0.0, seeds: Sequence[int] | None = None) -> Self:
        """The same model, given what its pictures are to be made of.

        Args:
            condition: (1 or n, C, h, w), normalised latents.
            level: of noise laid over them (`concatenation.with_augmentation`).
            seeds: of that noise, one for each condition.

        Raises:
            UserError: it has no `conditioning`.
        """
        _ = self.enlarging  # raises, also where Python leaves assertions out
        model, levels = copy(self), torch.full((len(condition),), level)  # (n,)
        # Apart from the noise that a picture of that seed starts from, which would show through otherwise.
        generators = [torch.Generator().manual_seed(2**32 + seed) for seed in seeds or range(len(condition))]
        noise = torch.stack([torch.randn(condition.shape[1:], generator=each) for each in generators])  # (n, C, h, w)
        model.condition = with_augmentation(condition, levels, noise.to(condition))  # (n, C + 1, h, w)
        model.predict = model.wrapped(model.unasked())
        return model

    @property
    def enlarging(self) -> ImageConditioning:
        """Its `conditioning`. Raises `UserError` if it has none."""
        if self.conditioning is None:
            raise UserError(
                f"{self._called} makes pictures from noise, and enlarges none; choose a checkpoint trained with "
                "--denoiser-enlarges."
            )
        return self.conditioning

    def unasked(self) -> Predictor:
        """The predictor for nothing in particular, steered away from its guide's if there is one."""
        predict: Predictor = self._predictor_of(self.denoiser)
        if self.guide is None:
            return predict
        weaker = self._predictor_of(self.guide)
        return autoguidance(predict, weaker, self.guidance, self.guidance_interval, self.guidance_low)

    def _predictor_of(self, network: Denoiser) -> Callable[..., Prediction]:
        if self.conditioning is None:
            return predictor(network, self.diffuser)
        if self.condition is None:
            return self._unconditioned
        whole = Windowed(network, self.size // self.codec.stride)
        return predictor(Conditioned(whole, self.condition), self.diffuser)

    def _unconditioned(self, *_: object) -> Prediction:
        raise UserError(f"{self._called} enlarges pictures, and makes none from noise; choose another for that.")

    @property
    def unconditional(self) -> bool:
        """Whether it makes pictures without a class; if not, it cannot be guided to one."""
        return not self.classes or self.denoiser.null_class is not None

    def conditional_predictor(self, request: GenerateRequest) -> Predictor:
        """The predictor for a request's class, prompt, both or none, and its `WRAPPERS`.

        Raises:
            UserError: there is no such class, no words, no classifier, or the network knows no picture without a class,
                and none or guidance is asked for.
        """
        if self.conditioning is not None and self.condition is None:
            self._unconditioned()  # before the first step
        if request.label is None and not self.unconditional:
            names = ", ".join(self.classes)[:400]
            raise UserError(f"{self._called} always wants a class; choose from: {names}.")
        number = None if request.label is None else self._class_number(request.label)
        captions = self._captions(request.prompt, request.negative_prompt)
        predict = self.predict
        if number is not None or captions is not None:  # the guide, never trained on these, has no part in it
            predict = self.wrapped(self._guided(request, number, captions))
        for field, wrapper in WRAPPERS.items():
            if (value := getattr(request, field, None)) is not None:
                predict = wrapper(predict, value)
        return predict

    def _guided(self, request: GenerateRequest, number: int | None, captions: Tensor | None) -> Predictor:
        """By classifier-free guidance and by a classifier; captions are (2, L, W)."""
        if request.guidance != 1 and not self.unconditional:
            raise UserError(
                f"{self._called} always wants a class, so it cannot be guided towards one; set guidance to 1."
            )
        null_class, predict = self.denoiser.null_class, self._predictor_of(self.denoiser)
        label = null_class if number is None else number
        predict = classifier_free_guidance(predict, label, null_class, request.guidance, captions)
        if request.classifier_guidance and number is not None:
            scale = request.classifier_guidance
            predict = classifier_guidance(predict, self._classifier(), number, self.diffuser, scale)
        return predict

    def class_predictor(self, label: str, guidance: float) -> Predictor:
        """`conditional_predictor` of a class alone."""
        return self.conditional_predictor(GenerateRequest(label=label, guidance=guidance))

    @property
    def _called(self) -> str:
        return self.name or "this model"

    def _classifier(self) -> nn.Module:
        if self.classifier is None:
            todo = "train one with python -m ddpm_core.train --stage classifier"
            raise UserError(
                f"{self._called} has no classifier to be guided by; set classifier_guidance to 0, or {todo}."
            )
        return self.classifier

    @torch.inference_mode()
    def _captions(self, prompt: str, negative_prompt: str) -> Tensor | None:
        """What the network's `text` makes of both, (2, L, W); None where nothing is said."""
        if not prompt.strip() and not negative_prompt.strip():
            return None
        if self.denoiser.text is None or self.vocabulary is None:
            raise UserError(f"{self._called} was trained without words; leave the prompt out.")
        # A negative prompt stands where otherwise the null caption does.
        return self.denoiser.text(self.vocabulary.tokens([prompt, negative_prompt]).to(self.device))

    def _class_number(self, label: str) -> int:
        if not self.classes:
            raise UserError(f"{self._called} was trained without classes; leave the class out.")
        numbers = {str(number): number for number in range(len(self.classes))}
        numbers_by_name = numbers | {one: number for number, one in enumerate(self.classes)}
        if label not in numbers_by_name:
            names = ", ".join(self.classes)[:400]
            raise UserError(f"{self._called} has no class {label[:60]!r}; choose from: {names}.")
        return numbers_by_name[label]

    def unknown_words(self, prompt: str) -> list[str]:
        """The words of a prompt that it does not know, and passes over."""
        return Vocabulary(self.words, 0).unknown(prompt) if self.vocabulary is None else self.vocabulary.unknown(prompt)

    def notes(self, request: GenerateRequest) -> list[str]:
        """Sentences on what of a request's prompts is passed over; none for a model without words."""
        said: list[str] = []
        if self.vocabulary is None:
            return said
        for prompt in request.prompts.values():
            if words := self.unknown_words(prompt):
                said.append(f"{self._called} does not know, and passes over: {', '.join(words)[:200]}.")
            elif not self.vocabulary.tokens([prompt]).any():  # emoji alone, or commas
                said.append(f"{self._called} finds no words in {prompt[:60]!r}, and passes over it.")
            if count := self.vocabulary.beyond(prompt):
                most = f"reads {self.vocabulary.length} words and commas at most"
                said.append(f"{self._called} {most}; the last {count} of the prompt are left out.")
        return list(dict.fromkeys(said))

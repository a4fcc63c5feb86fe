"""One typed, bounded request per action; UI, command line and API all build these."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ddpm_core.aliases import Aliases
from ddpm_core.diffusion.constraints import CLAMPS, MASK_RULES, repaint_timesteps
from ddpm_core.diffusion.illusions import VIEWS
from ddpm_core.diffusion.samplers import SAMPLERS
from ddpm_core.diffusion.spacing import EXPONENT, RHO, SPACING_ALIASES, SPACINGS
from ddpm_core.diffusion.steps import LANGEVIN_SNR, MAX_TIMESTEP, TWO_CALLS, VarianceType
from ddpm_core.images.animation import FORMATS
from ddpm_core.images.crop import Crop

MAX_SEED = 2**31 - 1
MAX_COUNT = 8
MAX_STRIP = 16  # pictures between two seeds: the parts of one thing, so more are worth waiting for
MAX_PROMPT = 400  # letters

# The registries say what there is to choose, so that a line there is all it takes to offer one thing more.
if TYPE_CHECKING:  # type checkers cannot read literals made at run time
    SamplerName = str
    SpacingName = str
    ViewName = str
    ClampName = str
    MaskRuleName = str
    FormatName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]
    SpacingName = Annotated[Literal[tuple(SPACINGS)], Aliases(SPACING_ALIASES)]
    ViewName = Literal[tuple(name for name in VIEWS if name != "identity")]
    ClampName = Literal[tuple(CLAMPS)]
    MaskRuleName = Literal[tuple(MASK_RULES)]
    FormatName = Literal[tuple(FORMATS)]

# How a picture is made, not which: what a checkpoint may have other defaults for than the requests.
METHOD = (
    "steps", "sampler", "spacing", "eta", "guidance", "classifier_guidance", "variance_type", "snr",
    "noise_above", "first_order_above", "rho", "exponent", "churn", "mask_rule", "clamp", "resamples", "jump",
)  # fmt: skip
# Settings that only some samplers or spacings have: the field that chooses, and its values that have them.
OWNERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "eta": ("sampler", ("ddim",)),
    "variance_type": ("sampler", ("ddpm", "langevin")),
    "snr": ("sampler", ("langevin",)),
    "noise_above": ("sampler", ("sde-dpm-solver++",)),
    "first_order_above": ("sampler", ("sde-dpm-solver++",)),
    "rho": ("spacing", ("karras",)),
    "exponent": ("spacing", ("power",)),
}

Label = Annotated[  # an empty box, or a number without quotes
    str | None, BeforeValidator(lambda value: None if value == "" else str(value) if isinstance(value, int) else value)
]


class Request(BaseModel):
    """Base of all requests: unknown fields and values out of bounds are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: ClassVar[str] = ""  # what a saved picture says was done; empty where none says it

    @field_validator(*OWNERS, check_fields=False)
    @classmethod
    def _has_effect(cls, value: Any, info: ValidationInfo) -> Any:
        field, owners = OWNERS[str(info.field_name)]
        chosen, usual = info.data.get(field), cls.model_fields[str(info.field_name)].default
        if value != usual and chosen not in (None, *owners):
            usual = usual if isinstance(usual, str) else f"{usual:g}"
            raise ValueError(f"belongs to the {field} {' and '.join(owners)} and must be {usual} with {chosen}")
        return value


class GenerateRequest(Request):
    """Pictures from noise; picture i of the batch has seed `seed` + i."""

    action: ClassVar[str] = "generate"

    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of the first picture")
    count: int = Field(1, ge=1, le=MAX_COUNT, description="pictures, each with the next seed")
    steps: int = Field(20, ge=1, le=999, description="reverse steps")
    # In 20 calls, pictures by this one and UniPC are nearest to the training pictures (docs/measurements.md).
    sampler: SamplerName = Field("dpm-solver++", description="how to step from noise to picture")
    spacing: SpacingName = Field("uniform", description="how the steps are spread over the timesteps")
    eta: float = Field(0.0, ge=0, le=1, description="fraction of DDPM's noise that DDIM adds in its steps; DDIM only")
    label: Label = Field(None, description="class to make, by name or number, of a checkpoint that has classes")
    prompt: str = Field(
        "", max_length=MAX_PROMPT, description="what to show, in words that a checkpoint trained on captions knows"
    )
    negative_prompt: str = Field("", max_length=MAX_PROMPT, description="what to stay away from, with guidance above 1")
    guidance: float = Field(
        2.0, ge=0, le=20, description="how closely class and prompt are followed, 1 for plainly; above, more"
    )
    variance_type: VarianceType = Field("learned", description="of the noise in DDPM's steps; learned, or small if not")
    snr: float = Field(LANGEVIN_SNR, gt=0, le=1, description="signal-to-noise ratio of Langevin's corrector")
    noise_above: int = Field(
        0,
        ge=0,
        le=MAX_TIMESTEP,
        description="timestep from which on SDE-DPM-Solver++ adds no more fresh noise; 0 for always",
    )
    first_order_above: int = Field(
        MAX_TIMESTEP, ge=0, le=MAX_TIMESTEP,
        description=f"timestep above which SDE-DPM-Solver++ is of first order; {MAX_TIMESTEP} for none",
    )  # fmt: skip
    rho: float = Field(
        RHO, ge=1, le=100, description="spacing karras: the larger, the more steps where little is noise"
    )
    exponent: float = Field(
        EXPONENT, ge=1, le=4, description="spacing power: the larger, the more steps where little is noise"
    )
    churn: float = Field(0.0, ge=0, le=1000, description="fresh noise before each step, for noise taken away (EDM)")
    classifier_guidance: float = Field(
        0.0, ge=0, le=20, description="how far a classifier of noisy latents, if there is one, steers to the class"
    )

    @model_validator(mode="after")
    def _last_seed(self) -> Self:
        if self.seeds[-1] > MAX_SEED:
            raise ValueError(f"the last seed, {self.seeds[-1]}, is above {MAX_SEED}")
        return self

    @property
    def seeds(self) -> list[int]:
        """The seeds that its noise is drawn from; mostly one per picture."""
        return [self.seed + i for i in range(self.count)]

    @property
    def labels(self) -> dict[str, str]:
        """The classes asked for, by field."""
        return {name: label for name in ("label", "other") if (label := getattr(self, name, None)) is not None}

    @property
    def prompts(self) -> dict[str, str]:
        """What is asked for in words, by field."""
        names = ("prompt", "other_prompt", "negative_prompt")
        return {name: words for name in names if (words := getattr(self, name, "").strip())}

    @property
    def stem(self) -> str:
        """What a file made from this is called, without suffix; differs for all of `singles`."""
        return f"seed-{self.seed}"

    @property
    def calls(self) -> int:
        """Reverse steps that a run takes and yields."""
        return self.steps

    @property
    def model_calls(self) -> int:
        """Calls of the denoiser, at most, counted for each picture."""
        guided = bool(self.labels or self.prompts) and self.guidance != 1
        return self.count * self.calls * (1 + (SAMPLERS[self.sampler] in TWO_CALLS)) * (1 + guided)

    def extras(self, field: Literal["sampler", "spacing"]) -> dict[str, Any]:
        """Arguments of its sampler, or of its spacing, alone."""
        chosen = getattr(self, field)
        return {name: getattr(self, name) for name, (of, owners) in OWNERS.items() if of == field and chosen in owners}

    def singles(self) -> list[Self]:
        """A request per picture, each making what it makes in the batch."""
        return [self.model_copy(update={"seed": self.seed + i, "count": 1}) for i in range(self.count)]


class InpaintRequest(GenerateRequest):
    """Part of a picture made anew; the picture and what is painted on it travel beside the request."""

    action: ClassVar[str] = "inpaint"

    # Few steps taken several times over: of all ways measured at 20 calls the one with the least seam, and the one
    # that goes on best from what is kept (docs/measurements.md).
    steps: int = Field(6, ge=1, le=999, description="reverse steps")
    keep_painted: bool = Field(False, description="keep what is painted and make the rest anew")
    mask_rule: MaskRuleName = Field("safe", description="which latent cells a painted pixel claims")
    clamp: ClampName = Field("noised", description="how kept cells are held: clean, or with the state's own noise")
    resamples: int = Field(4, ge=1, le=20, description="times each reverse step is taken, noising again in between")
    jump: int = Field(1, ge=1, le=998, description="reverse steps between two resamplings, and how far each goes back")
    grow: int = Field(0, ge=-256, le=256, description="pixels to widen what is made anew, below 0 to narrow it")
    feather: int = Field(0, ge=0, le=256, description="pixels over which what is made anew fades in at its edge")
    crop: Crop = Field("auto", description="what the model sees: a painted face, the whole picture, around the painted")
    enlarge: bool = Field(
        True, description="make what is larger than the model's pictures by a checkpoint that enlarges, if there is one"
    )

    @model_validator(mode="after")
    def _resamples_or_churn(self) -> Self:
        if self.churn and self.resamples > 1:
            raise ValueError("{resamples} must be 1 with {churn}, since both add noise between steps")
        return self

    @field_validator("jump")
    @classmethod
    def _jump_has_effect(cls, jump: int, info: ValidationInfo) -> int:
        steps, resamples = (info.data.get(name) for name in ("steps", "resamples"))
        if jump > 1 and resamples == 1:
            raise ValueError("belongs to {resamples} above 1 and must be 1 without")
        if jump > 1 and steps is not None and jump >= steps:
            raise ValueError(f"must be less than the number of steps ({steps}), the last of which is taken once")
        return jump

    @property
    def calls(self) -> int:
        path = repaint_timesteps(range(self.steps, -1, -1), self.resamples, self.jump)
        return sum(then < now for now, then in pairwise(path))


class EditRequest(GenerateRequest):
    """A picture made anew from a noised version of itself; the picture travels beside the request."""

    action: ClassVar[str] = "edit"

    strength: float = Field(0.6, gt=0, le=1, description="fraction of the reverse steps taken: 1 leaves nothing")

    @property
    def calls(self) -> int:
        return max(1, round(self.strength * self.steps))


class EnlargeRequest(GenerateRequest):
    """A picture made larger, with detail made up for it (SR3); the picture travels beside the request."""

    action: ClassVar[str] = "enlarge"

    noise_level: float = Field(
        0.0, ge=0, le=1, description="noise laid over the picture first: the more, the more of its detail is made anew"
    )


class BetweenRequest(GenerateRequest):
    """Pictures on the way from seed `seed` to seed `to`, evenly spaced from fraction `start` to `end` of it."""

    action: ClassVar[str] = "between"

    count: int = Field(8, ge=1, le=MAX_STRIP, description="pictures on the way, both ends among them")
    to: int = Field(1, ge=0, le=MAX_SEED, description="seed at the end of the way")
    start: float = Field(0.0, ge=0, le=1, description="fraction of the way at which the first picture lies")
    end: float = Field(1.0, ge=0, le=1, description="fraction of the way at which the last picture lies")

    @property
    def seeds(self) -> list[int]:
        return [self.seed, self.to]

    @property
    def stem(self) -> str:
        way = f"seed-{self.seed}-to-{self.to}"
        return way if self.start != self.end else f"{way}-at-{self.start:g}"

    @property
    def fractions(self) -> list[float]:
        """How far along the way each picture lies, 0 to 1."""
        return [self.start + (self.end - self.start) * i / max(1, self.count - 1) for i in range(self.count)]

    def singles(self) -> list[Self]:
        return [self.model_copy(update={"start": fraction, "end": fraction, "count": 1}) for fraction in self.fractions]


class PairRequest(GenerateRequest):
    """Pictures that are to be two things at once, the first of class `label` and as `prompt` says."""

    other: Label = Field(None, description="class of the second thing")
    other_prompt: str = Field("", max_length=MAX_PROMPT, description="what the second thing is, in words")

    @property
    def names_a_thing(self) -> bool:
        """Whether a class or words are asked for, of either thing."""
        return bool(self.labels or self.prompt.strip() or self.other_prompt.strip())

    @property
    def halves(self) -> tuple[Self, Self]:
        """A request for each of the two things alone."""
        return self, self.model_copy(update={"label": self.other, "prompt": self.other_prompt})

    @property
    def model_calls(self) -> int:
        return 2 * super().model_calls


class AnagramRequest(PairRequest):
    """Pictures that are to be one thing as they are and another in a view (Geng et al. 2024, "Visual Anagrams")."""

    action: ClassVar[str] = "anagram"

    # Of all samplers, by eye, the one whose pictures are most often faces in both views.
    steps: int = Field(30, ge=1, le=999, description="reverse steps")
    sampler: SamplerName = Field("ddpm", description="how to step from noise to picture")
    view: ViewName = Field("upside-down", description="the other way to look at the picture")


class HybridRequest(PairRequest):
    """Pictures that are to be one thing from afar and another close by (Geng et al. 2024, "Factorized Diffusion")."""

    action: ClassVar[str] = "hybrid"

    blur: float = Field(1.5, gt=0, le=32, description="pixels by which a blur leaves only what is seen from afar")


REQUESTS: dict[str, type[GenerateRequest]] = {
    kind.action: kind
    for kind in (
        GenerateRequest, InpaintRequest, EditRequest, EnlargeRequest, BetweenRequest, AnagramRequest, HybridRequest,
    )
}  # fmt: skip


class AnimationSettings(Request):
    """How pictures are shown one after the other; travels beside the request that makes them."""

    size: int = Field(256, ge=16, le=1024, description="longer side, pixels")
    seconds: float = Field(3.0, ge=0.1, le=60, description="how long it runs")
    format: FormatName = Field("gif", description="kind of file: a GIF, or an MP4, smaller and in all colours")


class ProcessSettings(AnimationSettings):
    """What is shown of a run, step after step."""

    view: Literal["believes", "sees"] = Field(
        "believes", description="the picture that the model expects at each step, or the noisy one that it is given"
    )


class WalkSettings(AnimationSettings):
    """How the way between two seeds is walked, there and back."""

    seconds: float = Field(4.0, ge=0.1, le=60, description="how long it runs")

"""What each stage of a training run is asked for: the shape of its network, and how it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from ddpm_core.aliases import Aliases
from ddpm_core.checkpoints.native import BackboneName
from ddpm_core.cli import plain
from ddpm_core.diffusion.prediction import PredictionType
from ddpm_core.diffusion.schedules import SCHEDULE_ALIASES, SCHEDULES
from ddpm_core.networks.dit import DiT
from ddpm_core.networks.mixers import Mixer
from ddpm_core.networks.noisy_classifier import NoisyClassifier
from ddpm_core.networks.tables import default
from ddpm_core.networks.unet import UNet, Variance
from ddpm_core.networks.vae import VAE
from ddpm_core.requests import Request
from ddpm_core.training.losses import Weighting
from ddpm_core.training.timesteps import TimestepDraw

if TYPE_CHECKING:  # type checkers cannot read literals made at run time
    ScheduleName = str
else:
    ScheduleName = Annotated[Literal[tuple(SCHEDULES)], Aliases(SCHEDULE_ALIASES)]

Widths = Annotated[  # "64,128,192" on the command line
    tuple[Annotated[int, Field(ge=8, le=4096, multiple_of=8)], ...],
    BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value),
    Field(min_length=1, max_length=6),
]


class StageSettings(Request):
    """Settings that all stages have."""

    SHAPE: ClassVar[tuple[str, ...]] = ()  # those that what its network's weights are, or mean, depends on
    TEXT: ClassVar[tuple[str, ...]] = ()  # the same where it reads captions

    iterations: int = Field(10_000, ge=1, description="optimiser steps")
    batch_size: int = Field(8, ge=1, le=4096, description="pictures per micro-batch")
    accumulate: int = Field(1, ge=1, le=1024, description="micro-batches per optimiser step")
    learning_rate: float = Field(5e-4, gt=0, le=1, description="peak learning rate of AdamW")
    warmup: int = Field(300, ge=0, description="steps of linear learning-rate warm-up")
    weight_decay: float = Field(0.01, ge=0, le=1, description="weight decay of AdamW")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema_decay: float = Field(0.999, ge=0, lt=1, title="EMA decay", description="decay of the weights' moving average")


class VaeSettings(StageSettings):
    """The autoencoder: its shape and its training."""

    SHAPE = ("latent_channels", "channels", "encoder_blocks", "decoder_blocks", "full_width")

    latent_channels: int = Field(default(VAE, "latent_channels"), ge=1, le=64, description="channels of the latent")
    channels: Widths = Field(default(VAE, "channels"), description="width at each halving, finest first")
    encoder_blocks: int = Field(
        default(VAE, "encoder_blocks"), ge=1, le=8, description="residual blocks per resolution, encoder"
    )
    decoder_blocks: int = Field(
        default(VAE, "decoder_blocks"), ge=1, le=8, description="residual blocks per resolution, decoder"
    )
    full_width: int = Field(default(VAE, "full_width"), ge=8, le=256, description="decoder width at full resolution")
    kl_weight: float = Field(3e-4, ge=0, le=1, title="KL weight", description="weight of the KL term")
    edge_weight: float = Field(0.25, ge=0, le=10, description="weight of the error of neighbouring differences")
    texture_weight: float = Field(1.0, ge=0, le=100, description="weight of the difference in local texture")
    learns: Literal["all", "decoder"] = Field(
        "all", description='what is trained; "decoder" leaves latents, and a denoiser trained on them, as they are'
    )
    adversarial_weight: float = Field(
        0.0, ge=0, le=1, description="weight of passing for real with a critic that learns beside it; better late"
    )
    sampled: int = Field(
        0, ge=0, le=100_000, description="latents that the denoiser to start from makes for the critic to judge as well"
    )

    @property
    def weights(self) -> dict[str, float]:
        """Arguments of `vae_loss.vae_loss`."""
        return {name: getattr(self, name) for name in ("kl_weight", "edge_weight", "texture_weight")}

    @field_validator("sampled")
    @classmethod
    def _samples_are_judged(cls, sampled: int, info: ValidationInfo) -> int:
        if sampled and not info.data.get("adversarial_weight"):
            raise ValueError("belongs to an adversarial weight above 0 and must be 0 without")
        if sampled and info.data.get("learns") == "all":
            raise ValueError('belongs to {learns} "decoder" and must be 0 where latents change')
        return sampled


class DenoiserSettings(StageSettings):
    """The denoiser: its shape and its training."""

    SHAPE = ("backbone", "channels", "blocks", "mixer", "patch", "prediction", "variance")
    TEXT = ("text_width", "text_layers", "text_length", "text_levels")

    backbone: BackboneName = Field("unet", description="kind of network: a UNet, or a transformer (DiT)")
    channels: Widths = Field(
        default(UNet, "channels"), description="width per level, finest first; of a transformer one for all"
    )
    blocks: int = Field(
        default(UNet, "blocks"), ge=1, le=32, description="residual blocks per level and direction, or a transformer's"
    )
    mixer: Mixer = Field(default(UNet, "mixer"), description="what lets far cells see each other")
    patch: int = Field(default(DiT, "patch"), ge=1, le=4, description="side in cells of a transformer's token")
    dropout: float = Field(default(UNet, "dropout"), ge=0, lt=1, description="fraction of channels dropped in blocks")
    text_width: int = Field(
        default(UNet, "text_width"), ge=0, le=1024, multiple_of=8,
        description="width of what is made of each word of captions, where pictures have them; 0 to leave them out",
    )  # fmt: skip
    text_layers: int = Field(
        default(UNet, "text_layers"), ge=1, le=12, description="transformer blocks that read captions"
    )
    text_length: int = Field(
        default(UNet, "text_length"), ge=4, le=128, description="words and commas of a caption that are read"
    )
    text_levels: int = Field(
        default(UNet, "text_levels"), ge=1, le=6, description="coarsest levels that look at the caption"
    )
    prediction: PredictionType = Field(default(UNet, "prediction"), description="what the network's output means")
    variance: Variance = Field(
        default(UNet, "variance"), description="of reverse steps: learned beside the noise, or not; for ddpm"
    )
    enlarges: int = Field(
        1, ge=1, le=8,
        description="how many times larger it makes pictures: it is shown each at 1/this of its resolution; 1 for none",
    )  # fmt: skip
    conditioning_noise: float = Field(
        0.2, ge=0, le=1,
        description="how noisy what is to be enlarged may be: each is shown with noise of 0 to this, and told how much",
    )  # fmt: skip
    schedule: ScheduleName = Field("linear", description="how noise grows from state to state")
    timesteps: TimestepDraw = Field("lognormal", description="how training timesteps are drawn; importance: by loss")
    weighting: Weighting = Field("uniform", description="what errors count at which timestep")
    learns: Literal["data", "guided", "consistency"] = Field(
        "data",
        description="pictures, or what the checkpoint to start from predicts together with its guide, or to make its "
        "pictures in a few steps",
    )
    segments: int = Field(
        1, ge=1, le=16,
        description="parts of the way from noise to picture, each crossed in one step by what learns consistency",
    )  # fmt: skip
    clamp_share: float = Field(0.3, ge=0, le=1, description="fraction of examples with a region held clean")
    clamp_timesteps: Literal["drawn", "uniform"] = Field(
        "drawn", description="how those examples' timesteps are drawn: as all others, or uniformly"
    )
    clamp_middle: float = Field(
        0.0,
        ge=0,
        le=1,
        description="fraction of those in which all but an ellipse in the middle is held: a face",
    )
    clamp_recolour: float = Field(
        0.0, ge=0, le=1, description="fraction of those examples whose pictures are shown in another light and colour"
    )
    label_dropout: float = Field(0.1, ge=0, le=1, description="fraction of examples whose class is dropped")
    caption_dropout: float = Field(0.1, ge=0, le=1, description="fraction of examples whose caption is dropped")

    @model_validator(mode="after")
    def _fits_the_backbone(self) -> Self:
        if self.backbone != "dit" and self.patch > 1:
            raise ValueError("{patch} belongs to {backbone} dit and must be 1 without")
        if self.backbone == "dit" and len(self.channels) > 1:
            raise ValueError(f"{{channels}} of a transformer are one number, 384 say, not {plain(self.channels)}")
        if self.backbone == "dit" and self.mixer == "none":
            raise ValueError("{mixer} must not be none with {backbone} dit, whose cells would never see each other")
        return self

    @model_validator(mode="before")
    @classmethod
    def _consistency_everywhere(cls, values: Any) -> Any:
        """A few steps stand anywhere on the way, most of them where log-normal draws seldom are."""
        if isinstance(values, dict) and values.get("learns") == "consistency":
            return {"timesteps": "uniform"} | values
        return values

    @model_validator(mode="after")
    def _consistency_alone(self) -> Self:
        if self.learns != "consistency":
            if self.segments > 1:
                raise ValueError('{segments} belongs to {learns} "consistency" and must be 1 without')
            return self
        if self.timesteps == "importance" or self.weighting != "uniform":
            raise ValueError(
                '{learns} "consistency" goes with {timesteps} "uniform" or "lognormal" and {weighting} "uniform" alone'
            )
        return self

    @model_validator(mode="after")
    def _enlarges_alone(self) -> Self:
        if self.enlarges > 1 and self.clamp_share and self.clamp_recolour:
            raise ValueError("{clamp_recolour} must be 0 with {enlarges} above 1, where light and colour are given")
        if self.enlarges > 1 and self.learns != "data":
            raise ValueError('{learns} must be "data" with {enlarges} above 1')
        return self


class ClassifierSettings(StageSettings):
    """The classifier of noisy latents that guides to a class: its shape and its training."""

    SHAPE = ("channels", "blocks", "dropout")

    # A few minutes for digits on one CPU core; weights below a megabyte.
    iterations: int = Field(1_000, ge=1, description="optimiser steps")
    batch_size: int = Field(64, ge=1, le=4096, description="pictures per micro-batch")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="peak learning rate of AdamW")
    warmup: int = Field(100, ge=0, description="steps of linear learning-rate warm-up")
    ema_decay: float = Field(0.99, ge=0, lt=1, title="EMA decay", description="decay of the weights' moving average")
    channels: Widths = Field(
        default(NoisyClassifier, "channels"), description="width at each halving of the latent, finest first"
    )
    blocks: int = Field(default(NoisyClassifier, "blocks"), ge=1, le=8, description="residual blocks per level")
    dropout: float = Field(default(NoisyClassifier, "dropout"), ge=0, lt=1, description="fraction of channels dropped")


class GuideSettings(StageSettings):
    """The small denoiser from whose mistakes a checkpoint's own is steered away (`guidance.autoguidance`).

    Else it learns as the denoiser's settings say.
    """

    SHAPE = ("channels", "blocks")

    # What the shipped faces-128 is guided by: 80,000 examples, some minutes on one CPU core.
    iterations: int = Field(2_500, ge=1, description="optimiser steps")
    batch_size: int = Field(32, ge=1, le=4096, description="pictures per micro-batch")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW")
    channels: Widths = Field(
        (32, 64, 192), description="width per level, finest first, less than the denoiser's; of a transformer one"
    )
    blocks: int = Field(1, ge=1, le=32, description="residual blocks per level and direction, or a transformer's")
    scale: float = Field(1.5, ge=0, le=10, description="how far the checkpoint is steered away from it; 1 not at all")
    first: int | None = Field(None, ge=0, description="first timestep at which it is; with last, or all are")
    last: int | None = Field(None, ge=0, description="last timestep at which it is")
    low_scale: float | None = Field(
        None, ge=0, le=10, description="how far in low frequencies, tone and pose; as far as in others unless told"
    )

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if (self.first is None) != (self.last is None) or (self.interval and self.interval[0] > self.interval[1]):
            raise ValueError("a guide has a first timestep and a last, which is not below it, or neither")
        return self

    @property
    def interval(self) -> tuple[int, int] | None:
        """The timesteps at which the checkpoint is steered; None for all."""
        return None if self.first is None or self.last is None else (self.first, self.last)

    @property
    def steering(self) -> dict[str, Any]:
        """How the checkpoint is steered, as `config.json` has it."""
        return {"guidance": self.scale, "guidance_interval": self.interval, "guidance_low": self.low_scale}

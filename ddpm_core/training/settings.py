"""What a training run is asked for: its data, its folder, its stages and their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ddpm_core.checkpoints.native import Framing
from ddpm_core.data.find import HELD_OUT_FRACTION
from ddpm_core.machine import Precision
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.networks.tables import default
from ddpm_core.requests import MAX_SEED, Request
from ddpm_core.training.stage_settings import (
    ClassifierSettings,
    DenoiserSettings,
    GuideSettings,
    StageSettings,
    VaeSettings,
)

StageName = Literal["vae", "denoiser", "classifier", "guide"]
STAGES: dict[StageName, str] = {  # in order, as people call them
    "vae": "autoencoder",
    "denoiser": "denoiser",
    "classifier": "classifier",
    "guide": "guide",
}
PRIVATE = {"data", "out", "stage", "resume", "device", "threads", "init"}  # of this machine, not of the checkpoint


class TrainRequest(Request):
    """A training run: autoencoder, denoiser or one after the other; or what a denoiser is guided by."""

    data: Path = Field(
        description="folder of pictures, a .zip or .tar of one, .parquet as Hugging Face datasets writes it, or a "
        ".npz in MNIST's layout; class folders, train/ and val/ beside each other and a labels.csv are understood"
    )
    out: Path = Field(description="checkpoint folder to write")
    stage: Literal["all", "vae", "denoiser", "classifier", "guide"] = Field(
        "all",
        description="what to train: autoencoder and denoiser, one of them, or, for a checkpoint that is there, a "
        "classifier to guide it by, or a weaker denoiser to be its guide",
    )
    size: int = Field(128, ge=8, le=1024, description="side of the training pictures, pixels")
    resume: bool = Field(False, description="continue the interrupted run in --out")
    init: Path | None = Field(None, title="Start from", description="checkpoint whose weights to start from")
    codec: Literal["vae", "pixel"] = Field(
        "vae", description='what latents are: an autoencoder\'s, or the pixels themselves; "pixel" has no stage "vae"'
    )
    pixel_stride: int = Field(
        default(PixelCodec, "stride"),
        ge=1,
        le=16,
        description="side in pixels of the squares that are a cell of pixels",
    )
    classes: str = Field(
        "auto", description='what tells classes apart: "folder", a column of labels.csv, "none", or "auto" to find out'
    )
    held_out: float = Field(
        HELD_OUT_FRACTION,
        ge=0,
        le=0.5,
        description="fraction of the pictures to measure on and never learn, where the data itself holds none out",
    )
    flips: bool = Field(True, description="mirror pictures at random")
    views: int = Field(1, ge=1, le=64, description="squares cut from each picture, the first the whole")
    zoom: float = Field(0.1, ge=0, lt=1, description="how much smaller than the whole further views may be")
    precision: Precision = Field("auto", description="number format of the forward and backward pass")
    device: str = Field("auto", description="cpu, cuda, mps, or auto")
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="CPU threads; if not said, OMP_NUM_THREADS, or one per core, of many all but one",
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of everything random in the run")
    save_every: int = Field(500, ge=1, description="iterations between saved states")
    sample_every: int = Field(1000, ge=1, description="iterations between sample grids and held-out losses")
    about: str = Field("", description="one line on the training pictures' source and licence, shown in the app")
    framing: Literal["auto", Framing] = Field(
        "auto",
        description='what the pictures show: one "face" each, which is then looked for in photos, or "any" thing; '
        '"auto" for what the checkpoint to start from, or to go on with, says',
    )
    vae: VaeSettings = VaeSettings()
    denoiser: DenoiserSettings = DenoiserSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    guide: GuideSettings = GuideSettings()

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.codec == "pixel" and self.stage == "vae":
            raise ValueError("the pixel codec has nothing to learn; leave --stage out")
        if self.denoiser.learns == "consistency" and {"vae", "denoiser"} <= set(self.stages):
            raise ValueError("few steps are learned of latents as they are; choose --stage denoiser")
        return self

    @property
    def stages(self) -> tuple[StageName, ...]:
        """The stages to run, in order."""
        if self.stage != "all":
            return (self.stage,)
        return ("vae", "denoiser") if self.codec == "vae" else ("denoiser",)

    def recorded(self, stage: StageName) -> dict[str, Any]:
        """The settings of one stage's run, as JSON takes them, without what is of this machine alone."""
        own = {"guide", "denoiser"} if stage == "guide" else {stage}  # a guide learns by the denoiser's settings, too
        return self.model_dump(mode="json", exclude=PRIVATE | (set(STAGES) - own))


OPTIMISER = tuple(StageSettings.model_fields)
GROUPS: dict[str, tuple[str, ...]] = {  # settings by their place, as the page's folds and the command's help part them
    "Start": ("init", "stage", "size", "framing", "about"),
    "Pictures": ("classes", "held_out", "flips", "views", "zoom"),
    "Autoencoder": ("codec", "pixel_stride", *(f"vae.{name}" for name in VaeSettings.SHAPE)),
    "What the autoencoder learns": (
        "vae.learns", "vae.kl_weight", "vae.edge_weight", "vae.texture_weight", "vae.adversarial_weight", "vae.sampled",
    ),
    "How the autoencoder learns": tuple(f"vae.{name}" for name in OPTIMISER),
    "Denoiser": (*(f"denoiser.{name}" for name in DenoiserSettings.SHAPE), "denoiser.dropout"),
    "What the denoiser learns": (
        "denoiser.learns", "denoiser.segments",
        "denoiser.schedule", "denoiser.timesteps", "denoiser.weighting", "denoiser.label_dropout",
        "denoiser.caption_dropout",
    ),
    "Enlarging": ("denoiser.enlarges", "denoiser.conditioning_noise"),
    "Words": tuple(f"denoiser.{name}" for name in DenoiserSettings.TEXT),
    "Fills": tuple(f"denoiser.clamp_{name}" for name in ("share", "timesteps", "middle", "recolour")),
    "How the denoiser learns": tuple(f"denoiser.{name}" for name in OPTIMISER),
    "Classifier to guide by": tuple(f"classifier.{name}" for name in ClassifierSettings.SHAPE),
    "How the classifier learns": tuple(f"classifier.{name}" for name in OPTIMISER),
    "Guide": tuple(f"guide.{name}" for name in (*GuideSettings.SHAPE, "scale", "low_scale", "first", "last")),
    "How the guide learns": tuple(f"guide.{name}" for name in OPTIMISER),
    "Run": ("precision", "seed", "save_every", "sample_every", "device", "threads"),
}  # fmt: skip

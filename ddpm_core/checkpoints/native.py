"""Our own format: `config.json` (what to build), safetensors (what to fill it with) and `README.md`, the card.

Of a codec "pixel", `vae.safetensors` holds the latents' statistics alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError
from safetensors import SafetensorError, safe_open
from torch import nn

from ddpm_core.checkpoints.atomic import (
    CheckpointError,
    read_tensors,
    sizes_in,
    write_atomically,
    write_tensors,
)
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.codec import Codec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.noisy_classifier import NoisyClassifier
from ddpm_core.networks.tables import BACKBONES, CODECS
from ddpm_core.networks.unet import Denoiser
from ddpm_core.networks.vae import VAE

CONFIG = "config.json"
# The codec's are called after the VAE, which was the first: readers older than the other codecs know no other name.
CODEC_WEIGHTS, DENOISER_WEIGHTS, GUIDE_WEIGHTS = "vae.safetensors", "denoiser.safetensors", "guide.safetensors"
CLASSIFIER_WEIGHTS = "classifier.safetensors"
WEIGHTS = (CODEC_WEIGHTS, DENOISER_WEIGHTS, GUIDE_WEIGHTS, CLASSIFIER_WEIGHTS)
FILES = (CONFIG, CODEC_WEIGHTS, DENOISER_WEIGHTS)  # without which a checkpoint is not complete
CARD = "README.md"
FINISHED = "finished"  # in the metadata of weights
SMALL = 64  # no setting up to this asks for much memory, whatever is in the weights
LARGEST_SIDE = 8192  # pixels; a damaged config may ask for anything

if TYPE_CHECKING:  # type checkers cannot read literals made at run time
    CodecName = str
    BackboneName = str
else:
    CodecName, BackboneName = Literal[tuple(CODECS)], Literal[tuple(BACKBONES)]

Framing = Literal["any", "face"]
LEVEL = 1  # channels beside those of a condition's latent: how noisy it is (`concatenation.with_augmentation`)
Network = TypeVar("Network", bound=nn.Module)
Part = TypeVar("Part")


class ImageConditioning(BaseModel):
    """What stands in a denoiser's conditioning channels: a picture's latent, and how noisy that is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: Literal["low-resolution"] = "low-resolution"  # the same picture as `images.low_resolution` makes it
    factor: int = Field(2, ge=2, le=8)  # by how much its resolution is lower
    noise: float = Field(0.0, ge=0, le=1)  # how noisy the noisiest was in training


@dataclass(frozen=True)
class Parts:
    """What a checkpoint folder holds, loaded: attributes of `pipeline.LatentDiffusion` but for its name."""

    codec: Codec
    denoiser: Denoiser
    diffuser: Diffuser
    size: int
    about: str = ""
    guide: Denoiser | None = None
    guidance: float = 1.0
    guidance_interval: tuple[int, int] | None = None
    guidance_low: float | None = None
    classes: tuple[str, ...] = ()
    limit: float | None = None
    framing: Framing = "any"
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    classifier: NoisyClassifier | None = None
    conditioning: ImageConditioning | None = None


def _rising(interval: tuple[int, int]) -> tuple[int, int]:
    if interval[0] > interval[1]:
        raise ValueError("the first timestep must not be above the last")
    return interval


class CheckpointConfig(BaseModel):
    """What `config.json` says: how to build the parts, and on what they were trained."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    size: int = Field(gt=0, le=LARGEST_SIDE)  # pixels, the side of the training pictures
    codec: CodecName = "vae"  # which of CODECS
    codec_settings: dict[str, Any] = Field({}, alias="vae")  # its constructor arguments; called so in the file
    backbone: BackboneName = "unet"  # which of BACKBONES; not in the file if it is this one
    denoiser: dict[str, Any] = {}  # its constructor arguments
    guide: dict[str, Any] = {}  # those of the network that guides it, if there is one (`guidance.autoguidance`)
    guidance: float = Field(1.0, ge=0, le=10)  # how far it is steered away from its guide
    # First and last timestep at which it is; None for all. Not in the file if it is that.
    guidance_interval: Annotated[tuple[NonNegativeInt, NonNegativeInt], AfterValidator(_rising)] | None = None
    # How far its low frequencies are; None for as far as the rest. Not in the file if it is that.
    guidance_low: Annotated[float, Field(ge=0, le=10)] | None = None
    classifier: dict[str, Any] = {}  # constructor arguments of the one to guide by; not in the file if there is none
    diffuser: dict[str, Any] = {}  # of Diffuser
    classes: list[str] = []  # their names, by number; empty if it was trained without
    words: list[str] = []  # that it knows of captions, by number; not in the file if it was trained without
    prompts: list[str] = []  # captions to begin with, shown beside the prompt box; not in the file if there are none
    framing: Framing = "any"  # what the training pictures show
    # How it works best, where the requests' own defaults are not it, by action: {"inpaint": {"clamp": "clean"}}. Not in
    # the file if there is nothing to say.
    defaults: dict[str, dict[str, Any]] = {}
    # Of a denoiser that makes pictures of others, what it is shown of these; not in the file if it makes them of noise.
    conditioning: ImageConditioning | None = None
    about: str = ""  # licence and source of the training data, one line, shown under the app
    training: dict[str, Any] = {}  # the resolved settings of each stage's run


def write_config(folder: Path, config: CheckpointConfig) -> None:
    """Write `config.json` into a checkpoint folder, atomically."""
    fields = config.model_dump(mode="json", by_alias=True)
    for name in (
        "backbone",
        "guidance_interval",
        "guidance_low",
        "words",
        "prompts",
        "defaults",
        "classifier",
        "conditioning",
    ):
        if fields[name] == CheckpointConfig.model_fields[name].default:
            del fields[name]  # readers older than this field refuse what they do not know
    text = json.dumps(fields, indent=2) + "\n"
    write_atomically(folder / CONFIG, lambda partial: partial.write_text(text, encoding="utf-8"))


def read_config(folder: Path) -> CheckpointConfig:
    """`config.json` of a checkpoint folder.

    Raises:
        CheckpointError: it is missing, no JSON, or says what this version does not know.
    """
    path = Path(folder) / CONFIG
    try:
        return CheckpointConfig.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"{path} is missing; {folder} is not a checkpoint.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CheckpointError(f"{path} cannot be used: {where}: {first['msg']}.") from None


def write_weights(path: Path, model: nn.Module, finished: int | None = None) -> None:
    """Write a model's weights: matrices and kernels in half precision, vectors in full.

    Args:
        finished: if the run ends with them, how many steps they took.
    """
    tensors = {name: t.half() if t.ndim > 1 else t.float() for name, t in model.state_dict().items()}
    write_tensors(path, tensors, None if finished is None else {FINISHED: str(finished)})


def finished_after(path: Path) -> int | None:
    """How many steps a run took to end with these weights; None if they are missing or were written midway."""
    try:
        with safe_open(path, framework="pt") as file:
            return int((file.metadata() or {})[FINISHED])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def build(kind: type[Part], arguments: dict[str, Any], folder: Path) -> Part:
    """Construct a part from its section of `config.json`.

    Raises:
        CheckpointError: the arguments do not suit its constructor.
    """
    try:
        return kind(**arguments)
    except (TypeError, ValueError, LookupError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{Path(folder) / CONFIG} does not describe a {kind.__name__}: {str(error).rstrip('.')}."
        ) from None


def read_weights(path: Path, model: Network, device: str | torch.device = "cpu") -> Network:
    """Fill a model with the weights in a file; in fp32 on `device`, in eval mode, channels-last.

    Raises:
        CheckpointError: the file is missing, damaged, or of a differently built model.
    """
    tensors, _ = read_tensors(path)
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} does not match {path.with_name(CONFIG)}: {reason}.") from None
    return placed(model, device).eval().requires_grad_(False)


def refuse_implausible(arguments: Mapping[str, Any], path: Path, *more: Path) -> None:
    """Refuse to build what is larger than anything in its weights, before it takes the memory.

    Args:
        arguments: a network's section of `config.json`.
        path, more: its weights.

    Raises:
        CheckpointError: a number is beyond that; or the file is missing or damaged.
    """
    # No network has more channels, blocks or classes than its largest tensor is long or its file has tensors.
    most = max(SMALL, *(size for file in (path, *more) for size in sizes_in(file)))
    for name, value in arguments.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, int | float) and not abs(number) <= most for number in numbers):
            raise CheckpointError(f"{path.with_name(CONFIG)} does not match {path}: {name} is {str(value)[:60]}.")


def load_vae(folder: Path, device: str | torch.device = "cpu") -> VAE:
    """The VAE of a checkpoint folder. Raises `CheckpointError` if it is damaged."""
    config = read_config(folder)
    return _filled(VAE, config.codec_settings, Path(folder) / CODEC_WEIGHTS, device)


def load_codec(folder: Path, device: str | torch.device = "cpu") -> Codec:
    """The codec of a checkpoint folder, whichever it is. Raises `CheckpointError` if it is damaged."""
    return _codec(folder, read_config(folder), device)


def load_denoiser(folder: Path, device: str | torch.device = "cpu") -> Denoiser:
    """The denoiser of a checkpoint folder. Raises `CheckpointError` if it is damaged."""
    return _denoiser(folder, read_config(folder), device)


def load_guide(folder: Path, device: str | torch.device = "cpu") -> Denoiser | None:
    """The network that guides a checkpoint's denoiser, if any. Raises `CheckpointError` if it is damaged."""
    return _guide(folder, read_config(folder), device)


def load_classifier(folder: Path, device: str | torch.device = "cpu") -> NoisyClassifier | None:
    """The classifier that a checkpoint is guided by, if any. Raises `CheckpointError` if it is damaged."""
    return _classifier(folder, read_config(folder), device)


def load_diffuser(folder: Path) -> Diffuser:
    """The noise schedule of a checkpoint folder. Raises `CheckpointError` if it is damaged."""
    return build(Diffuser, read_config(folder).diffuser, folder)


def load_parts(folder: Path, device: str | torch.device = "cpu") -> Parts:
    """All parts of a checkpoint folder. Raises `CheckpointError`, also if they do not fit each other."""
    config = read_config(folder)  # once: a trainer may put another in its place meanwhile
    codec, denoiser = _codec(folder, config, device), _denoiser(folder, config, device)
    guide, diffuser = _guide(folder, config, device), build(Diffuser, config.diffuser, folder)
    classifier = _classifier(folder, config, device)
    channels = {part.latent_channels for part in (codec, denoiser, guide, classifier) if part is not None}
    filled = config.size % (codec.stride * denoiser.patch) == 0
    known = denoiser.classes, denoiser.text.words if denoiser.text else 0
    told_apart = {classifier.classes} if classifier else set()
    shown = codec.latent_channels + LEVEL if config.conditioning else 0
    unlike = {part.conditioning_channels for part in (denoiser, guide) if part is not None} - {shown}
    misfit = len(channels) > 1 or not filled or told_apart - {denoiser.classes} or unlike
    if misfit or known != (len(config.classes), len(config.words)):
        raise CheckpointError(f"{folder / CONFIG} is inconsistent: its parts do not fit each other.")
    return Parts(
        codec, denoiser, diffuser, config.size, config.about, guide, config.guidance,
        config.guidance_interval, config.guidance_low, tuple(config.classes), framing=config.framing,
        defaults=config.defaults, words=tuple(config.words), prompts=tuple(config.prompts), classifier=classifier,
        conditioning=config.conditioning,
    )  # fmt: skip


def _codec(folder: Path, config: CheckpointConfig, device: str | torch.device) -> Codec:
    return _filled(CODECS[config.codec], config.codec_settings, Path(folder) / CODEC_WEIGHTS, device)


def _denoiser(folder: Path, config: CheckpointConfig, device: str | torch.device) -> Denoiser:
    return _filled(BACKBONES[config.backbone], config.denoiser, Path(folder) / DENOISER_WEIGHTS, device)


def _guide(folder: Path, config: CheckpointConfig, device: str | torch.device) -> Denoiser | None:
    if not config.guide:
        return None
    return _filled(BACKBONES[config.backbone], config.guide, Path(folder) / GUIDE_WEIGHTS, device)


def _classifier(folder: Path, config: CheckpointConfig, device: str | torch.device) -> NoisyClassifier | None:
    if not config.classifier:
        return None
    return _filled(NoisyClassifier, config.classifier, Path(folder) / CLASSIFIER_WEIGHTS, device)


def _filled(kind: type[Network], arguments: dict[str, Any], path: Path, device: str | torch.device) -> Network:
    refuse_implausible(arguments, path)
    return read_weights(path, build(kind, arguments, path.parent), device)

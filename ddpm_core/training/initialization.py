"""Training that begins with a checkpoint that there is: its weights, or what it predicts."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError, write_atomically
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.cli import plain
from ddpm_core.diffusion.guidance import autoguidance
from ddpm_core.diffusion.prediction import Prediction, Predictor, split_variance
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.networks.cpu.packed import ready
from ddpm_core.networks.tables import default
from ddpm_core.networks.unet import Denoiser
from ddpm_core.networks.vae import VAE
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.settings import DenoiserSettings, StageName, StageSettings, TrainRequest, VaeSettings
from ddpm_core.training.weight_fitting import fit_classes, fit_condition, fit_words

LATENT_ENDS = (  # as wide as the latent, of a UNet and of a DiT
    "input.weight", "output.2.weight", "output.2.bias", "output.weight", "output.bias",
)  # fmt: skip
# Stages of what guides a checkpoint that is there: what they make, as config.json has it, and how it has it without.
GUIDING: dict[StageName, dict[str, Any]] = {
    "classifier": {"classifier": {}},
    "guide": {"guide": {}, "guidance": 1.0, "guidance_interval": None, "guidance_low": None},
}


def start_of(given: Mapping[str, Any]) -> Path | None:
    """The checkpoint whose shapes a run has by default: that of --init, or the one to be guided."""
    if "init" in given:
        return Path(given["init"])
    out = given.get("out")
    guided = given.get("stage") in GUIDING and out is not None and (Path(out) / checkpoint.CONFIG).exists()
    return Path(str(out)) if guided else None


def shapes_of(folder: Path) -> dict[str, Any]:
    """Settings that a run from a checkpoint has by default, nested as a `TrainRequest`.

    Raises `CheckpointError` without a config.
    """
    config = checkpoint.read_config(folder)
    settings: dict[str, Any] = {"size": config.size, "codec": config.codec}
    if config.framing != "any":
        settings["framing"] = config.framing
    if config.codec == "pixel":
        settings["pixel_stride"] = config.codec_settings.get("stride", default(PixelCodec, "stride"))
    else:
        settings["vae"] = _built(config.codec_settings, VaeSettings())
    if config.denoiser:
        schedule = config.diffuser.get("schedule", DenoiserSettings().schedule)
        built = _built(config.denoiser | {"backbone": config.backbone}, DenoiserSettings(), bool(config.words))
        enlarges = {"enlarges": _factor(config)} if config.conditioning else {}
        settings["denoiser"] = built | {"schedule": schedule} | enlarges
    return settings


def start_autoencoder(request: TrainRequest, vae: VAE) -> list[str]:
    """Fill an autoencoder with the weights of --init; returns sentences on what was taken over.

    Raises `CheckpointError` if there are none, or of another shape.
    """
    folder, config = _start(request)
    _refuse_misfit(folder / checkpoint.CODEC_WEIGHTS, "vae", _built(config.codec_settings, VaeSettings()), request.vae)
    checkpoint.read_weights(folder / checkpoint.CODEC_WEIGHTS, vae, next(vae.parameters()).device)
    vae.train().requires_grad_(True)
    notes = [f"The autoencoder starts from the weights of {folder}{_other_size(request, config)}."]
    if "denoiser" in request.stages and request.vae.learns == "all":
        notes.append("Its latents change as it learns; --vae-learns decoder keeps them as the denoiser knows them.")
    return notes


def start_denoiser(
    request: TrainRequest, unet: Denoiser, classes: tuple[str, ...], words: tuple[str, ...] = ()
) -> list[str]:
    """The same for a denoiser; classes and words known by name are taken over, latents' channels only if they are as
    many.
    """
    folder, config = _start(request)
    path = folder / checkpoint.DENOISER_WEIGHTS
    reads = bool(config.words and words)
    before = _built(config.denoiser | {"backbone": config.backbone}, DenoiserSettings(), reads)
    prediction, schedule = before.pop("prediction"), checkpoint.load_diffuser(folder).schedule
    _refuse_misfit(path, "denoiser", before, request.denoiser)
    weights = checkpoint.load_denoiser(folder).state_dict()
    notes = [f"The denoiser starts from the weights of {folder}{_other_size(request, config)}."]
    notes += fit_classes(weights, tuple(config.classes), classes, unet)
    notes += fit_words(weights, config.words, words, unet)

    latent = int(config.denoiser.get("latent_channels", 4))
    if latent != unet.latent_channels:
        weights |= {name: tensor.cpu() for name, tensor in unet.state_dict().items() if name in LATENT_ENDS}
        notes.append(
            f"The latent has {unet.latent_channels} channels instead of {latent}, so the convolutions that read and "
            "write it start anew."
        )
    else:
        if has_other_codec(request.out, folder):
            notes.append("The autoencoder is not the one it learned with, so it learns other latents than it knows.")
        notes += fit_condition(weights, _factor(config), request.denoiser.enlarges, unet)
    for what, was, now in (
        ("puts out", prediction, request.denoiser.prediction),
        ("removes noise of the schedule", schedule, request.denoiser.schedule),
    ):
        if was != now:
            notes.append(f"It {what} {was!r} so far and has to learn {now!r}.")
    unet.load_state_dict(weights)
    return notes


def has_codec_for(request: TrainRequest, folder: Path) -> bool:
    """Whether a run can take over the codec of a checkpoint as it is. Raises `CheckpointError` without a config."""
    config = checkpoint.read_config(folder)
    if config.codec == "pixel":
        return (
            request.codec == "pixel"
            and config.codec_settings.get("stride", default(PixelCodec, "stride")) == request.pixel_stride
        )
    return request.codec == "vae"


def take_codec(request: TrainRequest) -> list[str]:
    """Copy the codec of --init into a folder that has none; returns what to say of it."""
    folder, config = _start(request)
    training = {"vae": config.training["vae"]} if "vae" in config.training else {}
    parts: dict[str, Any] = {
        "codec": config.codec,
        "vae": config.codec_settings,
        "training": training,
        "about": request.about,
    }
    checkpoint.load_codec(folder)  # or it cannot be, and nothing is written
    checkpoint.write_config(request.out, CheckpointConfig(size=request.size, **parts))
    name = checkpoint.CODEC_WEIGHTS
    write_atomically(request.out / name, lambda partial: shutil.copyfile(folder / name, partial))
    return [f"The {'autoencoder' if config.codec == 'vae' else 'codec'} is that of {folder}, as it is."]


def take_checkpoint(
    request: TrainRequest, stage: StageName, world: World = ALONE
) -> tuple[CheckpointConfig, list[str]]:
    """The checkpoint in `request.out` that a stage of `GUIDING` makes something for, or a copy of that of --init.

    Also returns what to say of it. Raises `CheckpointError` without either, or at another size.
    """
    notes = []
    if world.is_main and not (request.out / checkpoint.CONFIG).exists():
        if request.init is None:
            raise CheckpointError(
                f"{request.out} holds no checkpoint to guide; train one there first, or name one with --init."
            )
        checkpoint.load_parts(request.init)  # or it cannot be, and nothing is written
        weights = (f"{name}.safetensors" for name in ("vae", "denoiser", *GUIDING) if name != stage)
        for name in weights:
            if (request.init / name).exists():
                write_atomically(request.out / name, partial(shutil.copyfile, request.init / name))
        without = checkpoint.read_config(request.init).model_copy(update=GUIDING[stage])
        checkpoint.write_config(request.out, without)  # last: with it, the folder is a checkpoint
        notes = [f"Autoencoder and denoiser are those of {request.init}, as they are."]
    world.barrier()  # the checkpoint is there
    config = checkpoint.read_config(request.out)
    if config.size != request.size:
        raise CheckpointError(f"{request.out} was trained at {config.size} pixels; choose --size {config.size}.")
    return config, notes


def _start(request: TrainRequest) -> tuple[Path, CheckpointConfig]:
    """The checkpoint named by --init, whose codec has to be the run's."""
    if request.init is None:
        raise CheckpointError("There is no checkpoint to start from; name it with --init.")
    config = checkpoint.read_config(request.init)
    if config.codec != request.codec:
        raise CheckpointError(
            f"{request.init} has the codec {config.codec!r}, not {request.codec!r}, so its weights are of no use; "
            "leave out --codec to take its own, or --init."
        )
    return request.init, config


def _built(arguments: dict[str, Any], defaults: StageSettings, reads: bool = False) -> dict[str, Any]:
    """Settings by name, as a network was built with them; if it `reads` captions, those for that, too."""
    names = (*defaults.SHAPE, *(defaults.TEXT if reads else ()))
    values = {name: arguments.get(name, getattr(defaults, name)) for name in names}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _refuse_misfit(path: Path, stage: str, before: dict[str, Any], now: StageSettings) -> None:
    misfits = [
        f"--{stage}-{name.replace('_', '-')} is {plain(getattr(now, name))} instead of {plain(value)}"
        for name, value in before.items()
        if getattr(now, name) != value
    ]
    if misfits:
        raise CheckpointError(
            f"{path} does not match what is to be trained: {', '.join(misfits)}; leave that out to start from it."
        )


def _factor(config: CheckpointConfig) -> int:
    """How many times larger a checkpoint's denoiser makes pictures."""
    return config.conditioning.factor if config.conditioning else 1


def _other_size(request: TrainRequest, config: CheckpointConfig) -> str:
    return "" if config.size == request.size else f", trained at {config.size} pixels and now at {request.size}"


def has_other_codec(one: Path, other: Path) -> bool:
    """Whether the codecs of two checkpoint folders differ."""
    return not filecmp.cmp(one / checkpoint.CODEC_WEIGHTS, other / checkpoint.CODEC_WEIGHTS, shallow=False)


def guided_output(folder: Path | None, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """The raw output (B, C, h, w) of a denoiser and its guide together (Meng et al. 2023, "On Distillation of Guided
    Diffusion Models", section 3.1).

    Raises `CheckpointError` if there is no guide, or the two put out different things.
    """
    guide = checkpoint.load_guide(folder, device) if folder else None
    if folder is None or guide is None:
        raise CheckpointError(
            "What a denoiser predicts with its guide is learned from one that has a guide; name it with --init."
        )
    denoiser = checkpoint.load_denoiser(folder, device)
    if denoiser.prediction != guide.prediction:
        raise CheckpointError(
            f"In {folder} denoiser and guide differ in their prediction type, so nobody can learn from both."
        )
    # Every prediction type is a straight line of the noise, so what is guided is the same in all of them.
    config, channels = checkpoint.read_config(folder), denoiser.latent_channels

    def raw(network: Denoiser) -> Predictor:
        network = ready(network, device)
        return lambda noisy, t: Prediction(split_variance(network(noisy, t), channels)[0])

    both = autoguidance(raw(denoiser), raw(guide), config.guidance, config.guidance_interval, config.guidance_low)

    @torch.no_grad()
    def guided(noisy: Tensor, t: Tensor) -> Tensor:
        return both(noisy, t).eps  # (B, C, h, w), what the networks put out

    return guided

"""Pretrained models in the format of diffusers: a folder in which `DiffusionPipeline.save_pretrained` left a pipeline.

Read are its `UNet2DModel`, the betas of its scheduler and, if there is one, its autoencoder. Diffusers has no clean
state: its timestep 0 is ours 1, and N of its timesteps are N + 1 states here. Weights come as safetensors only.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import CONFIG, LARGEST_SIDE, Parts, build, refuse_implausible
from ddpm_core.diffusion.diffuser import MOST_TIMESTEPS, Diffuser
from ddpm_core.diffusion.prediction import PredictionType
from ddpm_core.networks.codec import Codec, GreyCodec, PixelCodec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.unet import Denoiser

PIPELINE = "model_index.json"  # the list of a pipeline's parts
UNET, SCHEDULER, CODECS = "unet", "scheduler", ("vae", "vqvae")  # what diffusers calls the parts of a pipeline
DENOISERS, AUTOENCODERS = ("UNet2DModel",), ("AutoencoderKL", "VQModel")  # the classes known here
SCHEDULES = {"linear": "linear", "scaled_linear": "scaled-linear", "squaredcos_cap_v2": "cosine", "sigmoid": "sigmoid"}
PREDICTIONS: dict[str, PredictionType] = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
CONFIGS = {UNET: CONFIG, SCHEDULER: "scheduler_config.json"}  # the files that say how parts are built
WEIGHTS = re.compile(
    r"diffusion_pytorch_model(\.(?P<variant>[^.]+?))?(-\d+-of-\d+)?(\.(?P<of_shards>[^.]+))?\.safetensors"
)
COUNTS = {  # of a network's config: none is larger than its largest tensor is long
    "layers_per_block", "block_out_channels", "num_class_embeds", "attention_head_dim", "latent_channels",
    "in_channels", "out_channels", "vq_embed_dim", "num_vq_embeddings",
}  # fmt: skip
NAMES = "id2label"  # where `DiTPipeline` keeps the names of classes, in `model_index.json`


class PretrainedDenoiser(Denoiser):
    """A `UNet2DModel` that counts timesteps as we do."""

    unet: Any

    def __init__(self, unet: Any, prediction: PredictionType, classes: int = 0, null_class: int | None = None):
        super().__init__(unet.config.in_channels, prediction, classes, null_class)
        self.unet = unet

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
    ) -> Tensor:
        """See `Denoiser.forward`; `t` (B,) is from 1 on, for there is no clean state."""
        if label is None and self.null_class is not None:
            label = torch.full_like(t, self.null_class)
        dtype = next(self.parameters()).dtype
        return self.unet(noisy.to(dtype), t - 1, label).sample.float()


class PretrainedCodec(Codec):
    """An `AutoencoderKL` or `VQModel`, its latents shifted and scaled as its config says.

    Raises:
        ValueError: its pictures are not RGB.
    """

    autoencoder: Any

    def __init__(self, autoencoder: Any):
        config = autoencoder.config
        if config.in_channels != 3:
            raise ValueError(
                f"an autoencoder of RGB pictures is needed, not of pictures with {config.in_channels} channels"
            )
        channels = config.get("vq_embed_dim") or config.latent_channels
        super().__init__(channels, 2 ** (len(config.block_out_channels) - 1))
        self.autoencoder = autoencoder
        mean = config.get("latents_mean") or config.get("shift_factor") or 0.0
        std = torch.tensor(config.get("latents_std") or 1.0) / config.scaling_factor
        self.latent_mean.copy_(torch.tensor(mean).flatten())
        self.latent_std.copy_(std.flatten())

    def means(self, image: Tensor) -> Tensor:
        """The posterior mean, or the latents before they are quantised; see `Codec.means`."""
        encoded = self.autoencoder.encode(image)
        return encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean

    def restored(self, latent: Tensor) -> Tensor:
        return self.autoencoder.decode(latent).sample


def is_pipeline(folder: Path) -> bool:
    """Whether diffusers saved a pipeline there."""
    return (Path(folder) / PIPELINE).is_file()


def files(folder: Path) -> list[Path]:
    """The files without which a saved pipeline is not complete."""
    folder = Path(folder)
    needed = [
        folder / PIPELINE,
        *(component_folder(folder, component) / config for component, config in CONFIGS.items()),
    ]
    return needed + sorted([*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")])


def weights(folder: Path) -> list[Path]:
    """The files in which a saved pipeline's networks are, of each the variant that is loaded."""
    folders = {component_folder(Path(folder), component) for component in (UNET, *CODECS)}
    return sorted(
        file
        for each in folders
        for file in each.glob("*.safetensors")
        if (name := WEIGHTS.fullmatch(file.name)) and (name["variant"] or name["of_shards"]) == variant_of(each)
    )


def component_folder(folder: Path, component: str) -> Path:
    """Where a component lies: in its own folder, or, as in the first DDPMs published, beside the list."""
    own = folder / component
    return folder if not own.is_dir() and (folder / CONFIGS.get(component, own.name)).is_file() else own


def variant_of(folder: Path) -> str | None:
    """The variant that a part's weights are there as, such as "fp16"; None if there are others."""
    names = [WEIGHTS.fullmatch(file.name) for file in folder.glob("*.safetensors")]
    found = {name["variant"] or name["of_shards"] for name in names if name}
    return None if None in found else min(found, default=None)


def load_parts(folder: Path, device: str | torch.device = "cpu") -> Parts:
    """All parts of a folder in which diffusers saved a pipeline of a `UNet2DModel`.

    Raises:
        CheckpointError: diffusers is not installed, or something in the folder is missing or cannot be used here.
    """
    saved = SavedPipeline(Path(folder))
    settings, diffuser = saved.scheduler()
    unet = saved.network(UNET, DENOISERS)
    codec: Codec
    if component := next((name for name in CODECS if saved.kind(name)), None):
        codec = build(
            PretrainedCodec, {"autoencoder": saved.network(component, AUTOENCODERS)}, saved.folder / component
        )
    else:
        codec = GreyCodec() if unet.config.in_channels == 1 else PixelCodec(stride=1)
    if {unet.config.in_channels, unet.config.out_channels} != {codec.latent_channels}:
        raise CheckpointError(f"{folder} cannot be used: its UNet is for other latents, or other pictures than RGB.")
    side, (names, null_class) = saved.side(unet.config), saved.classes(unet.config)
    denoiser = PretrainedDenoiser(unet, PREDICTIONS[settings["prediction_type"]], len(names), null_class)
    for network in (codec, denoiser):
        placed(network, device).eval().requires_grad_(False)
    limit = (settings.get("clip_sample_range") or 1.0) if settings.get("clip_sample") else None
    return Parts(codec, denoiser, diffuser, side * codec.stride, classes=names, limit=limit)


class SavedPipeline:
    """A folder in which diffusers saved a pipeline.

    Raises:
        CheckpointError: diffusers is not installed, or the folder has no list of parts.
    """

    def __init__(self, folder: Path):
        self.folder, self.index = folder, _read(folder / PIPELINE)
        try:
            import diffusers
        except ImportError:
            raise CheckpointError(
                f"{folder} is in the format of diffusers, which is not installed: pip install diffusers."
            ) from None
        self.library = diffusers

    def kind(self, component: str) -> str | None:
        """The class of a component, or None."""
        entry = self.index.get(component)
        return entry[1] if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str) else None

    def network(self, component: str, allowed: Sequence[str]) -> Any:
        """A component's network with its weights, in fp32.

        Raises:
            CheckpointError: it is of no class `allowed`, or its files are missing, damaged or do not fit each other.
        """
        kind = self.kind(component)
        if kind not in allowed:
            raise CheckpointError(
                f"{self.folder} has {kind or 'nothing'} for its {component}; "
                f"only {' and '.join(allowed)} can be used here."
            )
        where = component_folder(self.folder, component)
        weights = sorted(where.glob("*.safetensors"))
        if not weights:
            raise CheckpointError(
                f"{where} has no weights in safetensors, the only format read here; save the pipeline anew with "
                "safe_serialization=True."
            )
        config = _read(where / CONFIG) if (where / CONFIG).is_file() else {}
        if counts := {name: value for name, value in config.items() if name in COUNTS}:
            refuse_implausible(counts, *weights)
        for name, parameter in inspect.signature(getattr(self.library, str(kind))).parameters.items():
            if isinstance(parameter.default, int | float) and isinstance(config.get(name), str | dict):
                raise CheckpointError(
                    f"{where / CONFIG} has the {name} {str(config[name])[:60]!r}; a number is needed."
                )
        try:
            network, loaded = getattr(self.library, str(kind)).from_pretrained(
                where, variant=variant_of(where), use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False,
                output_loading_info=True,
            )  # fmt: skip
        except Exception as error:  # diffusers builds of whatever is in the config, and stumbles in as many ways
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{where} cannot be loaded as {kind}: {reason}.") from None
        if missing := loaded["missing_keys"]:
            raise CheckpointError(f"{where} does not match its config.json: it has no {missing[0]}.")
        return network.float()

    def scheduler(self) -> tuple[dict[str, Any], Diffuser]:
        """All settings of the scheduler, its defaults included, and its noise schedule.

        Raises:
            CheckpointError: it is missing, or asks for something that cannot be done here.
        """
        path = component_folder(self.folder, SCHEDULER) / CONFIGS[SCHEDULER]
        kind = getattr(self.library, self.kind(SCHEDULER) or "", None)
        config = _read(path)
        if not (isinstance(kind, type) and issubclass(kind, self.library.SchedulerMixin)):
            raise CheckpointError(f"{self.folder / PIPELINE} names no scheduler of diffusers.")
        timesteps = config.get("num_train_timesteps", 1000)
        if not (isinstance(timesteps, int) and 0 < timesteps < MOST_TIMESTEPS):
            raise CheckpointError(f"{path} cannot be used: num_train_timesteps is {str(timesteps)[:60]}.")
        try:
            settings = dict(kind.from_config(config).config)
        except Exception as error:  # as above
            raise CheckpointError(f"{path} cannot be used: {' '.join(str(error).split())[:200]}.") from None
        for name, table in (("beta_schedule", SCHEDULES), ("prediction_type", PREDICTIONS)):
            if not isinstance(value := settings.get(name), str) or value not in table:
                raise CheckpointError(f"{path} has the {name} {value!r}; choose from: {', '.join(table)}.")
        for name in ("trained_betas", "rescale_betas_zero_snr", "thresholding"):
            if settings.get(name):
                raise CheckpointError(f"{path} asks for {name}, which cannot be done here.")
        # One state longer: the clean one.
        states, ends = settings["num_train_timesteps"] + 1, (settings["beta_start"], settings["beta_end"])
        try:
            return settings, Diffuser(states, *ends, SCHEDULES[settings["beta_schedule"]])
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be used: {str(error).rstrip('.')}.") from None

    def side(self, config: Mapping[str, Any]) -> int:
        """How many cells the UNet of that config has along a side.

        Raises:
            CheckpointError: it does not say, or they are no square.
        """
        size = config["sample_size"]
        sides = set(size) if isinstance(size, list | tuple) else {size}
        if len(sides) != 1 or not all(isinstance(side, int) and 0 < side <= LARGEST_SIDE for side in sides):
            config_file = component_folder(self.folder, UNET) / CONFIG
            raise CheckpointError(f"{config_file} has the sample_size {size!r}; a square is needed.")
        return sides.pop()

    def classes(self, config: Mapping[str, Any]) -> tuple[tuple[str, ...], int | None]:
        """Names of the UNet's classes, and its null class, if it knows one more.

        Names are "id2label" in the list of parts, as `DiTPipeline` has them, or numbers.

        Raises:
            CheckpointError: the UNet is told something else, or classes and names do not match.
        """
        count = config.get("num_class_embeds") or 0
        if config.get("class_embed_type"):
            kind = config["class_embed_type"]
            raise CheckpointError(f"{self.folder} is told classes as {kind!r}; only numbered ones can be used here.")
        numbers = [str(number) for number in range(count)]
        names_by_number = self.index.get(NAMES) or dict(zip(numbers, numbers, strict=True)) if count else {}
        names = [str(names_by_number[number]) for number in numbers if number in names_by_number]
        if count - len(names) not in (0, 1) or len(names) != len(names_by_number):
            raise CheckpointError(
                f"{self.folder / PIPELINE} names {len(names_by_number)} classes, but its UNet was trained with {count}."
            )
        return tuple(names), len(names) if count > len(names) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"{path} is missing; the pipeline is incomplete.") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged or not JSON ({error}); get it again.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object; get it again.")
    return content

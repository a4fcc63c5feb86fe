"""Checkpoints on disk: config.json, safetensors and a model card; written atomically, no pickle.

A checkpoint folder holds `config.json` (what to build), `vae.safetensors` and `denoiser.safetensors`
(what to fill it with) and `README.md` (the model card). If its codec is "pixel", `vae.safetensors` holds
the latents' statistics and nothing else.

A folder in which diffusers saved a pipeline stands for a checkpoint, too: it is listed here, and read by `pretrained`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.errors import UserError
from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.unet import Denoiser, UNet
from ddpm_core.networks.vae import VAE

CONFIG = "config.json"
VAE_WEIGHTS, DENOISER_WEIGHTS, GUIDE_WEIGHTS = "vae.safetensors", "denoiser.safetensors", "guide.safetensors"
CARD = "README.md"
SAID_AROUND = re.compile(
    r"^Error while serializing: (I/O error: )?| \(os error \d+\)$"
)  # by safetensors, of the reason
FINISHED = "finished"  # in the metadata of weights
PARTIAL = ".{}.partial"  # the folder in which a file is made before it is put in place
PIPELINE = "model_index.json"  # what diffusers calls the list of a pipeline's parts
PIPELINE_FILES = (PIPELINE, "unet/config.json", "scheduler/scheduler_config.json")
CODECS: dict[str, type[Codec]] = {"vae": VAE, "pixel": PixelCodec}

Framing = Literal["any", "face"]
Network = TypeVar("Network", bound=nn.Module)
Part = TypeVar("Part")


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message is one sentence that names the file."""


@dataclass(frozen=True)
class Parts:
    """What a checkpoint folder holds, loaded: the attributes of `pipeline.LatentDiffusion` but for its name.

    Attributes:
        limit: how far from 0 the clean latents it believes in may lie (`guidance.clipped`); None for any distance.
        framing: "face" if its training pictures show one face each, as `images.faces.find_faces` finds them in photos.
    """

    codec: Codec
    denoiser: Denoiser
    diffuser: Diffuser
    size: int
    about: str = ""
    guide: Denoiser | None = None
    guidance: float = 1.0
    classes: tuple[str, ...] = ()
    limit: float | None = None
    framing: Framing = "any"


class CheckpointConfig(BaseModel):
    """What `config.json` says: how to build the parts, and on what they were trained."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(gt=0)  # pixels, the side of the training pictures
    codec: Literal["vae", "pixel"] = "vae"  # which of CODECS
    vae: dict[str, Any] = {}  # constructor arguments of the codec
    denoiser: dict[str, Any] = {}  # of UNet
    guide: dict[str, Any] = {}  # of the UNet that guides it, if there is one (`guidance.autoguidance`)
    guidance: float = Field(1.0, ge=0, le=10)  # how far it is steered away from its guide
    diffuser: dict[str, Any] = {}  # of Diffuser
    classes: list[str] = []  # their names, by number; empty if it was trained without
    framing: Framing = "any"  # what the training pictures show
    about: str = ""  # licence and source of the training data, one line, shown under the app
    training: dict[str, Any] = {}  # the resolved settings of each stage's run


class UnwritableError(UserError, OSError):
    """A file that cannot be written; the message is one sentence that names it and says why.

    What to do is the caller's to say; `strerror` is the system's reason alone.
    """

    def __init__(self, sentence: str, reason: str):
        super().__init__(sentence)
        self.strerror = reason


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Where what is done inside to write `path` fails, say so in a sentence.

    Raises:
        UnwritableError: the disk is full, the folder takes no files, and the like.
    """
    try:
        yield
    except UnwritableError:
        raise
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk in an error of its own
        reason = getattr(error, "strerror", None) or SAID_AROUND.sub("", str(error))
        raise UnwritableError(f"{path} cannot be written ({reason}).", reason) from None


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a file, then put it in place at once: readers never meet half a file.

    The file is made in a hidden folder beside its place, so that whatever a kill leaves of it lies there
    (`forget_partials`): libraries write through temporary files of their own.

    Raises:
        UnwritableError: it could not be written; what was there before is untouched.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = path.with_name(PARTIAL.format(path.name))
        forget(room)
        room.mkdir()
        try:
            partial = room / path.name
            partial.touch()
            mode = partial.stat().st_mode  # what the user's umask makes of a new file; safetensors' are private
            write(partial)
            with suppress(OSError):  # where files have no such thing
                partial.chmod(mode)
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            forget(room)


def forget(room: Path) -> None:
    """Remove what an interrupted write left."""
    if room.is_dir() and not room.is_symlink():
        shutil.rmtree(room, ignore_errors=True)
    else:
        room.unlink(missing_ok=True)


def forget_partials(folder: Path) -> None:
    """Remove what interrupted writes left in a folder that nobody else writes to now."""
    for room in folder.glob(PARTIAL.format("*")):
        forget(room)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write named tensors as one safetensors file, atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda partial: save_file(contiguous, partial, metadata=metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file and its metadata.

    Raises:
        CheckpointError: the file is missing or not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the checkpoint is incomplete.") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a safetensors file ({error}); get it again.") from None


def write_config(folder: Path, config: CheckpointConfig) -> None:
    """Write `config.json` into a checkpoint folder, atomically."""
    text = json.dumps(config.model_dump(mode="json"), indent=2) + "\n"
    write_atomically(folder / CONFIG, lambda partial: partial.write_text(text, encoding="utf-8"))


def read_config(folder: Path) -> CheckpointConfig:
    """Read `config.json` of a checkpoint folder.

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
    """Write a model's weights: matrices and kernels in half precision, vectors (norms, biases, statistics) in full.

    Args:
        finished: how many steps they took to train, if they are what the run was to end with; see `finished_after`.
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


def build(part: type[Part], arguments: dict[str, Any], folder: Path) -> Part:
    """Construct a part from its section of `config.json`.

    Raises:
        CheckpointError: the arguments do not suit this version's constructor.
    """
    try:
        return part(**arguments)
    except (TypeError, ValueError, LookupError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{Path(folder) / CONFIG} does not describe a {part.__name__}: {error}.") from None


def read_weights(path: Path, model: Network, device: str | torch.device = "cpu") -> Network:
    """Fill a model with the weights in a file; returns it in fp32 on `device`, set to evaluate, laid out channels-last.

    Raises:
        CheckpointError: the file is missing, damaged, or holds the weights of a differently built model.
    """
    tensors, _ = read_tensors(path)
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} does not match {path.with_name(CONFIG)}: {reason}.") from None
    return placed(model, device).eval().requires_grad_(False)


def load_vae(folder: Path, device: str | torch.device = "cpu") -> VAE:
    """The VAE of a checkpoint folder. Raises `CheckpointError`."""
    return read_weights(Path(folder) / VAE_WEIGHTS, build(VAE, read_config(folder).vae, folder), device)


def load_codec(folder: Path, device: str | torch.device = "cpu") -> Codec:
    """The codec of a checkpoint folder, whichever it is. Raises `CheckpointError`."""
    config = read_config(folder)
    return read_weights(Path(folder) / VAE_WEIGHTS, build(CODECS[config.codec], config.vae, folder), device)


def load_denoiser(folder: Path, device: str | torch.device = "cpu") -> UNet:
    """The UNet of a checkpoint folder. Raises `CheckpointError`."""
    return read_weights(Path(folder) / DENOISER_WEIGHTS, build(UNet, read_config(folder).denoiser, folder), device)


def load_guide(folder: Path, device: str | torch.device = "cpu") -> UNet | None:
    """The weaker UNet that guides a checkpoint's denoiser; None if it has none. Raises `CheckpointError`."""
    shape = read_config(folder).guide
    return read_weights(Path(folder) / GUIDE_WEIGHTS, build(UNet, shape, folder), device) if shape else None


def load_diffuser(folder: Path) -> Diffuser:
    """The noise schedule of a checkpoint folder. Raises `CheckpointError`."""
    return build(Diffuser, read_config(folder).diffuser, folder)


def load_parts(folder: Path, device: str | torch.device = "cpu") -> Parts:
    """All parts of a checkpoint folder. Raises `CheckpointError`, also if they do not fit each other."""
    config = read_config(folder)
    codec, denoiser = load_codec(folder, device), load_denoiser(folder, device)
    guide, diffuser = load_guide(folder, device), load_diffuser(folder)
    channels = {part.latent_channels for part in (codec, denoiser, guide) if part is not None}
    if len(channels) > 1 or config.size % codec.stride or denoiser.classes != len(config.classes):
        raise CheckpointError(f"{folder / CONFIG} is inconsistent: its parts do not fit each other.")
    guided, classes, framing = (guide, config.guidance), tuple(config.classes), config.framing
    return Parts(codec, denoiser, diffuser, config.size, config.about, *guided, classes, framing=framing)


def is_pipeline(folder: Path) -> bool:
    """Whether diffusers saved a pipeline there, so that `pretrained.load_parts` reads it, and not `load_parts`."""
    return (Path(folder) / PIPELINE).is_file()


def files(folder: Path) -> list[Path]:
    """The files without which a checkpoint folder is not complete, whoever wrote it."""
    folder = Path(folder)
    if is_pipeline(folder):
        return [*(folder / part for part in PIPELINE_FILES), *sorted(folder.glob("*/*.safetensors"))]
    return [folder / part for part in (CONFIG, VAE_WEIGHTS, DENOISER_WEIGHTS)]


def training_of(folder: Path) -> dict[str, Any]:
    """The settings of the runs that made a checkpoint, by stage; empty if it does not say. Raises `CheckpointError`."""
    return {} if is_pipeline(folder) else read_config(folder).training


def list_checkpoints(root: Path) -> list[str]:
    """Names of the complete checkpoints in a folder of checkpoints, sorted."""
    if not Path(root).is_dir():
        return []
    return sorted(folder.name for folder in Path(root).iterdir() if all(file.is_file() for file in files(folder)))

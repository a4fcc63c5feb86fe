"""What the tests share: a tiny checkpoint, a folder of small pictures, networks that are not the zero function."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from ddpm_core import cli as options
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import LEVEL, CheckpointConfig
from ddpm_core.commands import train
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.record import plots
from tests.command_lines import Outcome
from tests.kinds import (  # noqa: F401 (hooks, and a fixture)
    pytest_itemcollected,
    pytest_runtest_protocol,
    unit_tests_start_nothing,
    watch,
)
from tests.runs import leave_undrawn, write_pictures
from tests.spreading import (  # noqa: F401 (hooks)
    pytest_collection_modifyitems,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)

SIZE = 32
VAE_SHAPE = {"latent_channels": 4, "channels": (16, 32), "encoder_blocks": 1, "decoder_blocks": 1, "full_width": 8}
UNET_SHAPE = {"latent_channels": 4, "channels": (32, 64), "blocks": 1}
CLASSES = ["1", "ant", "bee"]  # the first has another one's number for a name
WORDS = ["ant", "blue", "red", "skin"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # diffusers is here for its schedulers; nothing is to be fetched


def shake(model: nn.Module, seed: int = 0, scale: float = 0.1) -> nn.Module:
    """The model with noise added to every parameter, so that nothing is left at zero, or the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors are tiny here: a second thread costs more than it brings, also in what tests start beside each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ:
            patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the project keeps for a user, the tests and the processes they start keep for themselves.

    Playwright's browsers and matplotlib's list of fonts stay where they are: making those takes long.
    """
    before = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in (("PLAYWRIGHT_BROWSERS_PATH", "ms-playwright"), ("MPLCONFIGDIR", "matplotlib")):
            if name not in os.environ and (before / folder).is_dir():
                patch.setenv(name, str(before / folder))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """What runs in the background or under nohup is told to ignore some signals, and would hand that down."""
    usual = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    known = {getattr(signal, name): handler for name, handler in usual.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in known.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def plots_not_drawn() -> Iterator[None]:
    """Runs of this process write plots as empty files, but for tests with `drawn`; commands of their own draw them."""
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch)
        yield


@pytest.fixture(scope="module")
def drawn(plots_not_drawn: None) -> Iterator[None]:
    """Runs draw their plots, as they do for people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "Figure", Figure)
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shaken() -> Callable[..., nn.Module]:
    """`shake`, for the tests to use."""
    return shake


def write_tiny_checkpoint(folder: Path) -> Path:
    """A complete checkpoint of tiny random networks for pictures of 32 pixels."""
    torch.manual_seed(1)
    vae, unet = shake(VAE(**VAE_SHAPE), seed=1), shake(UNet(**UNET_SHAPE), seed=2)
    vae.measure_latents(vae.moments(torch.rand(8, 3, SIZE, SIZE) * 2 - 1)[0].detach())
    config = CheckpointConfig(
        size=SIZE, vae=VAE_SHAPE, denoiser=UNET_SHAPE, diffuser=Diffuser().config(), about="Noise"
    )
    checkpoint.write_config(folder, config)
    checkpoint.write_weights(folder / checkpoint.CODEC_WEIGHTS, vae)
    checkpoint.write_weights(folder / checkpoint.DENOISER_WEIGHTS, unet)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder that tests only read."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def own_checkpoint(tmp_path: Path) -> Path:
    """A checkpoint folder that the test may spoil."""
    return write_tiny_checkpoint(tmp_path / "checkpoints" / "own")


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path) -> LatentDiffusion:
    """The tiny checkpoint, loaded."""
    return LatentDiffusion.load(tiny_checkpoint, "cpu")


def write_class_checkpoint(folder: Path) -> Path:
    """A complete checkpoint of a tiny random network with classes, for pictures of 32 pixels, which are its latents."""
    codec, shape = PixelCodec(4), UNET_SHAPE | {"latent_channels": 48, "classes": len(CLASSES)}
    torch.manual_seed(3)
    unet = shake(UNet(**shape), seed=3)
    codec.measure_latents(codec.means(torch.rand(8, 3, SIZE, SIZE) * 2 - 1))
    parts = {"codec": "pixel", "vae": {"stride": 4}, "denoiser": shape, "classes": CLASSES}
    checkpoint.write_config(folder, CheckpointConfig(size=SIZE, **parts))
    checkpoint.write_weights(folder / checkpoint.CODEC_WEIGHTS, codec)
    checkpoint.write_weights(folder / checkpoint.DENOISER_WEIGHTS, unet)
    return folder


def write_enlarging_checkpoint(folder: Path, **more: object) -> Path:
    """A complete checkpoint of a tiny random network that makes pictures of 16 pixels twice as large."""
    shape = UNET_SHAPE | {"latent_channels": 12, "conditioning_channels": 12 + LEVEL, "mixer": "none"}
    torch.manual_seed(5)
    codec, unet = PixelCodec(2), shake(UNet(**shape), seed=5)
    codec.measure_latents(codec.means(torch.rand(8, 3, SIZE, SIZE) * 2 - 1))
    parts = {"codec": "pixel", "vae": {"stride": 2}, "denoiser": shape, "conditioning": {"factor": 2, "noise": 0.2}}
    checkpoint.write_config(folder, CheckpointConfig(size=SIZE, **parts | more))
    checkpoint.write_weights(folder / checkpoint.CODEC_WEIGHTS, codec)
    checkpoint.write_weights(folder / checkpoint.DENOISER_WEIGHTS, unet)
    return folder


@pytest.fixture(scope="session")
def enlarging_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder whose denoiser enlarges pictures; tests only read it."""
    return write_enlarging_checkpoint(tmp_path_factory.mktemp("checkpoints") / "larger")


@pytest.fixture(scope="session")
def enlarging_model(enlarging_checkpoint: Path) -> LatentDiffusion:
    """The checkpoint that enlarges, loaded."""
    return LatentDiffusion.load(enlarging_checkpoint, "cpu")


def write_word_checkpoint(folder: Path, **more: object) -> Path:
    """A complete checkpoint of a tiny random network that reads captions, for pictures of 32 pixels, its latents."""
    codec, shape = PixelCodec(4), UNET_SHAPE | {"latent_channels": 48, "words": len(WORDS), "text_width": 32} | more
    torch.manual_seed(4)
    unet = shake(UNet(**shape), seed=4)
    codec.measure_latents(codec.means(torch.rand(8, 3, SIZE, SIZE) * 2 - 1))
    parts = {"codec": "pixel", "vae": {"stride": 4}, "denoiser": shape, "words": WORDS}
    parts |= {"prompts": ["red ant, blue skin"]}
    checkpoint.write_config(folder, CheckpointConfig(size=SIZE, **parts))
    checkpoint.write_weights(folder / checkpoint.CODEC_WEIGHTS, codec)
    checkpoint.write_weights(folder / checkpoint.DENOISER_WEIGHTS, unet)
    return folder


@pytest.fixture(scope="session")
def word_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with words that tests only read."""
    return write_word_checkpoint(tmp_path_factory.mktemp("checkpoints") / "wordy")


@pytest.fixture(scope="session")
def word_model(word_checkpoint: Path) -> LatentDiffusion:
    """The checkpoint with words, loaded."""
    return LatentDiffusion.load(word_checkpoint, "cpu")


@pytest.fixture(scope="session")
def class_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with classes and pixels for latents; tests only read it."""
    return write_class_checkpoint(tmp_path_factory.mktemp("checkpoints") / "insects")


@pytest.fixture(scope="session")
def class_model(class_checkpoint: Path) -> LatentDiffusion:
    """The checkpoint with classes, loaded."""
    return LatentDiffusion.load(class_checkpoint, "cpu")


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four small pictures of differing shapes: a smooth ramp, a disc, a little grain."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(24):
        height, width = (int(n) for n in draw.integers(36, 56, 2))
        y, x = np.mgrid[0:height, 0:width]
        ramp = np.stack([x * 255 / width, y * 255 / height, np.full_like(x, 10 * number)], axis=2)
        disc = (x - width * draw.random()) ** 2 + (y - height * draw.random()) ** 2 < (height / 4) ** 2
        ramp[disc] = draw.integers(0, 256, 3)
        pixels = (ramp + draw.normal(0, 4, ramp.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen very small pictures, for runs of a second (`tests.runs`)."""
    return write_pictures(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Run a command in this process, as `python -m` would; a second interpreter takes seconds to start."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(command: Callable, *arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            options.run(command)
        said = capsys.readouterr()
        if command is train.main and "Done: " in said.out:
            watch.started("a whole run of training")
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)

"""`python -m benchmarks.ablation`: mixers, widths, schedules or backbones at equal parameters and training time.

Example:
    python -m benchmarks.ablation --contest widths --data faces/synthetic --minutes 8 --out widths

Denoisers are trained on one autoencoder's latents, in turns of a few seconds, so that whatever else the machine does
falls on all alike, and written to OUT as checkpoints. The coarsest level makes up for parameters. A fourth mixer is the
first, never shown clean cells beside noisy ones: `benchmarks.constraints` compares how both inpaint. Widths are those
of the finer levels, which take most of the time.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.matching import as_large_as, parameters
from benchmarks.results import Result, report
from ddpm_core.checkpoints import native as checkpoints
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.errors import UserError
from ddpm_core.evaluation.distances import distances_to_training
from ddpm_core.evaluation.samples import sample
from ddpm_core.networks.layers import placed
from ddpm_core.networks.tables import BACKBONES
from ddpm_core.networks.unet import Denoiser
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.loop import Trainer, TrainStep, batch_index
from ddpm_core.training.losses import denoiser_loss, loss_by_decile
from ddpm_core.training.settings import DenoiserSettings
from ddpm_core.training.shards import MicroBatch

WIDER_BY = 16  # channels; from there on, the coarsest level is widened until the parameters are equal


class Contest(NamedTuple):
    """What all contestants share, and what each has of its own."""

    shape: dict[str, Any]
    batch_size: int
    contestants: dict[str, dict[str, Any]]


CONTESTS = {
    "mixers": Contest(
        {"channels": (64, 128, 192), "blocks": 2, "dropout": 0.05},
        16,
        {
            "serpentine": {},
            "attention": {"mixer": "attention"},
            "none": {"mixer": "none"},
            "serpentine, never clamped": {"clamp_share": 0.0},
        },
    ),
    "widths": Contest(
        {"channels": (128, 256, 384), "blocks": 2, "dropout": 0.05},
        32,
        {
            "128, 256 fine": {},
            "64, 192 fine": {"channels": (64, 192, WIDER_BY)},
            "64, 128 fine": {"channels": (64, 128, WIDER_BY)},
        },
    ),
    # Losses of different outputs and schedules do not compare; distances do.
    "schedules": Contest(
        {"channels": (64, 128, 192), "blocks": 2, "dropout": 0.05},
        16,
        {
            f"{schedule}, {prediction}": {"schedule": schedule, "prediction": prediction}
            for schedule in ("linear", "cosine", "quadratic", "sigmoid", "flow")
            for prediction in ("eps", "v")
        },
    ),
    "backbones": Contest(
        {"dropout": 0.05},
        16,
        {
            "UNet, serpentine": {"channels": (64, 128, 192), "blocks": 2},
            "DiT, attention": {"backbone": "dit", "channels": (WIDER_BY,), "blocks": 8, "mixer": "attention"},
            "DiT, serpentine": {"backbone": "dit", "channels": (WIDER_BY,), "blocks": 8, "mixer": "serpentine"},
        },
    ),
}
TURN = 5.0  # seconds
TRIAL = 6  # steps to find out how long one takes


@dataclass
class Contestant:
    """A denoiser in training and the seconds it has used."""

    shape: dict[str, Any]
    diffuser: Diffuser
    trainer: Trainer
    steps: Iterator[TrainStep]
    used: float = 0.0
    step_seconds: list[float] = field(default_factory=list)

    def take_turn(self, duration: float) -> bool:
        """Train for `duration` seconds; whether there is anything left to do."""
        end = time.perf_counter() + duration
        while (start := time.perf_counter()) < end:
            if next(self.steps, None) is None:
                return False
            self.step_seconds.append(time.perf_counter() - start)
            self.used += self.step_seconds[-1]
        return True


def main(
    data: Annotated[Path, typer.Option(help="folder of pictures")],
    out: Annotated[Path, typer.Option(help="folder for the trained checkpoints")],
    contest: Annotated[str, typer.Option(help=f"what differs: {' or '.join(CONTESTS)}")] = "mixers",
    checkpoint: Annotated[Path, typer.Option(help="checkpoint whose autoencoder is used")] = Path(
        "checkpoints/faces-128"
    ),
    minutes: Annotated[float, typer.Option(help="training time of each")] = 4.0,
    samples: Annotated[int, typer.Option(min=1, help="pictures to make of each")] = 266,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Train all, print parameters, rate, held-out loss and sliced Wasserstein distance as a table."""
    with in_one_sentence():
        if contest not in CONTESTS:
            raise UserError(f"there is no contest {contest!r}; choose from: {', '.join(CONTESTS)}.")
        codec, config = checkpoints.load_vae(checkpoint), checkpoints.read_config(checkpoint)
        files = find_pictures(data)
        training, held_out = (load_pictures(files[split] or files["train"], config.size) for split in ("train", "val"))
        contestants = trained(CONTESTS[contest], codec, training, minutes * 60)
        latents, results = encode(codec, held_out), []
        for name, contestant in contestants.items():
            unet: Denoiser = contestant.trainer.ema.module.eval()  # type: ignore[assignment]
            folder = out / name.replace(", ", "-").replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkpoint / checkpoints.CODEC_WEIGHTS, folder / checkpoints.CODEC_WEIGHTS)
            checkpoints.write_weights(folder / checkpoints.DENOISER_WEIGHTS, unet)
            backbone, arguments = contestant.shape.get("backbone", "unet"), without(contestant.shape, "backbone")
            updates = {
                "backbone": backbone,
                "denoiser": arguments,
                "guide": {},
                "diffuser": contestant.diffuser.config(),
                "classes": [],
            }
            checkpoints.write_config(folder, config.model_copy(update=updates))
            generated = sample(LatentDiffusion(codec, unet, contestant.diffuser, config.size), samples)
            results += judged(name, contestant, latents, distances_to_training(training, generated, held_out))
    report(results, json_file)


def trained(contest: Contest, codec: VAE, pictures: PictureSet, seconds: float) -> dict[str, Contestant]:
    """All contestants, each trained in turns for as many steps as fit into its `seconds`."""
    latents = torch.cat([encode(codec, pictures), encode(codec, pictures, flip=True)])
    goal, contestants = 0, {}
    for name, changes in contest.contestants.items():
        shape = contest.shape | {"latent_channels": codec.latent_channels} | without(changes, "clamp_share", "schedule")
        goal = goal or parameters(network(shape))
        shape = wide_enough(goal, shape)
        learning = without(changes, "mixer", "channels", "backbone", "blocks")
        settings = DenoiserSettings(iterations=10**6, batch_size=contest.batch_size, **learning)

        diffuser = Diffuser(schedule=settings.schedule)

        def loss(
            model: Any, micro_batch: MicroBatch, settings: DenoiserSettings = settings, diffuser: Diffuser = diffuser
        ) -> dict[str, Tensor]:
            clean = latents[batch_index(micro_batch.number, settings.batch_size, len(latents), 0)]
            clean = clean.to(memory_format=torch.channels_last)
            return denoiser_loss(model, clean, diffuser, settings.timesteps, settings.clamp_share)

        def fresh(
            iterations: int,
            shape: Any = shape,
            settings: Any = settings,
            loss: Any = loss,
            diffuser: Diffuser = diffuser,
        ) -> Contestant:
            torch.manual_seed(0)
            model = placed(network(shape), "cpu")
            trainer = Trainer(model, settings.model_copy(update={"iterations": iterations}))
            return Contestant(shape, diffuser, trainer, trainer.train(loss))

        trial = fresh(TRIAL)
        trial.take_turn(float("inf"))
        rate = sorted(trial.step_seconds)[TRIAL // 2]
        contestants[name] = fresh(max(1, round(seconds / rate)))
    running = dict(contestants)
    with tqdm(total=round(seconds * len(contestants)), desc="training", unit="s", disable=None) as bar:
        for name in itertools.cycle(contest.contestants):
            if name in running and (running[name].used >= seconds or not running[name].take_turn(TURN)):
                del running[name]
            bar.update(round(sum(contestant.used for contestant in contestants.values())) - bar.n)
            if not running:
                return contestants
    raise AssertionError("unreachable")


def without(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in names}


def wide_enough(goal: int, shape: dict[str, Any]) -> dict[str, Any]:
    """The shape with its coarsest level as wide as brings the parameters nearest to `goal`."""

    def build(coarsest: int) -> Any:
        return network(shape | {"channels": (*shape["channels"][:-1], coarsest)})

    return shape | {"channels": as_large_as(goal, build, WIDER_BY).channels}


def network(shape: dict[str, Any]) -> Denoiser:
    """A new denoiser of a contestant's shape."""
    return BACKBONES[shape.get("backbone", "unet")](**without(shape, "backbone"))


@torch.inference_mode()
def encode(codec: VAE, pictures: PictureSet, flip: bool = False) -> Tensor:
    """Latents (N, C, h, w) of all pictures, or of their mirror images."""
    return torch.cat([codec.encode(image.flip(3) if flip else image) for image in pictures.batches(32)])


def judged(
    name: str, contestant: Contestant, held_out: Tensor, distances: tuple[list[float], list[float]]
) -> list[Result]:
    """The rows of one contestant."""
    losses = loss_by_decile(contestant.trainer.ema.module, held_out, contestant.diffuser)  # type: ignore[arg-type]
    ratio = [ours / floor for ours, floor in zip(*distances, strict=True)]
    step_seconds = sorted(contestant.step_seconds)
    return [
        Result(f"{name}: parameters", parameters(contestant.trainer.model)),
        Result(f"{name}: iterations", contestant.trainer.step),
        Result(f"{name}: seconds per iteration", step_seconds[len(step_seconds) // 2]),
        Result(f"{name}: training seconds", contestant.used),
        Result(f"{name}: held-out loss", sum(losses) / len(losses)),
        *(Result(f"{name}: swd / floor, level {level}", value) for level, value in enumerate(ratio)),
    ]


if __name__ == "__main__":
    run(main)

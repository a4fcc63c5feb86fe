"""`python -m benchmarks.locality`: how far one latent cell reaches, our decoder beside diffusers' AutoencoderKL.

Example:
    python -m benchmarks.locality --checkpoint checkpoints/faces-128 --data photos --json locality.json

Both have the same stride, latent channels and nearly as many parameters, and are measured on the same cells of held-out
pictures. AutoencoderKL has group norms throughout and attention in the middle. Its weights are random without
--train-steps: its radius is that of any weights, its 3x3 fraction is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from diffusers import AutoencoderKL
from torch import nn
from tqdm import tqdm

from benchmarks.matching import as_large_as, parameters
from benchmarks.results import Result, report
from ddpm_core.checkpoints import native as checkpoints
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.evaluation.metrics import Locality, locality
from ddpm_core.networks.layers import placed
from ddpm_core.networks.vae import VAE
from ddpm_core.training.loop import Trainer, batch_index
from ddpm_core.training.settings import VaeSettings
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.vae_loss import vae_loss

GROUPS = 8  # of its group norms; its own 32 would leave too few widths to match the parameters with
WIDEST = 4  # its widths, in multiples of the first: 1, 2, 4, 4
BATCH, PICTURES = 4, 16


def main(
    data: Annotated[Path, typer.Option(help="folder of pictures; the held-out share is measured")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    train_steps: Annotated[int, typer.Option(min=0, help="steps to train AutoencoderKL on the rest first")] = 0,
    cells: Annotated[int, typer.Option(min=1, help="latent cells to move")] = 16,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print size and locality of both decoders as a table."""
    with in_one_sentence():
        ours, size = checkpoints.load_vae(checkpoint), checkpoints.read_config(checkpoint).size
        files = find_pictures(data)
        paths = files["val"] or files["train"]
        held_out = load_pictures(paths[:: -(-len(paths) // PICTURES)], size)
        theirs = matched(ours)
        if train_steps:
            train(theirs, load_pictures(files["train"], size), train_steps)
        with torch.inference_mode():  # by its own latents' deviation cells are moved, as ours are by ours
            theirs.measure_latents(theirs.moments(held_out.batch(torch.arange(len(held_out))))[0])
    state = f"trained for {train_steps} steps" if train_steps else "random weights"
    typer.echo(f"ours: the decoder of {checkpoint}; AutoencoderKL: diffusers', {state}")
    report(compare(ours, theirs, held_out, cells, judge_fraction=train_steps > 0), json_file)


def compare(ours: VAE, theirs: VAE, pictures: PictureSet, cells: int, judge_fraction: bool) -> list[Result]:
    """Parameters, radius and 3x3 fraction of both decoders.

    Args:
        cells: how many latent cells to move.
        judge_fraction: whether theirs is worth judging ours against.
    """
    us, them = measure(ours, pictures, cells), measure(theirs, pictures, cells)
    nearer, fraction_target = f"< {them.radius}", f"> {them.within_3x3:.4g}"
    within = Result("ours: share of the change within 3x3 cells", us.within_3x3)
    if judge_fraction:
        within.target, within.ok = fraction_target, us.within_3x3 > them.within_3x3
    return [
        Result("ours: decoder parameters", parameters(ours.decoder)),
        Result("AutoencoderKL: decoder parameters", parameters(theirs.decoder)),
        Result("ours: farthest changed pixel", us.radius, nearer, us.radius < them.radius),
        Result("AutoencoderKL: farthest changed pixel", them.radius),
        within,
        Result("AutoencoderKL: share of the change within 3x3 cells", them.within_3x3),
    ]


@torch.inference_mode()
def measure(codec: VAE, pictures: PictureSet, cells: int) -> Locality:
    """Locality on latents of pictures."""
    return locality(codec, codec.encode(pictures.batch(torch.arange(len(pictures)))), cells)


def matched(ours: VAE) -> VAE:
    """A codec like `ours` around a new AutoencoderKL whose decoder has nearly as many parameters.

    The arithmetic of latents (posterior mean, statistics) is `VAE`'s for both.
    """
    network = autoencoder(ours)
    codec = VAE(ours.latent_channels, [8] * (ours.stride.bit_length() - 1))
    codec.encoder = nn.Sequential(network.encoder, network.quant_conv)  # type: ignore[assignment]
    codec.decoder = decoding(network)  # type: ignore[assignment]
    return placed(codec, "cpu").eval()


def autoencoder(ours: VAE) -> Any:
    """An AutoencoderKL of the stride and latent channels of `ours`, its decoder nearly as large."""
    levels = ours.stride.bit_length()

    def build(width: int) -> Any:
        torch.manual_seed(0)
        return AutoencoderKL(
            latent_channels=ours.latent_channels,
            block_out_channels=[min(2**level, WIDEST) * width for level in range(levels)],
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            norm_num_groups=GROUPS,
        )

    return as_large_as(parameters(ours.decoder), build, GROUPS, lambda network: parameters(decoding(network)))


def decoding(network: Any) -> nn.Sequential:
    """What of an AutoencoderKL makes a picture of a latent."""
    return nn.Sequential(network.post_quant_conv, network.decoder)


def train(codec: VAE, pictures: PictureSet, steps: int) -> None:
    """Train as our own autoencoder is, by default settings; weights of the moving average."""
    settings = VaeSettings(iterations=steps, batch_size=BATCH)

    def loss(model: nn.Module, micro_batch: MicroBatch) -> dict[str, torch.Tensor]:
        image = pictures.batch(batch_index(micro_batch.number, BATCH, len(pictures), seed=0))
        return vae_loss(model, image.to(memory_format=torch.channels_last), **settings.weights)  # type: ignore[arg-type]

    trainer = Trainer(codec, settings)
    for _ in tqdm(trainer.train(loss), total=steps, desc="training AutoencoderKL", unit="step", disable=None):
        pass
    codec.load_state_dict(trainer.ema.module.state_dict())
    codec.eval()


if __name__ == "__main__":
    run(main)

"""`python -m docs.words`: the README's picture of prompts, docs/images/words.png, made by the shipped avatars."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.cli import run
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from docs.gallery import IMAGES, sheet

PROMPTS = (
    "big smile: turquoise braids, tan skin, teeth smile mouth, lavender background",
    "micah: turquoise mohawk, light skin, smile mouth, yellow open shirt, lavender background",
    "personas: orange curly, brown skin, sunglasses, big smile mouth, green shirt, peach background",
    "toon head: auburn spiky long straight, tan skin, happy eyes, smile mouth, blue dress, pink background",
    "open peeps: black afro, light skin, smile mouth, red shirt, light blue background",
)
EACH = 8  # consecutive seeds


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/avatars"),
) -> None:
    """Make the picture anew: a row for each prompt, unselected."""
    model = LatentDiffusion.load(checkpoint)
    sheet([made(model, prompt) for prompt in PROMPTS]).save(IMAGES / "words.png")


def made(model: LatentDiffusion, prompt: str) -> list:
    """Pictures of a prompt from the first seeds."""
    return model.pictures(last(model.generate(model.request(GenerateRequest, prompt=prompt, count=EACH))).latent)


if __name__ == "__main__":
    run(main)

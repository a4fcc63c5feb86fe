"""`python -m ddpm_core.guide`: steer a checkpoint away from the mistakes of a weaker one (autoguidance).

Example:
    python -m ddpm_core.guide checkpoints/mine checkpoints/weak --scale 1.5
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.checkpoints.guide import put_guide
from ddpm_core.cli import in_one_sentence, run, say
from ddpm_core.errors import UserError


def main(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint folder to guide")],
    weaker: Annotated[Path, typer.Argument(help="checkpoint whose denoiser is smaller or less trained")],
    scale: Annotated[float, typer.Option(min=0, max=10, help="how far it is steered; 1 not at all")] = 1.5,
    first: Annotated[int | None, typer.Option(min=0, help="first timestep at which it is; all unless told")] = None,
    last: Annotated[int | None, typer.Option(min=0, help="last timestep at which it is")] = None,
    low_scale: Annotated[
        float | None, typer.Option(min=0, max=10, help="how far in low frequencies; as far as in others unless told")
    ] = None,
) -> None:
    """Make the denoiser of WEAKER the guide of CHECKPOINT, in whose folder it is put."""
    with in_one_sentence():
        if (first is None) != (last is None) or (first is not None and last is not None and first > last):
            raise UserError("an interval has a --first timestep and a --last, which is not below it.")
        put_guide(checkpoint, weaker, scale, None if first is None or last is None else (first, last), low_scale)
        say(f"{checkpoint} is guided by {weaker} now, at scale {scale:g}.")


def command() -> None:
    """The console script `ddpm-guide`."""
    run(main)


if __name__ == "__main__":
    command()

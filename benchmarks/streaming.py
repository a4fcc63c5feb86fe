"""`python -m benchmarks.streaming`: training on more pictures than memory is for.

Example:
    python -m benchmarks.streaming --pictures 20000 --json streaming.json

Memory is the largest resident size, mapped files included, of a training command on an archive of generated pictures:
decoding, some steps of a small autoencoder, all latents, some steps of a small denoiser. Throughput is that of training
steps of the preset `quick` with pictures and latents in files against the same in memory, in turns.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import typer
from PIL import Image

from benchmarks.results import Result, Unmeasured, report
from benchmarks.timing import ratio, turns
from ddpm_core.checkpoints import stored
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.training.loop import Trainer, TrainStep
from ddpm_core.training.pictures import read_pictures
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages.run import prepare

MOST_RESIDENT, THROUGHPUT = 2.0, 0.95  # GB; share of that in memory
SOME, REPEATS = 512, 15  # pictures to read from, and steps, when throughput is measured
ITERATIONS = 20
SMALL = ["--vae-channels", "16,16,16", "--vae-full-width", "8", "--vae-decoder-blocks", "1"]
SMALL += ["--denoiser-channels", "32,32", "--denoiser-blocks", "1", "--denoiser-mixer", "none"]
# Started by a process of next to nothing: a command's largest size counts from that of the one that started it.
WATCHED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def main(
    pictures: Annotated[int, typer.Option(min=20, help="to generate and train on")] = 200_000,
    size: Annotated[int, typer.Option(min=16, help="side of them, pixels; a multiple of 8")] = 128,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print how much memory training takes, and how fast it is against training from memory.

    At full length it takes 13 GB in the folder for temporary files (TMPDIR).
    """
    with in_one_sentence():
        report([*throughput(size), *memory(pictures, size)], json_file)


def memory(pictures: int, size: int) -> list[Result]:
    """The training command's largest resident size. Raises `Unmeasured` if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "data.zip"), Path(folder, "run")
        generate(data, pictures, size)
        flags = ["--preset", "tiny", "--size", str(size), "--iterations", str(ITERATIONS), "--no-flips", *SMALL]
        start = time.monotonic()
        used = resident([sys.executable, "-m", "ddpm_core.train", "--data", str(data), "--out", str(out), *flags])
        minutes = (time.monotonic() - start) / 60
    named = f"streaming: {pictures:,} pictures of {size} pixels"
    return [
        Result.at_most(f"{named}, resident, GB", used / 1e9, MOST_RESIDENT),
        Result(f"{named}, decoded, GB", pictures * 3 * size**2 / 1e9),
        Result(f"{named}, from start to end, minutes", minutes),
    ]


def resident(command: list[str]) -> int:
    """The largest resident size of a command, bytes. Raises `Unmeasured` if it fails."""
    watched = subprocess.run([sys.executable, "-c", WATCHED, *command], capture_output=True, text=True)
    if watched.returncode:
        raise Unmeasured(f"the training command failed: {watched.stderr[-300:].strip()}")
    return int(watched.stdout) * (1 if sys.platform == "darwin" else 1024)


def generate(archive: Path, count: int, size: int) -> None:
    """Write so many pictures, all different, as an archive of JPEGs."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    blurred = [Image.fromarray(each).resize((size, size), Image.Resampling.BICUBIC) for each in noise]
    with zipfile.ZipFile(archive, "w") as file:  # a JPEG is packed already
        for number in range(count):
            picture = blurred[number % 64].transpose(Image.Transpose(number // 64 % 7))
            level = number // (64 * 7) % 256
            shade = Image.new("RGB", picture.size, (level, 255 - level, level // 2))
            buffer = io.BytesIO()
            Image.blend(picture, shade, 0.3).save(buffer, "JPEG", quality=90)
            file.writestr(f"{number:07d}.jpg", buffer.getvalue())


class Contestants(NamedTuple):
    """A training step of a stage with its data in memory, and in files."""

    memory: Callable[[], TrainStep]
    files: Callable[[], TrainStep]


def throughput(size: int, repeats: int = REPEATS, some: int = SOME, preset: str = "quick") -> list[Result]:
    """For both stages, steps a second from files against those from memory."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.zip")
        generate(data, some, size)
        for stage, each in contestants(data, Path(folder), size, preset):
            taken = turns({"memory": each.memory, "files": each.files}, repeats)
            times = ratio(taken["memory"], taken["files"])
            results.append(Result.at_least(f"streaming: {stage}, steps from files / from memory", times, THROUGHPUT))
    return results


def contestants(data: Path, folder: Path, size: int, preset: str) -> Iterator[tuple[str, Contestants]]:
    """The stages of a preset, each in both forms."""
    for name in ("vae", "denoiser"):
        steps: dict[str, Any] = {}
        for where, limit in (("memory", 2**62), ("files", 0)):
            values: dict[str, Any] = {**PRESETS[preset], "size": size, "data": data, "out": folder / where}
            request = TrainRequest.model_validate(values)
            with patch.object(stored, "IN_MEMORY", limit):
                stage = prepare(name, request, read_pictures(request))  # type: ignore[arg-type]
                steps[where] = Trainer(stage.model, getattr(request, name), loss_state=stage.loss_state).train(
                    stage.loss
                )
                if name == "vae":
                    stage.export(stage.model, finished=None)  # the denoiser's codec
        yield name, Contestants(steps["memory"].__next__, steps["files"].__next__)


if __name__ == "__main__":
    run(main)

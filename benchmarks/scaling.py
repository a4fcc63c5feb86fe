"""`python -m benchmarks.scaling`: what two processes that share every batch gain over one, and what more would.

Example:
    python -m benchmarks.scaling --step-seconds 0.05 --gigabits 100 --gigabits 400

Measured: the denoiser's training step on random latents, by one process and by two, a thread each, in turns. Efficiency
is the speed of two over twice that of one, for the same batch.

Projected: N machines with a ring all-reduce, which sends 2(N-1)/N times the gradients, 4 bytes per parameter, through
every link (Patarasuk & Yuan 2009), at its full rate and after the backward pass. 1/N of a batch lasts 1/N of a step,
without stragglers or latency. For GPUs, give the seconds of a step there.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import multiprocessing

from benchmarks.results import Result, report
from benchmarks.subject import new_denoiser, settings_of, training_steps
from benchmarks.timing import medians
from ddpm_core.cli import fail, run
from ddpm_core.training.distributed import ALONE, World, process_group
from ddpm_core.training.presets import PRESETS

CELLS = 16  # side of the latents of 128-pixel pictures
BYTES = 4  # of one parameter's gradient
MACHINES, GIGABITS = (2, 8), (10.0, 100.0)
ENOUGH = 0.7  # of twice one process's speed: the two share the memory's bandwidth, and nothing else should cost


def main(
    preset: Annotated[str, typer.Option(help="row of training/presets.py whose denoiser is trained")] = "faces",
    repeats: Annotated[int, typer.Option(min=1, help="steps timed of each")] = 5,
    step_seconds: Annotated[
        float | None, typer.Option(min=0, help="project from this time of a step on one machine instead of measuring")
    ] = None,
    machines: Annotated[list[int] | None, typer.Option(min=2, help="numbers of machines to project to")] = None,
    gigabits: Annotated[list[float] | None, typer.Option(min=0.001, help="speeds of the links, Gbit/s")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print the scaling efficiency of two processes here and the projected one of more machines."""
    if preset not in PRESETS:
        fail(f"there is no preset {preset!r}; choose from: {', '.join(PRESETS)}.")
    to = machines or MACHINES, gigabits or GIGABITS
    if step_seconds is None:
        report(measure(preset, repeats, *to), json_file)
    else:
        report(projections(step_seconds, gradient_bytes(preset), *to), json_file)


def measure(
    preset: str = "faces",
    repeats: int = 5,
    machines: Sequence[int] = MACHINES,
    gigabits: Sequence[float] = GIGABITS,
) -> list[Result]:
    """Efficiency of two processes, seconds per step, and the projection from them."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        answer = Path(folder) / "seconds.json"
        multiprocessing.spawn(take_turns, (port, preset, repeats, answer), nprocs=2)
        seconds = json.loads(answer.read_text(encoding="utf-8"))
    efficiency = seconds["alone"] / (2 * seconds["together"])
    return [
        Result.at_least("scaling, efficiency of 2 processes on this machine", efficiency, ENOUGH),
        Result("scaling, step of 1 process of 1 thread, s", seconds["alone"]),
        Result("scaling, step of 2 processes of 1 thread, s", seconds["together"]),
        *projections(seconds["alone"], gradient_bytes(preset), machines, gigabits),
    ]


def take_turns(rank: int, port: int, preset: str, repeats: int, answer: Path) -> None:
    """One of two processes: a step by the first alone, a step by both, and again; the first writes the medians."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    world = World(rank, 2)
    with process_group(world, torch.device("cpu")):
        single, parallel = (training_steps(preset, settings_of(preset), CELLS, world=each) for each in (ALONE, world))

        def alone() -> None:
            if world.is_main:
                next(single)
            world.barrier()  # the second waits, off the processor

        seconds = medians({"alone": alone, "together": lambda: next(parallel)}, repeats)
    if world.is_main:
        answer.write_text(json.dumps(seconds), encoding="utf-8")


def gradient_bytes(preset: str) -> int:
    """What every process sends of itself in a step."""
    return BYTES * sum(parameter.numel() for parameter in new_denoiser(preset, settings_of(preset)).parameters())


def projections(step: float, gradients: int, machines: Sequence[int], gigabits: Sequence[float]) -> list[Result]:
    """Efficiency by number of machines and speed of the link: see the module's assumptions.

    Args:
        step: seconds of one machine's step on the whole batch.
        gradients: bytes that are averaged.
    """
    results = [Result("scaling, gradients averaged per step, MB", gradients / 1e6)]
    for count in machines:
        for gigabit in gigabits:
            sending = 2 * (count - 1) / count * gradients * 8 / (gigabit * 1e9)
            named = f"scaling, projected, {count} machines, {gigabit:g} Gbit/s"
            results.append(Result(f"{named}, one batch shared", step / count / (step / count + sending)))
            results.append(Result(f"{named}, a batch each", step / (step + sending)))
    return results


if __name__ == "__main__":
    run(main)

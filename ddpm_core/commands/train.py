"""`python -m ddpm_core.train`: train a checkpoint on a folder of pictures.

Example:
    python -m ddpm_core.train --data photos --out checkpoints/mine --preset quick
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from typing import Annotated, Any

import typer
from tqdm import tqdm

from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.cli import fail, in_one_sentence, merge, run, say, takes
from ddpm_core.errors import lookup
from ddpm_core.machine import keep_freed_memory, let_others_go_first, pick_device, use_threads
from ddpm_core.training.distributed import World, launched, process_group
from ddpm_core.training.dry_run import dry_run_report
from ddpm_core.training.initialization import shapes_of, start_of
from ddpm_core.training.interruption import Interruption, Stop, how_to_go_on, stop_on_signals
from ddpm_core.training.memory_budget import full_memory_in_one_sentence
from ddpm_core.training.output_folder import claimed
from ddpm_core.training.pictures import Pictures, introduced, name_in, read_pictures, skipped_file
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.record.progress import StageBar
from ddpm_core.training.settings import GROUPS, STAGES, StageName, TrainRequest
from ddpm_core.training.stages.run import free_place, run_stage


@takes(TrainRequest, groups=GROUPS)
def main(
    given: dict[str, Any],
    preset: Annotated[str, typer.Option(help=f"row of the preset table to start from: {', '.join(PRESETS)}")] = "quick",
    iterations: Annotated[int | None, typer.Option(help="optimiser steps of each stage")] = None,
    batch_size: Annotated[int | None, typer.Option(help="pictures per step in each stage")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what memory and time it would take, and stop")
    ] = False,
) -> None:
    """Train autoencoder and denoiser, one after the other, on a folder of pictures; or a classifier or guide for them.

    Writes a checkpoint that the app lists as soon as it is complete, with a model card, and in its training/ folder
    the resolved settings, a log as JSONL and as TensorBoard events, sample grids, plots and what --resume needs.
    Started by torchrun, several processes share every batch: the batch size is that of all of them together. A batch
    too large for the memory is computed in chunks, with the same result. All of it runs at low priority, so that the
    machine stays usable.
    """
    keep_freed_memory()
    world = launched()
    for_both_stages = {"iterations": iterations, "batch_size": batch_size}
    both = {name: value for name, value in for_both_stages.items() if value is not None}
    watch = partial(tqdm, desc="reading pictures", unit="", leave=False, disable=not world.is_main)
    stop = Stop(waits=world.size > 1)  # several have to end after the same step
    with in_one_sentence(), full_memory_in_one_sentence():
        start = start_of(given)
        base = shapes_of(start) if start else {}
        row = lookup(PRESETS, "preset", preset)
        request = TrainRequest.model_validate(merge(row, base, dict.fromkeys(STAGES, both), given))
        use_threads(request.threads)
        if dry_run:
            if world.size > 1:
                fail("--dry-run tries out a single process; start it without torchrun.")
            for line in dry_run_report(request):
                typer.echo(line)
            return
        for stage in request.stages:
            world.rows(getattr(request, stage).batch_size)  # said before hours of training, not after
        done, outcome = False, f"what was learned is saved in {request.out}"
        try:
            with (
                claimed(request.out) if world.is_main else contextlib.nullcontext(),
                process_group(world, pick_device(request.device)),
                stop_on_signals(stop),
            ):
                for stage in request.stages:
                    free_place(stage, request)  # said before many pictures are read, not after
                pictures = read_pictures(request, watch, world, tqdm.write)
                if world.is_main:
                    introduce(request, pictures)
                done = all(show_stage(stage, request, pictures, world, stop) for stage in request.stages)
        except Interruption:
            outcome = "there was nothing new to save"
        except UnwritableError as error:
            todo = "make room or choose another --out, then go on with --resume"
            fail(f"{str(error)[:-1]}; what was saved before is whole: {todo}.")
    if world.is_main:
        say(f"Done: {request.out}" if done else f"Stopped; {outcome}. Go on with {same_command(world)}")


def same_command(world: World) -> str:
    """How to go on, in words or, where it is known, as a line for the shell."""
    if world.size > 1:
        return "the same torchrun command and --resume."
    return f"\n{how_to_go_on('ddpm_core.train', sys.argv[1:])}"


def introduce(request: TrainRequest, pictures: Pictures) -> None:
    if pictures.skipped:
        names = [name_in(request.data, source) for source, _ in pictures.skipped[:3]]
        names += ["..."] * (len(pictures.skipped) > 3)
        why = f"{skipped_file(request.out)} says why"
        typer.echo(f"Skipped {len(pictures.skipped)} files that cannot be used ({', '.join(names)}); {why}.")
    for line in introduced(pictures):
        typer.echo(line)


def show_stage(stage: StageName, request: TrainRequest, pictures: Pictures, world: World, stop: Stop) -> bool:
    """Run one stage behind a progress bar; False if `stop` was asked for before its end, and all is saved."""
    if world.any(stop.requested):
        return False
    settings = getattr(request, stage)
    stopped = False
    say = tqdm.write if world.is_main else lambda sentence: None
    with (
        contextlib.closing(run_stage(stage, request, pictures, world, say, stop.wait)) as updates,
        StageBar(stage, settings.iterations, pick_device(request.device), shown=world.is_main) as bar,
    ):
        for update in updates:
            bar.show(update.step, update.held_out)
            stopped = world.any(stop.requested) and update.step.step < settings.iterations
            if stopped:  # all after the same step, whichever was told
                break
    if stopped:
        world.barrier()  # the first has saved before any leaves
    stop.waits = world.size > 1
    return not stopped


def command() -> None:
    """The console script `ddpm-train`."""
    let_others_go_first()
    run(main)


if __name__ == "__main__":
    command()

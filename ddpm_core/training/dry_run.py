"""A training run tried out on made-up pictures: what memory and time it takes, by a few real steps of every stage."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints import stored
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import NoPictures, PictureSet, Skipped, load_pictures, memory_for
from ddpm_core.display.units import in_bytes, in_hours
from ddpm_core.images.files import Source
from ddpm_core.machine import load_average, pick_device
from ddpm_core.networks.codec import Codec
from ddpm_core.networks.text import vocabulary
from ddpm_core.training.loop import Trainer
from ddpm_core.training.memory_budget import Needs, divided, fit, needs_of
from ddpm_core.training.pictures import Pictures, introduction, name_in
from ddpm_core.training.resume import changes
from ddpm_core.training.settings import StageName, StageSettings, TrainRequest
from ddpm_core.training.stages.classifier import ClassifierStage
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.run import free_place, prepare
from ddpm_core.training.stages.stage import Stage
from ddpm_core.training.state import steps_taken
from ddpm_core.training.stored_pictures import file_for, refuse_without_room, views_of

MADE_UP = 8  # pictures; steps draw them over and over
PATIENCE = 10.0  # seconds for a stage, about; batches that would take longer are reckoned in proportion to smaller ones
GROWTH = 4  # from one batch tried to the next
LOOKED_AT = 16  # files of the data that are opened; more only while not one can be used
BUSY = 0.5  # of the CPUs, from which on other work is told of
REPEATS = 3  # steps of the largest that is tried


@dataclass(frozen=True)
class Estimate:
    """What a stage takes."""

    stage: StageName
    settings: StageSettings
    parameters: int
    needs: Needs
    chunks: int  # in how many every micro-batch is computed
    seconds: float  # of an iteration
    done: int  # iterations behind a resumed run
    where: str
    # data, on_disk: bytes of pictures and of latents in memory and in files, by name
    data: dict[str, int]
    on_disk: dict[str, int]

    @property
    def remaining(self) -> float:
        """Seconds."""
        return self.seconds * max(0, self.settings.iterations - self.done)

    @property
    def memory(self) -> dict[str, float]:
        """Bytes at the peak, by what they are for."""
        count, needs = self.settings.batch_size // self.chunks, self.needs
        tensors = {"weights": needs.weights, "gradients": needs.gradients, "moving average": needs.average}
        return tensors | {"optimiser": needs.moments, "activations": needs.activations(count)} | self.data

    def lines(self) -> Iterator[str]:
        yield f"{self.stage}: {self.parameters:,} parameters"
        if self.chunks > 1:
            yield f"  {divided(self.settings.batch_size, self.chunks)}"
        named = ", ".join(f"{name} {in_bytes(size)}" for name, size in self.memory.items())
        yield f"  memory: about {in_bytes(sum(self.memory.values()))} at its peak ({named})"
        if self.on_disk:
            files = ", ".join(f"{name} {in_bytes(size)}" for name, size in self.on_disk.items())
            yield f"  on the disk, and in memory only as far as there is room: {files}"
        left = self.settings.iterations - self.done
        yield f"  time: about {self.seconds:.3g} s per iteration on {self.where}"
        going_on = f" of {self.settings.iterations:,} iterations are left" if self.done else " iterations"
        yield f"  {max(0, left):,}{going_on}: about {in_hours(self.remaining)}"


def dry_run_report(request: TrainRequest) -> Iterator[str]:
    """Lines that say what a run would take; raises what the run itself would."""
    places = {stage: free_place(stage, request)[0] for stage in request.stages}
    for name, state in places.items():
        if state.exists():
            yield from changes(name, request)
    found = find(request.data, request.classes, request.held_out)
    words = vocabulary((found.captions or {}).get("train", ()))
    pictures = len(found.sources["train"]) * request.views + len(found.sources["val"])
    pixels = pictures * 3 * request.size**2
    opened, skipped = _opened(found.sources["train"], request.size)
    yield from introduction(len(found.sources["train"]), len(found.sources["val"]), found.classes, found.notes, words)
    if skipped:
        names = [name_in(request.data, source) for source, _ in skipped[:3]] + ["..."] * (len(skipped) > 3)
        yield f"{len(skipped)} of the first {opened} files cannot be used ({', '.join(names)}): {skipped[0].reason}"
    refuse_without_room(request, found.sources)
    in_files = any(file_for(request, split, len(paths)) for split, paths in found.sources.items())
    where = f"in files in {request.out / 'training'}, read as they are needed" if in_files else "in memory"
    yield f"{pictures} squares of {request.size} pixels {where}: {in_bytes(pixels)}."
    remaining, busy = 0.0, _busy(pick_device(request.device))  # before this work adds to it
    with tempfile.TemporaryDirectory() as folder:
        for name, stage in _stages(request, Path(folder), found, words):
            data = {"pictures": _by_place(_picture_bytes(request, found))}
            if isinstance(stage, DenoiserStage | ClassifierStage):
                data["latents"] = _by_place(_latent_bytes(request, found, stage.codec))
            estimate = _estimate(name, stage, request, steps_taken(places[name]), data)
            remaining += estimate.remaining
            yield from estimate.lines()
    yield f"In all about {in_hours(remaining)}, not counting what lies between: reading, measuring and saving."
    yield from busy
    yield "Nothing was written."


def _busy(device: torch.device) -> list[str]:
    """That times will be measured beside other work, in a sentence, where it wants much of the CPUs."""
    load = load_average() if device.type == "cpu" else None
    if load is None or load[0] < BUSY * load[1]:
        return []
    return [
        f"The machine is busy (load {load[0]:.1f}, CPUs: {load[1]}), and times are as measured beside that: the run is "
        "faster once it has the machine to itself."
    ]


def _opened(files: Sequence[Source], size: int) -> tuple[int, list[Skipped]]:
    """How many files were opened, up to a usable one, and which cannot be used. Raises `NoPictures` if none can."""
    skipped: list[Skipped] = []
    for start in range(0, len(files), LOOKED_AT):
        some = files[start : start + LOOKED_AT]
        try:
            return start + len(some), skipped + load_pictures(some, size).skipped
        except NoPictures as none:
            skipped += none.skipped
    raise NoPictures(skipped)


def _stages(
    request: TrainRequest, folder: Path, found: DataSet, words: tuple[str, ...]
) -> Iterator[tuple[StageName, Stage]]:
    """The run's stages on made-up pictures, in a folder of their own with the run's codec, or a new one."""
    codec = [request.out / name for name in (checkpoint.CONFIG, checkpoint.CODEC_WEIGHTS)]
    if all(path.is_file() for path in codec):
        for path in codec:
            shutil.copy(path, folder)
    away = request.model_copy(update={"out": folder})
    pixels = torch.randint(0, 256, (MADE_UP, 3, request.size, request.size), dtype=torch.uint8)  # (N, 3, S, S)
    labels = torch.arange(MADE_UP) % len(found.classes) if found.classes else None
    captions = [" ".join(words)] * MADE_UP if words else None  # as long as any can be
    pictures = Pictures(PictureSet(pixels, [], labels, captions), None, MADE_UP, found.classes, words=words)
    try:
        for name in request.stages:
            stage = prepare(name, away, pictures)
            yield name, stage
            if not (folder / checkpoint.CODEC_WEIGHTS).exists():
                stage.export(stage.model, finished=None)
    except CheckpointError as error:  # of the run's folder, for what its copy here lacks
        raise CheckpointError(str(error).replace(str(folder), str(request.out))) from None


def _estimate(
    name: StageName, stage: Stage, request: TrainRequest, done: int, data: dict[str, tuple[int, int]]
) -> Estimate:
    """`data` has bytes in memory and in files, by name."""
    settings: StageSettings = getattr(request, name)
    trainer = Trainer(stage.model, settings, request.precision, loss_state=stage.loss_state)
    needs = needs_of(trainer, stage.loss)
    fit(trainer, stage.loss)
    rows, seconds, chunks = _timed(stage, settings, request, settings.batch_size // trainer.chunks)
    threads = f", threads: {torch.get_num_threads()}" if trainer.device.type == "cpu" else ""
    return Estimate(
        name,
        settings,
        sum(parameter.numel() for parameter in stage.model.parameters()),
        needs,
        trainer.chunks * chunks,
        seconds * settings.accumulate * settings.batch_size / rows,
        done,
        f"{trainer.device}, {str(trainer.dtype).removeprefix('torch.')}{threads}",
        {what: memory for what, (memory, _) in data.items() if memory and trainer.device.type == "cpu"},  # as the rest
        {what: disk for what, (_, disk) in data.items() if disk},
    )


def _timed(stage: Stage, settings: StageSettings, request: TrainRequest, most: int) -> tuple[int, float, int]:
    """Steps of more and more pictures: how many the last had, `most` or enough; its seconds; chunks for `most`."""
    rows, spent = 1, 0.0
    while True:
        plan = settings.model_copy(update={"batch_size": rows, "accumulate": 1, "iterations": 1 + REPEATS})
        trainer = Trainer(stage.model, plan, request.precision, loss_state=stage.loss_state)
        steps = trainer.train(stage.loss)
        seconds = [_seconds(steps), _seconds(steps)]
        spent += sum(seconds)
        larger = min(GROWTH * rows, most)
        if larger == rows or trainer.chunks > 1 or spent + 2 * min(seconds) * larger / rows > PATIENCE:
            while len(seconds) <= REPEATS and spent + min(seconds) < PATIENCE:
                seconds.append(_seconds(steps))
                spent += seconds[-1]
            chunks = 1 if trainer.chunks == 1 else math.ceil(trainer.chunks * most / rows)
            return rows, median(seconds[1:]), chunks  # without the first, which makes room, and plans, for all others
        rows = larger


def _seconds(steps: Iterator[object]) -> float:
    started = time.perf_counter()
    next(steps)
    return time.perf_counter() - started


def _by_place(sizes: Sequence[int]) -> tuple[int, int]:
    """Bytes in memory and in files, of tensors of these sizes."""
    large = sum(size for size in sizes if size > stored.IN_MEMORY)
    return sum(sizes) - large, large


def _picture_bytes(request: TrainRequest, found: DataSet) -> list[int]:
    """Of pictures to train on, and of those held out."""
    splits = found.sources.items()
    return [memory_for(len(paths), request.size, views_of(request, split)) for split, paths in splits]


def _latent_bytes(request: TrainRequest, found: DataSet, codec: Codec) -> list[int]:
    """Of latents, held-out ones included, of those in another light, and of what is to be enlarged."""
    each = codec.latent_channels * (request.size // codec.stride) ** 2 * torch.float32.itemsize
    train = len(found.sources["train"]) * request.views * (1 + request.flips) * each
    recoloured = bool(request.denoiser.clamp_share and request.denoiser.clamp_recolour)
    both = train + len(found.sources["val"]) * each
    return [both, train * recoloured, both * (request.denoiser.enlarges > 1)]

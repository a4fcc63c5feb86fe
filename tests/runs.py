"""Training runs of a second: the pictures, the flags, and what has to be true of what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.record import plots
from ddpm_core.training.record.journal import rows_of
from ddpm_core.training.stages.run import state_file

STEPS = 6
STAGES = ("vae", "denoiser")


class Anything:
    """Takes whatever axes are told, and does nothing."""

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Anything:
        return self

    def __getitem__(self, which: Any) -> Anything:
        return self


class Undrawn(Anything):
    """A plot that is neither put together nor drawn, and written as an empty file: it is half of a run of few steps."""

    def subplots(self, rows: int = 1, columns: int = 1, squeeze: bool = True, **_: Any) -> Any:
        panels = np.empty((rows, columns), dtype=object)
        for place in np.ndindex(panels.shape):
            panels[place] = Anything()
        if not squeeze:
            return panels
        return panels[0, 0] if panels.size == 1 else panels.squeeze()

    def savefig(self, fname: Any, **_: Any) -> None:
        Path(fname).write_bytes(b"")


def leave_undrawn(patch: pytest.MonkeyPatch) -> None:
    """Have this process's plots so."""
    patch.setattr(plots, "Figure", lambda **_: Undrawn())


def write_pictures(folder: Path, count: int = 12, size: int = 16, seed: int = 0) -> Path:
    """Small pictures of coloured squares."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.kron(draw.integers(0, 256, (4, 4, 3)), np.ones((size // 4, size // 4, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


def flags(data: Path, out: Path, *more: object, steps: int = STEPS) -> list[object]:
    """Those of a run of both stages, each of a few steps, that saves after every one."""
    tiny = ["--preset", "tiny", "--device", "cpu", "--precision", "fp32", "--size", 16, "--batch-size", 2]
    tiny += ["--vae-channels", "16,16", "--denoiser-channels", "32,32", "--denoiser-mixer", "none"]
    tiny += ["--save-every", 1, "--sample-every", 10**6]
    return ["--data", data, "--out", out, *tiny, "--iterations", steps, *more]


def progress(out: Path, stage: Any) -> int:
    """The step of a stage's saved state, which has to be whole."""
    return int(json.loads(checkpoint.read_tensors(state_file(out, stage))[1]["progress"])["step"])


def assert_complete(out: Path) -> None:
    """Whatever became of the run: what there is can be loaded, and no step is missing from the log, or there twice."""
    if out.name in folders.list_checkpoints(out.parent):
        LatentDiffusion.load(out, "cpu")
    if (out / checkpoint.CODEC_WEIGHTS).exists():
        checkpoint.load_codec(out)
    for stage in STAGES:
        steps = [row["step"] for row in rows_of(out / "training" / f"{stage}.jsonl")]
        assert steps == list(range(1, len(steps) + 1))
        if state_file(out, stage).exists():  # type: ignore[arg-type]
            assert progress(out, stage) <= len(steps)


def assert_same_result(out: Path, reference: Path, stages: tuple[str, ...] = STAGES) -> None:
    """Both runs came to the same, bit for bit, and this one left nothing lying about."""
    for stage in stages:
        one, other = (checkpoint.read_tensors(state_file(folder, stage)) for folder in (out, reference))  # type: ignore[arg-type]
        assert one[0].keys() == other[0].keys()
        for name, tensor in one[0].items():
            assert torch.equal(tensor, other[0][name]), name
        assert one[1] == other[1]
        name = f"{stage}.safetensors"
        assert (out / name).read_bytes() == (reference / name).read_bytes(), name
        log = Path("training") / f"{stage}.jsonl"
        assert (out / log).read_text() == (reference / log).read_text()
    assert (out / checkpoint.CONFIG).read_bytes() == (reference / checkpoint.CONFIG).read_bytes()
    files = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in (out, reference)]
    assert len({frozenset(p for p in each if "tfevents" not in p.name) for each in files}) == 1, files

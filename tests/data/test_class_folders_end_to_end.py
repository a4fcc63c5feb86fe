"""Training on class folders, as ImageNet lies on disk: from the command line to a sample of a class."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import sample, train
from ddpm_core.images.files import open_picture, read_parameters
from ddpm_core.pipeline import LatentDiffusion

CLASSES = ["n01440764", "n01443537", "n02007558"]  # ImageNet calls them by numbers of WordNet
TINY = ["--preset", "tiny", "--size", 16, "--batch-size", 2, "--precision", "fp32", "--device", "cpu"]


def jpeg(number: int) -> bytes:
    """A picture of a size and shape of its own; as in ImageNet, some are grey and some are of CMYK."""
    draw, file = np.random.default_rng(number), io.BytesIO()
    height, width = draw.integers(16, 60, 2)
    picture = Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
    picture.convert(("RGB", "L", "CMYK")[number % 3]).save(file, "JPEG")
    return file.getvalue()


def written(folder: Path, names: list[str]) -> Path:
    """A picture for each name in the folder."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(number))
    return folder


def folders(root: Path) -> Path:
    """A folder for each class, seven pictures in each, and no word on what is held out."""
    return written(root / "pictures", [f"{name}/{number}.JPEG" for name in CLASSES for number in range(7)])


def archive(root: Path) -> Path:
    """Class folders below `train/` and `val/`, all in one folder in a `.tar`."""
    path, counts = root / "pictures.tar", {"train": 6, "val": 1}
    names = [f"{part}/{c}/{c}_{number}.JPEG" for part, n in counts.items() for c in CLASSES for number in range(n)]
    with tarfile.open(path, "w") as packed:
        for number, name in enumerate(names):
            content = jpeg(number)
            file = tarfile.TarInfo(f"ImageNet-3/{name}")
            file.size = len(content)
            packed.addfile(file, io.BytesIO(content))
    return path


def table(root: Path) -> Path:
    """All pictures in one folder, and what they are in its `labels.csv`."""
    rows = [(f"{number:02d}.JPEG", "train" if number < 18 else "val", CLASSES[number % 3]) for number in range(21)]
    folder = written(root / "pictures", [name for name, *_ in rows])
    (folder / "labels.csv").write_text("\n".join(["file,split,class", *map(",".join, rows)]))
    return folder


@pytest.mark.parametrize(
    ("shape", "codec", "found"),
    [
        (folders, "pixel", "20 pictures to train on, 1 held out."),
        (archive, "vae", "18 pictures to train on, 3 held out."),
        (table, "pixel", "18 pictures to train on, 3 held out."),
    ],
)
def test_classes_go_from_the_data_through_a_run_to_a_sample(
    call, tmp_path: Path, shape: Callable[[Path], Path], codec: str, found: str
) -> None:
    out = tmp_path / "run"
    flags = [*TINY, "--codec", codec, "--iterations", 2]
    outcome = call(train.main, "--data", shape(tmp_path), "--out", out, *flags)
    assert outcome.status == 0, outcome.err
    assert found in outcome.out
    assert f"3 classes: {', '.join(CLASSES)}." in outcome.out
    assert "Skipped" not in outcome.out
    config = checkpoint.read_config(out)
    assert (config.codec, config.classes, config.denoiser["classes"]) == (codec, CLASSES, 3)
    model = LatentDiffusion.load(out, "cpu")
    assert model.classes == tuple(CLASSES)
    assert model.unconditional

    arguments = ["--checkpoint", out, "--class", CLASSES[1], "--steps", 2, "--out", tmp_path / "made"]
    made = call(sample.main, *arguments)
    assert made.status == 0, made.err
    assert open_picture(tmp_path / "made" / "0.png").size == (16, 16)
    assert read_parameters(tmp_path / "made" / "0.png")["label"] == CLASSES[1]

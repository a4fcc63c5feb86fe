"""A tenth of the damaged inputs that `python -m tests.faults.fuzz` takes: used, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from diffusers import DDIMPipeline
from PIL import Image

from ddpm_core.pipeline import LatentDiffusion
from tests.faults import fuzz
from tests.tiny_pipelines import ddim, unet
from ui.models import Shelf
from ui.page import build, launch_settings

SHARE = 10
MOST_GROWTH = 60  # megabytes; the allocator keeps some


def assert_all_well(tally: fuzz.Tally) -> None:
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.used + tally.refused > 0
    assert tally.growth < MOST_GROWTH


def test_damaged_uploads_and_masks(tiny_model: LatentDiffusion, tmp_path: Path) -> None:
    tally = fuzz.uploads(fuzz.UPLOADS // SHARE, tiny_model, tmp_path)
    assert_all_well(tally)
    assert tally.refused > tally.used / 4  # it is damage that is done


def test_damaged_checkpoints(tiny_checkpoint: Path, tmp_path: Path) -> None:
    tally = fuzz.checkpoints(fuzz.CHECKPOINTS // SHARE, tiny_checkpoint, tmp_path)
    assert_all_well(tally)
    assert tally.refused > tally.used


def test_damaged_checkpoints_of_diffusers(tmp_path: Path) -> None:
    DDIMPipeline(unet(), ddim()).save_pretrained(tmp_path / "saved")
    tally = fuzz.checkpoints(fuzz.CHECKPOINTS // SHARE, tmp_path / "saved", tmp_path)
    assert_all_well(tally)
    assert tally.refused > tally.used


def test_damaged_calls(tiny_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = build(Shelf.around(tiny_checkpoint, "cpu"))
    _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "photo.png")
    try:
        with httpx.Client(base_url=address, timeout=2 * fuzz.PATIENCE, trust_env=False) as http:
            tally = fuzz.calls(fuzz.CALLS // SHARE, http, (tmp_path / "photo.png").read_bytes())
    finally:
        page.close(verbose=False)
    assert_all_well(tally)
    assert "Traceback" not in capfd.readouterr().err

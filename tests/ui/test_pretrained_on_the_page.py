"""Folders that diffusers saved, on the shelf and on the page."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import gradio as gr
import pytest
from diffusers import DDIMPipeline

from tests.tiny_pipelines import SIDE, ddim, unet
from ui.components.choice import followers
from ui.models import Shelf
from ui.tabs.generate import GenerateTab


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with a pipeline that always wants a class, and one without classes."""
    DDIMPipeline(unet(num_class_embeds=2), ddim()).save_pretrained(tmp_path / "told")
    DDIMPipeline(unet(), ddim()).save_pretrained(tmp_path / "plain")
    return Shelf.around(tmp_path / "told", "cpu")


def test_they_are_listed_and_loaded_anew_when_their_files_change(shelf: Shelf) -> None:
    assert shelf.names() == ["plain", "told"]
    first = shelf.load("plain")
    assert (first.name, first.size) == ("plain", SIDE)
    learned = sum(each.numel() for each in first.denoiser.parameters())
    assert shelf.at_a_glance("plain") == (learned, "")
    weights = shelf.root / "plain" / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copyfile(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))  # is not loaded beside it
    assert shelf.at_a_glance("plain") == (learned, "")
    weights.with_name("diffusion_pytorch_model.fp16.safetensors").unlink()
    assert shelf.load("plain") is first
    os.utime(shelf.root / "plain" / "unet" / "diffusion_pytorch_model.safetensors", (1, 1))
    assert shelf.load("plain") is not first


def test_one_with_everything_at_its_root_is_listed_and_loaded_anew_as_well(shelf: Shelf) -> None:
    plain = shelf.root / "plain"
    for file in [*(plain / "unet").iterdir(), *(plain / "scheduler").iterdir()]:
        file.rename(plain / file.name)
    for part in ("unet", "scheduler"):
        (plain / part).rmdir()
    assert shelf.names() == ["plain", "told"]
    first = shelf.load("plain")
    assert shelf.at_a_glance("plain")[0] > 1000
    os.utime(plain / "diffusion_pytorch_model.safetensors", (1, 1))
    assert shelf.load("plain") is not first


def test_one_that_always_wants_a_class_offers_no_other_choice_and_no_guidance(shelf: Shelf) -> None:
    with gr.Blocks() as page:
        checkpoint = gr.Dropdown(["told", "plain"], value="told")
        tab = GenerateTab(shelf, checkpoint)
    found = {getattr(block, "elem_id", None): block for block in page.blocks.values()}
    label, guidance = found["generate-class"], found["generate-guidance"]
    assert [value for _, value in label.choices] == ["0", "1"]
    assert (label.value, label.visible, guidance.value, guidance.visible) == ("0", True, 1, False)
    for update in tab._run("told", 5, 1, 3, "ddim", label.value, guidance.value, 0, "", ""):
        shown = update
    assert shown[tab.last].label == "0"

    (offer,) = [each.handler for each in followers(checkpoint) if list(each.outputs) == [label, guidance]]
    picked, followed = offer("plain", "0", 1, "")  # type: ignore[misc]
    assert (picked["value"], picked["visible"], followed["value"], followed["visible"]) == ("", False, 2, False)

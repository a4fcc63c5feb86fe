"""From a saved picture back to the controls."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.checkpoints.native import read_config, write_config
from ddpm_core.images.files import save_png
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, EditRequest, GenerateRequest, InpaintRequest
from ui.errors import Problem
from ui.models import Shelf
from ui.page import build
from ui.saved_settings import left_out, saved_settings


@pytest.fixture(scope="module")
def both(tiny_checkpoint: Path, class_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with a checkpoint that has no classes and one that has."""
    root = tmp_path_factory.mktemp("shelf")
    for folder in (tiny_checkpoint, class_checkpoint):
        shutil.copytree(folder, root / folder.name)
    return Shelf.around(root / "tiny", "cpu")


def saved(folder: Path, shelf: Shelf, checkpoint: str, request: GenerateRequest) -> str:
    """A picture as the studio saves it."""
    path = folder / "saved.png"
    save_png(Image.new("RGB", (32, 32)), path, shelf.load(checkpoint).png_parameters(request))
    return str(path)


@cache
def built(root: Path, first: str) -> gr.Blocks:
    """The page of a shelf, which takes a second or two to build."""
    return build(Shelf(root, first, "cpu"))


def used(shelf: Shelf, path: str, chosen: str = "tiny") -> dict[str | None, Any]:
    """What a saved picture puts on the page, by the component's id."""
    page = built(shelf.root, shelf.first)
    (use,) = [fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "use"]
    updates: Any = use(path, chosen)  # type: ignore[misc]
    return {getattr(component, "elem_id", None): update for component, update in updates.items()}


def value(update: Any) -> Any:
    return update["value"] if isinstance(update, dict) and "value" in update else update


def test_a_generated_picture_gives_its_settings_back(both: Shelf, tmp_path: Path) -> None:
    request = GenerateRequest(seed=77, steps=9, sampler="ddpm", label="ant", guidance=3)
    shown = used(both, saved(tmp_path, both, "insects", request))
    values = {name: value(shown[f"generate-{name}"]) for name in ("seed", "count", "steps", "sampler", "guidance")}
    assert values == {"seed": 77, "count": 1, "steps": 9, "sampler": "ddpm", "guidance": 3}
    assert value(shown["checkpoint"]) == "insects"
    assert value(shown["generate-class"]) == "ant"
    assert ("ant", "ant") in shown["generate-class"]["choices"]  # the page may have those of another checkpoint still
    assert shown["tabs"].selected == "generate"
    assert shown["generate-bar"]["text"] == "Its settings are here; Generate makes it again."


def test_a_fill_saved_before_there_was_enlarging_is_made_without(tmp_path: Path) -> None:
    for parameters, enlarge in (({}, False), ({"enlarge": True}, True)):
        save_png(Image.new("RGB", (32, 32)), tmp_path / "saved.png", {"action": "inpaint", "seed": 3} | parameters)
        request, _ = saved_settings(str(tmp_path / "saved.png"))
        assert isinstance(request, InpaintRequest)
        assert request.enlarge is enlarge


def test_what_is_filled_in_makes_the_same_picture(both: Shelf, tmp_path: Path) -> None:
    from ddpm_core.diffusion.samplers import last
    from ui.errors import build_request

    model = both.load("insects")
    request = GenerateRequest(seed=77, steps=3, sampler="ddpm", label="ant", guidance=3)
    shown = used(both, saved(tmp_path, both, "insects", request))
    fields = ("seed", "count", "steps", "sampler", "guidance")
    again = build_request(GenerateRequest, label=value(shown["generate-class"]), **{
        name: value(shown[f"generate-{name}"]) for name in fields
    })  # fmt: skip
    first, second = (model.pictures(last(model.generate(one)).latent)[0] for one in (request, again))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("request_", "tab", "fields"),
    [
        (EditRequest(seed=5, strength=0.4), "edit", {"edit-seed": 5, "edit-strength": 0.4}),
        (
            InpaintRequest(seed=6, grow=4, feather=3, crop="painted", keep_painted=True), "inpaint",
            {"inpaint-grow": 4, "inpaint-feather": 3, "inpaint-crop": "painted", "inpaint-region": True},
        ),
        (
            AnagramRequest(seed=8, view="mirrored", steps=12), "play",
            {"play-game": "anagram", "play-view": "mirrored", "play-steps": 12, "play-seed": 8},
        ),
    ],
)  # fmt: skip
def test_every_kind_of_picture_goes_to_its_tab(
    both: Shelf, tmp_path: Path, request_: GenerateRequest, tab: str, fields: dict[str, Any]
) -> None:
    shown = used(both, saved(tmp_path, both, "tiny", request_))
    assert shown["tabs"].selected == tab
    assert {name: value(shown[name]) for name in fields} == fields


def test_what_the_page_has_no_control_for_is_reported(both: Shelf, tmp_path: Path) -> None:
    shown = used(both, saved(tmp_path, both, "tiny", GenerateRequest(sampler="ddim", eta=0.5)))
    assert shown["generate-bar"]["text"].endswith("The page has no control for: eta 0.5.")


def test_what_the_page_asks_of_the_checkpoint_anyway_is_not_reported_and_what_it_would_add_is(
    own_checkpoint: Path,
) -> None:
    own = {"steps": 4, "sampler": "sde-dpm-solver++", "noise_above": 200, "spacing": "power"}
    write_config(own_checkpoint, read_config(own_checkpoint).model_copy(update={"defaults": {"generate": own}}))
    model = LatentDiffusion.load(own_checkpoint)
    fields = dict.fromkeys(("seed", "steps", "sampler"))
    assert left_out(fields, GenerateRequest(seed=3, **own), model) == ""
    former = GenerateRequest(seed=3, sampler="sde-dpm-solver++")
    assert left_out(fields, former, model) == " The page has no control for: spacing uniform, noise_above 0."


def test_a_checkpoint_that_is_not_here_is_reported(
    both: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[str] = []
    monkeypatch.setattr(gr, "Info", notices.append)
    path = tmp_path / "saved.png"
    save_png(Image.new("RGB", (8, 8)), path, {"action": "generate", "seed": 3, "checkpoint": "elsewhere"})
    shown = used(both, str(path), "insects")
    assert value(shown["checkpoint"]) == "insects"
    assert "elsewhere" in notices[0]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "saved.png does not say how it was made"),
        ({"action": "magic"}, "does not say how it was made"),
        ({"action": "generate", "steps": -4}, "does not know"),
    ],
)
def test_other_pictures_are_refused_in_a_sentence(tmp_path: Path, parameters: dict, sentence: str) -> None:
    save_png(Image.new("RGB", (8, 8)), tmp_path / "saved.png", parameters)
    with pytest.raises(Problem, match=sentence):
        saved_settings(str(tmp_path / "saved.png"))

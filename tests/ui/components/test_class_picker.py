"""The class picker: there if, and only if, the checkpoint has classes; and the same for other programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from ddpm_core.images.files import read_parameters
from ui.components.choice import Follower, followers
from ui.models import Shelf
from ui.page import build, launch_settings

TABS = ("generate", "inpaint", "edit", "play", "process")


@pytest.fixture(scope="module")
def both(tiny_checkpoint: Path, class_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with a checkpoint that has no classes and one that has."""
    root = tmp_path_factory.mktemp("shelf")
    for folder in (tiny_checkpoint, class_checkpoint):
        shutil.copytree(folder, root / folder.name)
    return root


@pytest.fixture(scope="module")
def page(both: Path) -> gr.Blocks:
    """The page that opens with the checkpoint that has no classes."""
    return build(Shelf.around(both / "tiny", "cpu"))


@pytest.fixture(scope="module")
def talk(page: gr.Blocks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A program that talks to an app with that shelf."""
    _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
    yield Client(address, verbose=False, download_files=tmp_path_factory.mktemp("answers"))
    page.close()


def parts(page: gr.Blocks, what: str) -> list[Any]:
    """The part of that name of every tab."""
    found = {getattr(block, "elem_id", None): block for block in page.blocks.values()}
    return [found[f"{tab}-{what}"] for tab in TABS]


@pytest.mark.parametrize(("first", "shown"), [("tiny", False), ("insects", True)])
def test_the_picker_is_there_if_the_first_checkpoint_has_classes(
    page: gr.Blocks, both: Path, first: str, shown: bool
) -> None:
    page = page if first == "tiny" else build(Shelf.around(both / first, "cpu"))
    for picker in parts(page, "class"):
        assert picker.visible == shown
        assert picker.value == ""
        assert [value for _, value in picker.choices] == ["", *(["1", "ant", "bee"] if shown else [])]
    assert [slider.visible for slider in parts(page, "guidance")] == [shown] * len(TABS)


@pytest.mark.parametrize(("chosen", "shown"), [("tiny", False), ("insects", True)])
def test_choosing_a_checkpoint_brings_its_classes(page: gr.Blocks, chosen: str, shown: bool) -> None:
    offers = offering(page)
    assert len(offers) == len(TABS)
    for offer in offers:
        before: list[Any] = [5 if isinstance(part, gr.Slider) else "" for part in offer.outputs]
        label, guidance, *other = offer.handler(chosen, *before, "")
        assert (label["visible"], guidance["visible"], label["value"]) == (shown, shown, "")
        assert guidance["value"] == (5 if shown else 2)
        assert [value for _, value in label["choices"]] == ["", *(["1", "ant", "bee"] if shown else [])]
        assert other in ([], [label])


def offering(page: gr.Blocks) -> list[Follower]:
    """What brings the classes of a checkpoint that was just chosen, in every tab."""
    (menu,) = (block for block in page.blocks.values() if getattr(block, "elem_id", None) == "checkpoint")
    pickers = parts(page, "class")
    return [each for each in followers(menu) if any(each.outputs[0] is picker for picker in pickers)]


def test_a_class_that_the_next_checkpoint_has_too_stays_chosen(page: gr.Blocks) -> None:
    for offer in offering(page):
        before = [5 if isinstance(part, gr.Slider) else "ant" for part in offer.outputs]
        label, guidance, *_ = offer.handler("insects", *before, "")
        assert (label["value"], guidance["value"]) == ("ant", 5)
        label, guidance, *_ = offer.handler("tiny", *before, "")  # which has no classes
        assert (label["value"], guidance["value"]) == ("", 2)


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.integration
def test_a_program_asks_for_a_class(talk: Client) -> None:
    common = {"steps": 2, "checkpoint": "insects", "api_name": "/generate"}
    (any_,) = talk.predict(**common)
    (ant,) = talk.predict(**common, label="ant")
    (more,) = talk.predict(**common, label="ant", guidance=6)
    assert read_parameters(ant)["label"] == "ant"
    assert read_parameters(more)["guidance"] == 6
    assert abs(pixels(ant) - pixels(any_)).mean() > 1
    assert abs(pixels(ant) - pixels(more)).mean() > 1


@pytest.mark.integration
def test_inpainting_and_process_take_a_class(talk: Client, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (90, 120, 30)).save(tmp_path / "picture.png")
    painted = np.zeros((32, 32), np.uint8)
    painted[8:24, 8:24] = 255
    Image.fromarray(painted).save(tmp_path / "mask.png")
    given = {"picture": handle_file(tmp_path / "picture.png"), "mask": handle_file(tmp_path / "mask.png")}
    common = {"steps": 2, "checkpoint": "insects"}
    made = [talk.predict(**given, **common, label=label, api_name="/inpaint")[0] for label in ("ant", "bee")]
    assert abs(pixels(made[0]) - pixels(made[1])).mean() > 1
    assert (pixels(made[0])[painted == 0] == (90, 120, 30)).all()
    gifs = [talk.predict(**common, label=label, size=32, api_name="/process") for label in ("ant", "bee")]
    assert Path(gifs[0]).read_bytes() != Path(gifs[1]).read_bytes()


@pytest.mark.integration
def test_editing_and_playing_take_classes(talk: Client, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (90, 120, 30)).save(tmp_path / "picture.png")
    common = {"steps": 2, "checkpoint": "insects", "guidance": 3}
    given = {"picture": handle_file(tmp_path / "picture.png")}
    ant, bee = (talk.predict(**given, **common, label=label, api_name="/edit")[0] for label in ("ant", "bee"))
    assert abs(pixels(ant) - pixels(bee)).mean() > 1
    (first, *_), _ = talk.predict(**common, seed=3, to=4, count=2, label="ant", api_name="/between")
    (alone,) = talk.predict(**common, seed=3, label="ant", api_name="/generate")
    assert abs(pixels(first) - pixels(alone)).max() <= 2
    two = {"label": "ant", "other": "bee"}
    (turned,) = talk.predict(**common, **two, view="turned-180", api_name="/anagram")
    (hybrid,) = talk.predict(**common, **two, blur=2, api_name="/hybrid")
    for path, action in ((turned, "anagram"), (hybrid, "hybrid")):
        parameters = read_parameters(path)
        assert (parameters["action"], parameters["label"], parameters["other"], parameters["guidance"]) == (
            action,
            "ant",
            "bee",
            3,
        )
    assert read_parameters(hybrid)["blur"] == 2


@pytest.mark.integration
def test_a_hybrid_of_a_checkpoint_that_makes_none_is_refused(talk: Client) -> None:
    with pytest.raises(AppError, match="tiny makes no hybrids"):
        talk.predict(checkpoint="tiny", api_name="/hybrid")
    with pytest.raises(AppError, match="Blur should be greater than 0"):
        talk.predict(checkpoint="insects", blur=0, api_name="/hybrid")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"checkpoint": "tiny", "label": "ant"}, "without classes"),
        ({"checkpoint": "insects", "label": "wasp"}, "no class 'wasp'"),
        ({"checkpoint": "insects", "label": "ant", "guidance": 21}, "[Gg]uidance"),
    ],
)
def test_a_class_that_cannot_be_made_is_refused_in_a_sentence(talk: Client, fields: dict, words: str) -> None:
    with pytest.raises(AppError, match=words):
        talk.predict(**fields, steps=2, api_name="/generate")

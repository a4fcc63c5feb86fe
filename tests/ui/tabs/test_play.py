"""The Play tab without a browser: what its handler leaves on the page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from ddpm_core.checkpoints.native import CODEC_WEIGHTS, write_weights
from ddpm_core.diffusion.illusions import VIEWS, blurred
from ddpm_core.errors import UserError
from ddpm_core.images.files import open_picture, read_parameters, transformed
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.requests import AnagramRequest, BetweenRequest, GenerateRequest, HybridRequest
from ui import examples
from ui.components.class_picker import offered_classes
from ui.errors import Problem, as_sentence
from ui.files import cached
from ui.models import Shelf
from ui.play_modes import FIRST, MODES, SEEDS
from ui.tabs.play import PlayTab, _mode_changed

FIELDS: dict[str, Any] = {
    "seed": 3, "to": 9, "strip": 4, "label": "", "other": "", "guidance": 2, "view": "turned-90", "pairs": 2,
    "blur": 2, "steps": 3, "sampler": "ddim", "prompt": "", "other_prompt": "", "negative_prompt": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def play(shelf: Shelf) -> PlayTab:
    """The tab, on a page nobody looks at."""
    with gr.Blocks():
        return PlayTab(shelf, gr.Dropdown(["tiny"], value="tiny"))


@pytest.fixture(scope="module")
def labelled(class_checkpoint: Path) -> PlayTab:
    """The same for a checkpoint with classes."""
    with gr.Blocks():
        return PlayTab(Shelf.around(class_checkpoint, "cpu"), gr.Dropdown(["insects"], value="insects"))


def played(
    tab: PlayTab, mode: str, format: str = "gif", last: GenerateRequest | None = None, **fields: Any
) -> tuple[dict[Any, Any], list[np.ndarray], list[dict]]:
    """What a run leaves on the page, and the pixels and parameters of its pictures while their files are there."""
    shown: dict[Any, Any] = {}
    pictures, parameters = [], []
    for update in tab._run(tab.shelf.first, mode, format, last, *{**FIELDS, **fields}.values()):
        shown |= update
        if tab.gallery not in update:  # the bar alone, where showing pictures takes long
            continue
        files = [file for file, _ in update[tab.gallery]["value"]]
        pictures, parameters = (
            [np.asarray(open_picture(file)) for file in files],
            [read_parameters(file) for file in files],
        )
        assert len(set(files)) == len(files)
        if (gif := update.get(tab.animation.gif)) and gif["value"]:
            with Image.open(gif["value"]) as moving:
                shown["frames"] = moving.n_frames  # type: ignore[attr-defined]
    return shown, pictures, parameters


def captions(tab: PlayTab, shown: dict[Any, Any]) -> list[str]:
    return [caption for _, caption in shown[tab.gallery]["value"]]


def test_the_controls_are_those_the_requests_have(play: PlayTab) -> None:
    assert list(play.fields) == list(FIELDS)
    assert {mode.kind.action for mode in MODES.values()} == set(MODES)


def test_between_two_seeds_there_is_a_strip_and_it_moves(play: PlayTab) -> None:
    shown, pictures, parameters = played(play, "between")
    assert captions(play, shown) == ["seed 3", "33%", "67%", "seed 9"]
    assert [one["start"] for one in parameters] == [pytest.approx(i / 3) for i in range(4)]
    assert "of-4" in shown[play.gallery]["elem_classes"]
    assert shown["frames"] == 2 * len(pictures) - 1
    view = play.animation
    assert shown[view.gif]["value"] == shown[view.download]["value"]
    assert shown[view.download]["label"] == "Download GIF"
    assert shown[view.group]["visible"]
    assert isinstance(shown[play.last], BetweenRequest)


def test_the_strip_moves_as_an_mp4_where_that_is_chosen_and_can_be_had_in_either(play: PlayTab) -> None:
    view = play.animation
    shown, _, _ = played(play, "between", format="mp4")
    assert shown[view.download]["label"] == "Download MP4"
    assert shown[view.download]["value"] == shown[view.video]["value"]
    assert shown[view.video]["value"].endswith("seed-3-to-9.mp4")
    assert (shown[view.gif]["visible"], shown[view.video]["visible"]) == (False, True)
    pictures = [(cached(Image.new("RGB", (32, 32), colour)), "") for colour in ("navy", "teal")]
    for update in play._animate("gif", pictures, BetweenRequest(seed=3, to=9)):
        if update.get(view.gif):
            with Image.open(update[view.gif]["value"]) as moving:
                assert moving.n_frames == 3  # type: ignore[attr-defined]
    assert update[view.download]["label"] == "Download GIF"
    nothing = list(play._animate("gif", pictures, AnagramRequest()))  # which does not move
    assert nothing == [{view.group: gr.skip()}]


def test_two_ways_up_are_shown_one_over_the_other_and_nothing_moves(play: PlayTab) -> None:
    shown, pictures, parameters = played(play, "anagram")
    assert captions(play, shown) == [
        "seed 3", "seed 4", "seed 3, a quarter turn left", "seed 4, a quarter turn left",
    ]  # fmt: skip
    for as_it_is, other in zip(pictures[:2], pictures[2:], strict=True):
        assert np.array_equal(other, np.asarray(transformed(Image.fromarray(as_it_is), VIEWS["turned-90"].apply)))
        assert not np.array_equal(other, as_it_is)
    assert [(one["action"], one["view"], one["seed"]) for one in parameters] == [
        ("anagram", "turned-90", seed) for seed in (3, 4, 3, 4)
    ]
    assert not shown[play.animation.group]["visible"]
    assert shown[play.animation.download] is None


def test_what_another_mode_made_goes_as_a_run_begins(play: PlayTab) -> None:
    def first(last: GenerateRequest | None, **fields: Any) -> dict[Any, Any]:
        return next(play._run("tiny", "anagram", "gif", last, *(FIELDS | fields).values()))

    cleared = first(BetweenRequest())
    assert cleared[play.gallery]["value"] == []
    assert not cleared[play.animation.group]["visible"]
    assert play.bar not in cleared
    for last in (None, AnagramRequest()):
        assert play.animation.group not in first(last) or play.bar in first(last)
    with pytest.raises(Problem, match="Steps should be less"):  # of a run that is refused, nothing goes
        first(BetweenRequest(), steps=5000)


def test_what_was_made_earlier_is_shown_to_checkpoints_that_know_faces(
    play: PlayTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play.gallery.value == []  # the page opened with no such checkpoint
    assert play._swap("tiny", None) == {}
    cleared = play._swap("tiny", play.example)
    assert (cleared[play.gallery]["value"], cleared[play.last]) == ([], None)
    assert cleared[play.bar]["text"] == "Nothing made yet."
    assert play._swap("tiny", BetweenRequest(seed=3)) == {}  # a visitor's own stays
    monkeypatch.setattr(play.shelf.load("tiny"), "framing", "face")
    assert play._swap("tiny", play.example) == {}
    restored = play._swap("tiny", None)
    assert len(restored[play.gallery]["value"]) == len(play.made)
    assert restored[play.animation.group]["visible"]
    assert restored[play.last] == play.example


def test_near_and_far_are_shown_one_over_the_other(labelled: PlayTab) -> None:
    shown, pictures, parameters = played(labelled, "hybrid", label="ant", other="bee", guidance=3)
    assert captions(labelled, shown) == [
        "bee, seed 3, close by", "bee, seed 4, close by", "ant, seed 3, from afar", "ant, seed 4, from afar",
    ]  # fmt: skip
    for near, far in zip(pictures[:2], pictures[2:], strict=True):
        assert np.array_equal(far, np.asarray(transformed(Image.fromarray(near), lambda image: blurred(image, 2))))
    assert [(one["action"], one["label"], one["other"], one["seed"]) for one in parameters] == [
        ("hybrid", "ant", "bee", seed) for seed in (3, 4, 3, 4)
    ]


def test_two_ways_up_say_what_either_is(labelled: PlayTab) -> None:
    shown, _, parameters = played(labelled, "anagram", label="ant", pairs=1)
    assert captions(labelled, shown) == ["ant, seed 3", "any, seed 3, a quarter turn left"]
    assert (parameters[0]["label"], "other" in parameters[0]) == ("ant", False)


@pytest.mark.parametrize("mode", MODES)
def test_every_game_starts_from_its_own_defaults_and_shows_its_own_controls(labelled: PlayTab, mode: str) -> None:
    parts = ("way", "second", "second_prompt", "turn", "several", "blur")
    description, first, second, _, steps, sampler, *shown, _ = _mode_changed(
        labelled.shelf,
        parts,
        labelled.shelf.first,
        mode,  # type: ignore[arg-type]
    )
    assert MODES[mode].description in description
    assert [part for part, one in zip(parts, shown, strict=True) if one["visible"]] == list(MODES[mode].controls)
    assert (steps, sampler) == (MODES[mode].kind().steps, MODES[mode].kind().sampler)
    assert first["label"] == MODES[mode].classes[0]
    assert mode == FIRST or second["label"] == MODES[mode].classes[1]


def test_a_game_that_there_is_not_is_refused(play: PlayTab) -> None:
    with pytest.raises(UserError, match="game"):
        play._request("chess", tuple(FIELDS.values()))


def test_a_game_that_another_checkpoint_cannot_play_is_the_first_one(shelf: Shelf) -> None:
    # A page that is slow still says what was chosen before.
    chosen = _mode_changed(shelf, ("way",), "tiny", "hybrid", None, 3, "ant", "bee")
    assert chosen == _mode_changed(shelf, ("way",), "tiny", FIRST, None, 3, "ant", "bee")
    assert chosen[-2]["visible"]


def test_settings_of_a_saved_picture_are_not_lost_to_the_defaults_of_its_mode(shelf: Shelf) -> None:
    saved = AnagramRequest(steps=7, sampler="ddim")
    *_, again = changed = _mode_changed(shelf, (), "tiny", "anagram", saved)
    assert changed[4:6] == (7, "ddim")
    assert again is None  # heard once
    changed = _mode_changed(shelf, (), "tiny", "between", saved)
    assert changed[4:6] == (BetweenRequest().steps, BetweenRequest().sampler)


def test_a_mode_opens_with_its_own_seed_but_one_that_was_chosen_stays(
    shelf: Shelf, labelled: PlayTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shelf.load("tiny")
    monkeypatch.setattr(model, "framing", "face")

    def seed(mode: str, before: float, filled: GenerateRequest | None = None) -> Any:
        return _mode_changed(shelf, (), "tiny", mode, filled, before)[3]

    stays = gr.skip()
    assert seed("anagram", SEEDS[FIRST]) == SEEDS["anagram"]
    assert seed(FIRST, SEEDS["anagram"]) == SEEDS[FIRST]
    hybrid = _mode_changed(labelled.shelf, (), labelled.shelf.first, "hybrid", None, SEEDS[FIRST])
    assert hybrid[3] == SEEDS["hybrid"]
    assert seed("anagram", 7) == stays
    assert seed("anagram", SEEDS[FIRST], AnagramRequest(seed=SEEDS[FIRST])) == stays  # a saved picture's
    model.framing = "any"  # what came out well is a face
    assert seed("anagram", SEEDS[FIRST]) == seed("anagram", SEEDS["anagram"]) == SEEDS[FIRST]
    assert seed("anagram", 7) == stays


def test_near_and_far_open_with_two_classes_but_those_that_were_chosen_stay(labelled: PlayTab) -> None:
    name, begun = labelled.shelf.first, offered_classes(labelled.shelf.load(labelled.shelf.first))[0]["value"]

    def classes(mode: str, label: str, other: str, filled: GenerateRequest | None = None) -> list[str | None]:
        changed = _mode_changed(labelled.shelf, (), name, mode, filled, 7, label, other)
        return [update.get("value") for update in changed[1:3]]

    assert classes("hybrid", begun, begun) == ["1", "ant"]  # the same twice would be a plain picture
    assert classes("hybrid", "bee", begun) == [None, None]
    assert classes("hybrid", begun, begun, HybridRequest(seed=7)) == [None, None]  # a saved picture's
    assert classes("anagram", "1", "ant") == [begun, begun]
    assert classes("anagram", "bee", "ant") == [None, None]


def test_what_is_offered_goes_with_the_checkpoint(play: PlayTab, labelled: PlayTab) -> None:
    def keys(update: dict[str, Any]) -> list[str]:
        return [key for _, key in update["choices"]]

    modes, views = play._offer("tiny", "hybrid", "negated")
    assert (keys(modes), modes["value"]) == (["between", "anagram"], "between")
    assert "negated" not in keys(views)
    assert views["value"] == "upside-down"
    modes, views = labelled._offer("insects", "hybrid", "mirrored")
    assert (keys(modes), modes["value"], views["value"]) == (["between", "anagram", "hybrid"], "hybrid", "mirrored")
    for tab, offered in ((play, ["between", "anagram"]), (labelled, ["between", "anagram", "hybrid"])):
        assert [key for _, key in tab.mode.choices] == offered


def test_colours_are_inverted_where_latents_are_pixels_around_the_colour_in_the_middle(
    class_checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(class_checkpoint, tmp_path / "shelf" / "even")
    write_weights(folder / CODEC_WEIGHTS, PixelCodec(4))  # whose means are 0
    shutil.copytree(class_checkpoint, folder.parent / "insects")
    with gr.Blocks():
        tab = PlayTab(Shelf.around(folder, "cpu"), gr.Dropdown(["even"], value="even"))
    assert ("colours inverted", "negated") in [tuple(choice) for choice in tab.view.choices]
    _, kept = tab._offer("even", "anagram", "negated")
    assert kept["value"] == "negated"
    _, lost = tab._offer("insects", "anagram", "negated")
    assert "negated" not in dict(lost["choices"]).values()
    shown, pictures, parameters = played(tab, "anagram", view="negated", label="ant", other="bee", pairs=1)
    assert captions(tab, shown) == ["ant, seed 3", "bee, seed 3, colours inverted"]
    assert np.array_equal(pictures[1], 255 - pictures[0])
    assert parameters[0]["view"] == "negated"


@pytest.mark.parametrize(
    ("mode", "fields", "sentence"),
    [
        ("between", {"to": -2}, "To should be greater"),
        ("between", {"seed": None}, "The seed is empty"),
        ("between", {"to": None}, "The seed at the end of the way is empty; type a number"),
        ("anagram", {"view": "sideways"}, "View should be"),
        ("anagram", {"other": "ant"}, "without classes"),
        ("hybrid", {}, "makes no hybrids"),
    ],
)
def test_what_cannot_be_done_is_reported(play: PlayTab, mode: str, fields: dict, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence), as_sentence():
        played(play, mode, **fields)


def test_what_the_tabs_open_with_says_how_it_was_made() -> None:
    pictures, request = examples.between()
    assert request is not None
    assert len(pictures) == request.count
    edited = examples.edited()
    assert edited is not None
    assert read_parameters(edited)["action"] == "edit"

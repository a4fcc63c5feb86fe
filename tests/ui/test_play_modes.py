"""What there is to play at."""

from __future__ import annotations

from PIL import Image

from ddpm_core.diffusion.illusions import VIEWS
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, BetweenRequest, HybridRequest
from ui.play_modes import MODES, available_modes, available_views, positions


def test_every_mode_goes_by_the_action_of_its_request() -> None:
    assert {key: mode.kind().action for key, mode in MODES.items()} == {key: key for key in MODES}


def test_pictures_on_the_way_say_where_they_lie() -> None:
    assert positions(BetweenRequest(seed=3, to=9, count=5)) == ["seed 3", "25%", "50%", "75%", "seed 9"]


def test_captions_name_both_ways_and_classes_where_they_were_asked_for() -> None:
    anagram, hybrid = MODES["anagram"].captions, MODES["hybrid"].captions
    assert anagram(AnagramRequest(seed=4, count=2, view="mirrored")) == [
        "seed 4", "seed 5", "seed 4, mirrored", "seed 5, mirrored"
    ]  # fmt: skip
    assert hybrid(HybridRequest(seed=4, label="6")) == ["any, seed 4, close by", "6, seed 4, from afar"]


def test_the_other_way_up_is_the_picture_turned() -> None:
    picture = Image.new("RGB", (4, 4))
    picture.putpixel((0, 0), (255, 0, 0))
    other = MODES["anagram"].other
    assert other is not None
    mirrored = other(AnagramRequest(view="mirrored"), picture)
    assert [mirrored.getpixel(place) for place in ((3, 0), (0, 0))] == [(255, 0, 0), (0, 0, 0)]


def test_what_is_offered_is_what_the_model_can_do(tiny_model: LatentDiffusion, class_model: LatentDiffusion) -> None:
    for model in (tiny_model, class_model):
        assert [view for _, view in available_views(model)] == list(model.views)
        assert set(model.views) <= VIEWS.keys()
        assert ("hybrid" in [key for _, key in available_modes(model)]) == model.hybrids

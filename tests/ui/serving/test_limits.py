"""What one request may take: refused before it begins, by the page, the API and play alike."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.images.files import PictureError, open_picture
from ddpm_core.requests import AnagramRequest, EnlargeRequest, GenerateRequest, InpaintRequest, Request
from ui.errors import Problem, build_request
from ui.serving import limits


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (InpaintRequest, {"steps": 999, "resamples": 20}),
        (InpaintRequest, {"steps": 200, "resamples": 10, "count": 8, "sampler": "heun"}),
        (AnagramRequest, {"steps": 999, "count": 8, "sampler": "langevin"}),
        (GenerateRequest, {"steps": 999, "count": 8, "sampler": "heun", "label": "ant", "guidance": 3}),
    ],
)
def test_what_takes_too_long_is_refused_in_a_sentence(kind: type[Request], fields: dict) -> None:
    with pytest.raises(Problem, match=r"would take [\d,]+ calls of the model, and 16,000 are the most"):
        build_request(kind, seed=1, **fields)


def test_windows_of_a_large_picture_count() -> None:
    request = EnlargeRequest(steps=100, count=8)
    assert limits.too_much(request, 20) is None
    assert "would take 20,000 calls" in str(limits.too_much(request, 25))


def test_what_the_plain_controls_reach_is_made() -> None:
    assert build_request(GenerateRequest, seed=1, steps=999, count=8).model_calls == 7992
    assert build_request(GenerateRequest, seed=1, steps=999, count=8, label="ant").model_calls == 15984


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    large = tmp_path / "large.png"
    Image.new("1", (10_000, 6_000)).save(large)
    assert open_picture(large).size == (10_000, 6_000)
    with warnings.catch_warnings():
        limits.limit_pixels()
        with pytest.raises(PictureError, match=r"large\.png has too many pixels to open, over 50 million"):
            open_picture(large)

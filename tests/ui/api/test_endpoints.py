"""The app as other programs see it, with the tiny checkpoint; kept pixels bit for bit, for every kind of upload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from ddpm_core.images.files import open_picture, read_parameters
from ddpm_core.requests import GenerateRequest, InpaintRequest

STEPS = 3


def mask_for(path: Path, folder: Path) -> tuple[Path, np.ndarray]:
    """A mask file for a picture, and what it paints: a block in the middle."""
    width, height = open_picture(path).size
    painted = np.zeros((height, width), bool)
    painted[height // 3 : height // 3 * 2 + 1, width // 3 : width // 3 * 2 + 1] = True
    mask = folder / "mask.png"
    Image.fromarray(painted.astype(np.uint8) * 255).save(mask)
    return mask, painted


def test_what_there_is(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert {"/generate", "/inpaint", "/process", "/edit", "/between", "/anagram", "/hybrid", "/checkpoints"} <= set(
        named
    )
    assert client.predict(api_name="/checkpoints") == ["tiny"]


def test_generate(client: Client) -> None:
    paths = client.predict(seed=7, count=3, steps=STEPS, api_name="/generate")
    assert len(paths) == 3
    assert [read_parameters(path)["seed"] for path in paths] == [7, 8, 9]
    parameters = read_parameters(paths[0])
    assert (parameters["checkpoint"], parameters["steps"], parameters["sampler"], parameters["count"]) == (
        "tiny",
        STEPS,
        GenerateRequest().sampler,
        1,
    )
    (alone,) = client.predict(seed=8, steps=STEPS, api_name="/generate")
    apart = np.asarray(Image.open(alone)).astype(int) - np.asarray(Image.open(paths[1]))
    assert np.abs(apart).max() <= 1


def test_what_is_not_set_is_as_on_the_page_and_in_the_shell(client: Client, tmp_path: Path) -> None:
    (path,) = client.predict(seed=3, api_name="/generate")
    assert read_parameters(path)["steps"] == GenerateRequest().steps
    picture = tmp_path / "photo.png"
    Image.effect_noise((40, 30), 60).convert("RGB").save(picture)
    mask, _ = mask_for(picture, tmp_path)
    given = {"picture": handle_file(picture), "mask": handle_file(mask)}
    (path,) = client.predict(**given, api_name="/inpaint")
    parameters = read_parameters(path)
    assert (parameters["steps"], parameters["crop"]) == (InpaintRequest().steps, "auto")
    for given_values, calls in (({}, GenerateRequest().calls), (given, InpaintRequest().calls)):
        with Image.open(client.predict(**given_values, size=32, seconds=3, api_name="/process")) as gif:
            assert gif.n_frames == calls  # type: ignore[attr-defined]


def test_inpaint_keeps_every_unpainted_bit(client: Client, upload: Path, tmp_path: Path) -> None:
    mask, painted = mask_for(upload, tmp_path)
    picture, given = handle_file(upload), handle_file(mask)
    original = np.asarray(open_picture(upload))
    for inverse in (False, True):
        (path,) = client.predict(picture=picture, mask=given, keep_painted=inverse, steps=STEPS, api_name="/inpaint")
        made = np.asarray(Image.open(path))
        kept = painted if inverse else ~painted
        assert made.shape == original.shape
        assert (made[kept] == original[kept]).all()
        assert (made[~kept] != original[~kept]).any()
    assert read_parameters(path)["action"] == "inpaint"


def test_process(client: Client, tmp_path: Path) -> None:
    with Image.open(client.predict(seed=1, steps=6, size=64, seconds=1, api_name="/process")) as gif:
        assert (gif.format, gif.n_frames, gif.size) == ("GIF", 6, (64, 64))  # type: ignore[attr-defined]
    with Image.open(client.predict(steps=150, size=32, view="sees", api_name="/process")) as gif:
        assert gif.n_frames == 60  # type: ignore[attr-defined]
    Image.new("RGB", (80, 40), "teal").save(tmp_path / "photo.png")
    mask, _ = mask_for(tmp_path / "photo.png", tmp_path)
    path = client.predict(
        steps=4, size=80, picture=handle_file(tmp_path / "photo.png"), mask=handle_file(mask), api_name="/process"
    )
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size) == (InpaintRequest(steps=4).calls, (80, 40))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seed": -1}, "Seed should be greater"),
        ({"seed": 2**31}, "Seed should be less"),
        ({"count": 9}, "Count should be less"),
        ({"steps": 1000}, "Steps should be less"),
        ({"checkpoint": "nosuch"}, "no checkpoint 'nosuch'"),
        ({"checkpoint": "../tiny"}, "no checkpoint"),
    ],
)
def test_generate_says_what_is_wrong(client: Client, fields: dict, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(**fields, api_name="/generate")


def test_inpaint_says_what_is_wrong(client: Client, tmp_path: Path) -> None:
    def call(picture: Path, mask: Path) -> None:
        client.predict(picture=handle_file(picture), mask=handle_file(mask), steps=STEPS, api_name="/inpaint")

    def flat(name: str, colour: str, size: tuple[int, int] = (40, 30)) -> Path:
        Image.new("RGB", size, colour).save(tmp_path / name)
        return tmp_path / name

    photo, letter = flat("photo.png", "teal"), tmp_path / "letter.png"
    letter.write_text("not a picture")
    for picture, mask, sentence in [
        (photo, flat("empty.png", "black"), "Nothing is painted"),
        (photo, flat("full.png", "white"), "Everything is painted"),
        (photo, flat("other.png", "white", (30, 40)), "another shape"),
        (letter, photo, "letter.png is not a picture"),
        (photo, letter, "letter.png is not a picture"),
    ]:
        with pytest.raises(AppError, match=sentence):
            call(picture, mask)
    with pytest.raises(AppError, match="Both a picture and a mask"):
        client.predict(picture=handle_file(photo), api_name="/process")


def test_inpaint_can_be_shaped(client: Client, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    mask, painted = mask_for(tmp_path / "photo.png", tmp_path)
    given = {"picture": handle_file(tmp_path / "photo.png"), "mask": handle_file(mask), "steps": STEPS}
    (path,) = client.predict(**given, grow=5, feather=2, crop="painted", api_name="/inpaint")
    parameters = read_parameters(path)
    assert (parameters["grow"], parameters["feather"], parameters["crop"]) == (5, 2, "painted")
    changed = (np.asarray(Image.open(path)) != noise).any(2)
    assert changed[~painted].any()
    rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
    outside = np.ones_like(painted)
    outside[rows[0] - 5 : rows[-1] + 6, columns[0] - 5 : columns[-1] + 6] = False
    assert not changed[outside].any()
    gif = client.predict(**given, size=60, grow=5, feather=2, crop="painted", api_name="/process")
    assert Image.open(gif).size == (60, 40)
    for fields, sentence in [({"grow": 300}, "Grow should be less"), ({"feather": -1}, "Feather should be greater")]:
        with pytest.raises(AppError, match=sentence):
            client.predict(**given, **fields, api_name="/inpaint")


def test_results_bear_the_name_of_the_picture_they_were_made_of(client: Client, tmp_path: Path) -> None:
    names = set()
    for photo in (tmp_path / "anna.png", tmp_path / "bert.jpg"):
        Image.effect_noise((40, 30), 60).convert("RGB").save(photo)
        mask, _ = mask_for(photo, tmp_path)
        given = {"picture": handle_file(photo), "seed": 1, "steps": STEPS}
        (filled,) = client.predict(**given, mask=handle_file(mask), api_name="/inpaint")
        (edited,) = client.predict(**given, api_name="/edit")
        names |= {Path(filled).name, Path(edited).name}
    assert names == {
        f"{done}-{photo}-tiny-seed-1.png" for done in ("inpainted", "edited") for photo in ("anna", "bert")
    }


def test_inpainting_a_picture_made_here_says_how_that_was_made(client: Client, tmp_path: Path) -> None:
    (face,) = client.predict(seed=5, steps=STEPS, api_name="/generate")
    mask, _ = mask_for(Path(face), tmp_path)
    (path,) = client.predict(picture=handle_file(face), mask=handle_file(mask), steps=STEPS, api_name="/inpaint")
    assert read_parameters(path)["continued_from"] == read_parameters(face)

"""Parameters of the endpoints: all that a request has, old ones where they always were, bounds and docs."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from ddpm_core.images.files import read_parameters
from ddpm_core.requests import (
    METHOD,
    AnagramRequest,
    BetweenRequest,
    EditRequest,
    EnlargeRequest,
    GenerateRequest,
    HybridRequest,
    InpaintRequest,
    ProcessSettings,
    Request,
    WalkSettings,
)

KINDS: dict[str, tuple[type[Request], ...]] = {
    "generate": (GenerateRequest,),
    "inpaint": (InpaintRequest,),
    "process": (GenerateRequest, InpaintRequest, ProcessSettings),
    "edit": (EditRequest,),
    "enlarge": (EnlargeRequest,),
    "between": (BetweenRequest, WalkSettings),
    "anagram": (AnagramRequest,),
    "hybrid": (HybridRequest,),
}
# Programs hand these over by place.
FIRST = {
    "generate": "seed count steps sampler checkpoint label guidance",
    "inpaint": "picture mask keep_painted seed count steps sampler checkpoint grow feather crop label guidance",
    "process": "seed steps sampler view size seconds keep_painted checkpoint picture mask grow feather crop label "
    "guidance",
    "edit": "picture strength seed count steps sampler checkpoint label guidance",
    "enlarge": "picture seed count steps sampler checkpoint noise_level",
    "between": "seed to count steps sampler checkpoint label guidance",
    "anagram": "seed count view steps sampler checkpoint label other guidance",
    "hybrid": "seed count label other guidance blur steps sampler checkpoint",
}


@pytest.fixture(scope="module")
def parameters(studio: gr.Blocks) -> dict[str, dict[str, dict]]:
    """What a program is told of every endpoint's parameters, in order, by name."""
    endpoints = studio.get_api_info()["named_endpoints"]
    return {name: {one["parameter_name"]: one for one in endpoints[f"/{name}"]["parameters"]} for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_all_that_a_request_has_can_be_given_and_what_is_not_has_its_default(parameters: dict, name: str) -> None:
    given = parameters[name]
    assert list(given)[: len(FIRST[name].split())] == FIRST[name].split()
    for kind in KINDS[name]:
        for field, definition in kind.model_fields.items():
            if name == "process" and field in ("count", "steps"):
                continue
            assert given[field]["parameter_has_default"]
            usual = None if field in METHOD else "" if definition.default is None else definition.default
            assert given[field]["parameter_default"] == usual
    files = {"picture", "mask"} & set(given)
    assert {field for field, one in given.items() if not one["parameter_has_default"]} == (
        set() if name == "process" else files
    )


def test_schemas_have_the_requests_bounds_and_choices(parameters: dict) -> None:
    inpaint, edit, process = (parameters[name] for name in ("inpaint", "edit", "process"))
    assert inpaint["steps"]["type"] == {"type": "integer", "minimum": 1, "maximum": 999}
    assert inpaint["guidance"]["type"] == {"type": "number", "minimum": 0, "maximum": 20}
    assert inpaint["grow"]["type"] == {"type": "integer", "minimum": -256, "maximum": 256}
    assert edit["strength"]["type"] == {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    assert process["steps"]["type"] == {"type": "integer", "minimum": 0, "maximum": 999}
    assert set(inpaint["mask_rule"]["type"]["enum"]) == {"safe", "nearest"}
    assert inpaint["spacing"]["type"]["enum"] == ["uniform", "quadratic", "power", "logsnr", "karras"]  # no aliases


def test_docs_say_what_every_parameter_is(studio: gr.Blocks) -> None:
    docs = {endpoint.api_name: endpoint.fn.__doc__ for endpoint in studio.fns.values() if endpoint.fn}
    for name, fields in FIRST.items():
        for field in fields.split():
            assert f"\n    {field}: " in docs[name]
    assert "\n    strength: fraction of the reverse steps taken: 1 leaves nothing; above 0 to 1." in docs["edit"]


def test_what_only_the_shell_could_ask_for_reaches_the_model(client: Client, tmp_path: Path) -> None:
    given_values = {"sampler": "ddim", "eta": 0.5, "spacing": "quadratic", "steps": 4}
    (path,) = client.predict(**given_values, api_name="/generate")
    assert given_values.items() <= read_parameters(path).items()
    (path,) = client.predict(steps=2, spacing="trailing", api_name="/generate")
    assert read_parameters(path)["spacing"] == "uniform"  # which it is another name for
    with pytest.raises(
        AppError, match="Spacing should be 'uniform', 'quadratic', 'power', 'logsnr' or 'karras', not 'even'"
    ):
        client.predict(spacing="even", api_name="/generate")
    Image.effect_noise((40, 30), 60).convert("RGB").save(tmp_path / "photo.png")
    mask = Image.new("L", (40, 30))
    mask.paste(255, (10, 10, 30, 20))
    mask.save(tmp_path / "mask.png")
    files = {"picture": handle_file(tmp_path / "photo.png"), "mask": handle_file(tmp_path / "mask.png")}
    given_values = {"steps": 4, "mask_rule": "nearest", "clamp": "clean", "resamples": 2, "jump": 2}
    (path,) = client.predict(**files, **given_values, api_name="/inpaint")
    assert given_values.items() <= read_parameters(path).items()
    for fields, sentence in [({"resamples": 21}, "Resamples should be less"), ({"jump": 9}, "Jump must be less")]:
        with pytest.raises(AppError, match=sentence):
            client.predict(**files, **fields, api_name="/inpaint")
    for fields, sentence in [({"eta": 0.5}, "Eta belongs to"), ({"seed": 2**31 - 1, "count": 2}, "^The last seed")]:
        with pytest.raises(AppError, match=sentence):
            client.predict(**fields, api_name="/generate")


def test_moving_pictures_come_as_mp4_too(client: Client) -> None:
    path = client.predict(steps=3, size=32, seconds=1, format="mp4", api_name="/process")
    assert path.endswith(".mp4")
    assert b"ftyp" in Path(path).read_bytes()[:12]
    _, path = client.predict(count=2, steps=2, size=32, seconds=1, format="mp4", api_name="/between")
    assert b"ftyp" in Path(path).read_bytes()[:12]
    for fields, sentence in [({"size": 8}, "Size should be greater"), ({"seconds": 61}, "Seconds should be less")]:
        with pytest.raises(AppError, match=sentence):
            client.predict(**fields, api_name="/process")

"""What is meant for whoever asked, and what is a mistake of the program's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import to_eps, training_target
from ddpm_core.errors import UserError, complaint
from ddpm_core.images.crop import Frame
from ddpm_core.images.files import PictureError, open_picture
from ddpm_core.images.masks import check_choice, face_mask
from ddpm_core.inspection.points import PointsRequest
from ddpm_core.machine import resolve_precision
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from ddpm_core.training.losses import denoiser_loss, loss_weights
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages.run import run_stage
from ddpm_core.training.timesteps import draw_timesteps

CORE = Path(__file__).resolve().parents[1] / "ddpm_core"
NOT_TOLD = {"UserError", "Interruption"}  # the root of them, and what ends a program that nothing is wrong with


def defined() -> dict[str, set[str]]:
    """Every class of the core that is an exception, by its bases, as far as their names tell."""
    found = {}
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if node.name in NOT_TOLD or any(base.endswith(("Error", "Exception")) for base in bases):
                    found[node.name] = bases
    return found


def test_every_exception_of_the_core_is_one_whose_sentence_is_told() -> None:
    exceptions = defined()
    assert exceptions.keys() > NOT_TOLD
    for name in exceptions.keys() - NOT_TOLD:
        bases = exceptions[name]
        assert "UserError" in bases or bases & exceptions.keys(), f"{name} is caught by nobody who tells sentences"


def test_what_cannot_be_used_is_a_value_error_and_other_value_errors_are_not_told() -> None:
    assert issubclass(UserError, ValueError)  # who called the library before it had a name catches that
    assert not isinstance(ValueError("axis 7"), UserError)


def test_a_disk_that_is_full_is_both_the_systems_error_and_one_to_be_told() -> None:
    with pytest.raises(OSError, match="cannot be written") as told:
        raise UnwritableError("x.png cannot be written (No space left).", "No space left")
    assert isinstance(told.value, UserError)


def test_a_file_that_is_no_picture_is_refused_in_one_sentence_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("Dear")
    with pytest.raises(UserError, match=r"letter\.png") as told:
        open_picture(tmp_path / "letter.png")
    assert isinstance(told.value, PictureError)
    assert "\n" not in str(told.value)


PICTURE, PAINTED = Image.new("RGB", (8, 8)), np.eye(8, dtype=bool)
LATENT, T = torch.zeros(1, 4, 4, 4), torch.tensor([5])
TINY: dict[str, Any] = {"channels": (32,), "blocks": 1}
UNKNOWN: dict[str, Callable[[Any], object]] = {
    "noise schedule": lambda name: Diffuser(schedule=name),
    "spacing": lambda name: Diffuser().spaced_timesteps(3, name),
    "mixer": lambda name: UNet(**TINY, mixer=name),
    "prediction type": lambda name: UNet(**TINY, prediction=name),
    "variance": lambda name: UNet(**TINY, variance=name),
    "prediction type of an output": lambda name: to_eps(LATENT, LATENT, T, name, Diffuser()),
    "prediction type to learn": lambda name: training_target(LATENT, LATENT, T, name, Diffuser()),
    "weighting": lambda name: loss_weights(T, name, "v", Diffuser()),
    "draw of timesteps": lambda name: draw_timesteps(3, name, Diffuser()),
    "draw for examples with a clean region": lambda name: denoiser_loss(
        UNet(**TINY), LATENT, Diffuser(), "uniform", 0.0, clamp_timesteps=name
    ),
    "crop": lambda name: Frame.around(PICTURE, PAINTED, 8, crop=name),
    "ready-made mask": lambda name: face_mask(name, PICTURE),
    "ready-made mask of a command": lambda name: check_choice(None, name),
    "precision": lambda name: resolve_precision(name, torch.device("cpu")),
    "stage": lambda name: next(run_stage(name, TrainRequest(data=CORE, out=CORE), cast(Any, None))),
}


@pytest.mark.parametrize("name", ["telepathy", ["v"]])
@pytest.mark.parametrize("what", UNKNOWN)
def test_a_name_that_is_in_no_table_is_refused_in_a_sentence_that_lists_those_that_are(what: str, name: Any) -> None:
    kind = re.split(r" of an | to learn| of a ", what)[0]
    with pytest.raises(UserError, match=rf"^there is no {kind} {re.escape(repr(name))}; choose from: \S.*\.$"):
        UNKNOWN[what](name)


@pytest.mark.parametrize(
    ("what", "changes"),
    [("sampler", {"sampler": "ddin"}), ("clamp", {"clamp": "hard"}), ("mask rule", {"mask_rule": "lax"})],
)
def test_a_request_whose_names_nobody_checked_is_refused_likewise(
    tiny_model: LatentDiffusion, what: str, changes: dict[str, str]
) -> None:
    request = InpaintRequest(steps=2).model_copy(update=changes)  # which checks nothing
    size = tiny_model.size
    with pytest.raises(UserError, match=f"^there is no {what} '{changes[what.replace(' ', '_')]}'; choose from: "):
        tiny_model.inpaint(request, torch.zeros(1, 3, size, size), torch.ones(1, 1, size, size).bool())


def test_a_model_of_no_known_framing_is_refused(tiny_model: LatentDiffusion) -> None:
    parts = (tiny_model.codec, tiny_model.denoiser, tiny_model.diffuser, tiny_model.size)
    with pytest.raises(UserError, match="there is no framing 'feet'; choose from: any, face"):
        LatentDiffusion(*parts, framing=cast(Any, "feet"))


def test_a_sentence_that_a_request_refuses_with_is_told_as_it_is() -> None:
    with pytest.raises(ValidationError) as refused:
        PointsRequest(shape="drawn", drawn="[[9, 9], [0, 0]]")
    assert complaint(refused.value) == "points drawn must lie between -3 and 3, both across and down."
    with pytest.raises(ValidationError) as refused:
        InpaintRequest(churn=2.0)
    typed = complaint(refused.value, lambda place: "--" + " ".join(map(str, place)))
    assert typed == "--resamples must be 1 with --churn, since both add noise between steps."
    with pytest.raises(ValidationError) as refused:
        PointsRequest(steps=0)
    assert complaint(refused.value) == "steps should be greater than or equal to 1, not '0'."

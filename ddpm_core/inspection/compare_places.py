"""The places of a comparison: a request for each pair of values, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from ddpm_core.diffusion.schedules import SCHEDULE_ALIASES, SCHEDULES
from ddpm_core.errors import UserError, complaint, lookup
from ddpm_core.images.masks import FACE_PARTS
from ddpm_core.inspection.compare_request import CompareRequest
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.pipeline.defaults import fitting
from ddpm_core.requests import MAX_SEED, GenerateRequest, InpaintRequest

MOST_CALLS = 4000  # of one comparison: minutes on two cores, and nobody waits longer for a grid

if TYPE_CHECKING:
    RegionName = str
else:
    RegionName = Literal[("none", *FACE_PARTS)]


@dataclass(frozen=True)
class Place:
    """What belongs to one place of the grid."""

    row: int
    column: int
    # what makes its picture; None where its settings do not go together, as `note` says
    request: GenerateRequest | None
    checkpoint: str
    schedule: str | None = None  # to work under; None for that the model was trained on
    note: str = ""


class ComparisonRequest(CompareRequest, InpaintRequest):
    """A comparison with all that is not compared: of pictures of the seed, or of fillings of a part of a picture.

    A method that is not given is the checkpoint's own (`base`), as everywhere.
    """

    seed: int = Field(127, ge=0, le=MAX_SEED, description="seed of all pictures; of all fillings as well")
    steps: int = Field(20, ge=1, le=999, description="reverse steps")
    resamples: int = Field(1, ge=1, le=20, description="times each reverse step is taken, of fillings")
    region: RegionName = Field("none", description="part of the picture that is made anew; none for pictures of a seed")

    def base(self, model: LatentDiffusion) -> GenerateRequest:
        """The request that all places share: what is given, all else by the model's own defaults.

        Raises:
            UserError: what is given does not go with what is the model's own.
        """
        kind = GenerateRequest if self.region == "none" else InpaintRequest
        given = {name: getattr(self, name) for name in kind.model_fields if name in self.model_fields_set}
        try:
            return model.request(kind, **given | {"seed": self.seed})
        except ValidationError as error:
            raise UserError(complaint(error)) from None


def places(comparison: CompareRequest, base: GenerateRequest, checkpoint: str) -> list[Place]:
    """All places of the grid, row by row; `base` has what is not compared, `checkpoint` is the model's unless they are.

    What `base` says of its sampler or spacing alone is left out where another one is compared.

    Raises:
        UserError: a value or a setting cannot be used, or it would be more than `MOST_CALLS` calls.
    """
    settings = [setting for setting in (comparison.across, comparison.down) if setting != "none"]
    for setting in settings:
        if setting in ("clamp", "resamples") and not isinstance(base, InpaintRequest):
            raise UserError(f"{setting} belongs to an inpainting; give a picture and what is painted on it as well.")
        if setting == "guidance" and not (base.labels or base.prompts):
            raise UserError("guidance is how closely a class or a prompt is followed; give one of them as well.")
    plain = base.model_dump() | {"count": 1}
    if "eta" in settings and "sampler" not in settings:
        plain = fitting(plain, {"sampler": "ddim"}) | {"sampler": "ddim"}  # the only one that has it
    found: list[Place] = []
    for row, down in enumerate(comparison.values("down")):
        for column, across in enumerate(comparison.values("across")):
            chosen = {comparison.across: across, comparison.down: down}
            found.append(_place(row, column, type(base), plain, chosen, checkpoint))
    if all(place.request is None for place in found):
        raise UserError(found[0].note)
    calls = sum(place.request.calls for place in found if place.request)
    if calls > MOST_CALLS:
        raise UserError(
            f"that is {calls} steps in all, and {MOST_CALLS} are the most; take fewer values or fewer steps."
        )
    return found


def _place(
    row: int, column: int, kind: type[GenerateRequest], plain: dict[str, Any], chosen: dict[str, str], checkpoint: str
) -> Place:
    schedule, checkpoint = chosen.get("schedule"), chosen.get("checkpoint", checkpoint)
    if schedule is not None:
        lookup(SCHEDULES, "noise schedule", schedule, SCHEDULE_ALIASES)
    fields = {name: value for name, value in chosen.items() if name in kind.model_fields}
    for name, value in fields.items():  # a value that its setting never has, as against two that do not go together
        try:
            kind.model_validate({name: value, **({"sampler": "ddim"} if name == "eta" else {})})
        except ValidationError as error:
            raise UserError(complaint(error)) from None
    try:
        request = kind.model_validate(fitting(plain, fields) | fields)
    except ValidationError as error:
        return Place(row, column, None, checkpoint, schedule, complaint(error))
    return Place(row, column, request, checkpoint, schedule)

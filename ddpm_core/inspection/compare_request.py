"""What a comparison is asked for: one or two settings, and the values of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ddpm_core.diffusion.constraints import CLAMPS
from ddpm_core.diffusion.schedules import SCHEDULES
from ddpm_core.diffusion.spacing import SPACINGS
from ddpm_core.requests import Request

MAX_COMPARED = 8  # values of one setting

# What can be compared, and by which values unless they are named; all but the last two are fields of requests.
COMPARED: dict[str, tuple[str, ...]] = {
    "sampler": ("ddpm", "ddim", "dpm-solver++", "sde-dpm-solver++"),
    "steps": ("2", "5", "10", "24"),  # of which the last is how many the shipped faces take
    "spacing": tuple(SPACINGS),
    "eta": ("0", "0.3", "0.6", "1"),
    "guidance": ("1", "2", "4", "8", "20"),
    "seed": ("0", "1", "2", "3"),
    "clamp": tuple(CLAMPS),
    "resamples": ("1", "2", "4", "8"),
    "schedule": tuple(SCHEDULES),
    "checkpoint": (),
}
if TYPE_CHECKING:
    ComparedName = str
    SecondName = str
else:
    ComparedName = Literal[tuple(COMPARED)]
    SecondName = Literal[(*COMPARED, "none")]


class CompareRequest(Request):
    """One or two settings whose values are laid out as a grid of pictures; the request beside it says all others."""

    action: ClassVar[str] = "compare"

    across: ComparedName = Field("steps", description="setting that differs from column to column")
    across_values: str = Field("", max_length=400, description="its values, parted by commas; empty for the usual ones")
    down: SecondName = Field("sampler", description="setting that differs from row to row, or none")
    down_values: str = Field("", max_length=400, description="its values, parted by commas; empty for the usual ones")

    @model_validator(mode="after")
    def _two_settings(self) -> Self:
        if self.across == self.down:
            raise ValueError(f"{{across}} and {{down}} are both {self.across}; choose two different settings")
        for name, setting in (("across", self.across), ("down", self.down)):
            number = len(self.values(name))
            if not number:
                raise ValueError(f"{{{name}}} is {setting}; name those to compare in {{{name}_values}}")
            if number > MAX_COMPARED:
                raise ValueError(f"{{{name}_values}} are {number}, and {MAX_COMPARED} are the most")
        return self

    def values(self, name: str) -> tuple[str, ...]:
        """The values of "across" or "down" as typed, or its usual ones; one "" where there is none."""
        setting = getattr(self, name)
        if setting == "none":
            return ("",)
        typed = tuple(value for part in getattr(self, f"{name}_values").split(",") if (value := part.strip()))
        return typed or COMPARED[setting]

"""What a visitor asks to be trained, and how the command of the shell is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ddpm_core.cli import complaint, merge
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from ui.errors import Problem

PICTURES = "pictures.zip"  # what was uploaded, in the run's folder
EVERY = 250  # steps between grids at most, where the box is empty: somebody is watching

Whole = Annotated[  # an empty box is no number
    int | None, BeforeValidator(lambda value: (value.strip() or None) if isinstance(value, str) else value)
]


class Order(BaseModel):
    """What the visitor asked for; None leaves it to the preset, which is to show a grid every `EVERY` steps at least.

    Attributes:
        data: a folder or archive on this machine; None for uploaded pictures, kept in the run's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    data: Path | None = None
    size: Whole = None
    iterations: Whole = None
    batch_size: Whole = None
    sample_every: Whole = None
    about: Annotated[str, BeforeValidator(lambda value: value or "")] = ""  # a box nobody has touched gives None

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """An order from what stands in the controls, of which empty ones give None.

        Raises:
            Problem: something is no whole number, out of bounds, or there is no such preset.
        """
        try:
            order = cls.model_validate(fields)
            order.request(Path("out"))
        except ValidationError as error:
            sentence = complaint(error)
            raise Problem(sentence[0].upper() + sentence[1:]) from None
        return order

    def request(self, out: Path) -> TrainRequest:
        """The run as the command resolves it.

        Raises:
            Problem: there is no such preset.
            ValidationError: something is out of bounds.
        """
        if self.preset not in PRESETS:
            raise Problem(f"There is no preset {self.preset!r}; choose from: {', '.join(PRESETS)}.")
        both = self._given("iterations", "batch_size")
        given = {"data": self.pictures(out), "out": out, "about": self.about, "sample_every": self._every()}
        given |= self._given("size")
        return TrainRequest.model_validate(merge(PRESETS[self.preset], {"vae": both, "denoiser": both}, given))

    def arguments(self, out: Path, device: str) -> list[str]:
        """What the command is told, to write into `out`; the same with --resume goes on."""
        # Joined by "=", so that nothing typed on the page can be taken for a flag.
        told = {"preset": self.preset, "data": self.pictures(out), "out": out, "device": device, "about": self.about}
        told |= {"sample_every": self._every(), **self._given("size", "iterations", "batch_size")}
        return [f"--{name.replace('_', '-')}={value}" for name, value in told.items()]

    def pictures(self, out: Path) -> Path:
        """Where the run's pictures are."""
        return self.data or out / "training" / PICTURES

    def _every(self) -> int:
        """Steps between grids: as asked, else as often as the preset, or more often."""
        if self.sample_every is not None:
            return self.sample_every
        usual = TrainRequest.model_fields["sample_every"].default
        return min(EVERY, PRESETS[self.preset].get("sample_every", usual))

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}

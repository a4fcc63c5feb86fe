"""What a visitor asks to be trained, and the arguments of the command that trains it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from ddpm_core.cli import merge, plain
from ddpm_core.errors import complaint
from ddpm_core.training.initialization import shapes_of
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import STAGES, TrainRequest
from ui.errors import Problem

PICTURES = "pictures.zip"  # what was uploaded, in the run's folder
EVERY = 250  # steps between grids at most, where the box is empty: somebody is watching

Whole = Annotated[  # an empty box is no number
    int | None, BeforeValidator(lambda value: (value.strip() or None) if isinstance(value, str) else value)
]


class Order(BaseModel):
    """What the visitor asked for; all else is left to the preset and the checkpoint to start from.

    Attributes:
        data: a folder or archive on this machine; None for uploaded pictures, kept in the run's folder.
        iterations, batch_size: of every stage.
        settings: the rest, nested as a `TrainRequest` is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    data: Path | None = None
    iterations: Whole = None
    batch_size: Whole = None
    settings: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _as_older_ones_say_it(cls, order: Any) -> Any:
        """Orders of runs begun when there were three settings have them beside the preset."""
        if not isinstance(order, dict):
            return order
        older = {name: order[name] for name in ("size", "sample_every", "about") if order.get(name) not in (None, "")}
        rest = {name: value for name, value in order.items() if name not in ("size", "sample_every", "about")}
        return rest | {"settings": rest.get("settings", {}) | older} if older else rest

    @classmethod
    def of(cls, preset: str, data: Path | None = None, **fields: Any) -> Self:
        """An order from the controls, of which empty ones give None or nothing.

        Args:
            fields: `iterations`, `batch_size`, and settings by their place in a `TrainRequest` ("denoiser.mixer").

        Raises:
            Problem: something is no whole number, out of bounds, or there is no such preset.
            CheckpointError: the checkpoint to start from cannot be read.
        """
        both = {name: fields.pop(name, None) for name in ("iterations", "batch_size")}
        settings: dict[str, Any] = {}
        for place, value in fields.items():
            if value is not None and (text := str(value).strip()):
                *sections, name = place.split(".")
                inner = settings
                for section in sections:
                    inner = inner.setdefault(section, {})
                inner[name] = text
        try:
            order = cls.model_validate({"preset": preset, "data": data, "settings": settings, **both})
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
            CheckpointError: the checkpoint to start from cannot be read.
        """
        if self.preset not in PRESETS:
            raise Problem(f"There is no preset {self.preset!r}; choose from: {', '.join(PRESETS)}.")
        both = {name: value for name, value in self._both() if value is not None}
        base = shapes_of(Path(self.settings["init"])) if "init" in self.settings else {}
        given = merge(self.settings, {"data": self.pictures(out), "out": out, **self._always()})
        return TrainRequest.model_validate(merge(PRESETS[self.preset], base, dict.fromkeys(STAGES, both), given))

    def arguments(self, out: Path, device: str) -> list[str]:
        """The command's arguments for writing into `out`; with --resume added it goes on."""
        values = {"preset": self.preset, "data": self.pictures(out), "out": out, "device": device}
        values |= {name: value for name, value in self._both() if value is not None}
        return list(_options(merge(values, self.settings, self._always())))

    def pictures(self, out: Path) -> Path:
        """Where the run's pictures are."""
        return self.data or out / "training" / PICTURES

    def _both(self) -> list[tuple[str, int | None]]:
        return [("iterations", self.iterations), ("batch_size", self.batch_size)]

    def _always(self) -> dict[str, Any]:
        """Settings of every run of the page: what the pictures are, and frequent grids."""
        usual = PRESETS[self.preset].get("sample_every", TrainRequest.model_fields["sample_every"].default)
        every = self.settings.get("sample_every", min(EVERY, usual))
        return {"about": self.settings.get("about", ""), "sample_every": every}


def _options(settings: dict[str, Any], prefix: str = "--") -> Iterator[str]:
    for name, value in settings.items():
        flag = prefix + name.replace("_", "-")
        if isinstance(value, dict):
            yield from _options(value, f"{flag}-")
        elif value in ("true", "false"):
            yield flag if value == "true" else f"{prefix}no-{name.replace('_', '-')}"
        else:  # joined by "=", so that nothing typed on the page can be taken for a flag
            yield f"{flag}={plain(value)}"

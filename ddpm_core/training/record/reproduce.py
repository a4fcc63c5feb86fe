"""The command line that repeats a training run, worked out from its settings."""

from __future__ import annotations

import shlex
from typing import Any

from ddpm_core.cli import flags, merge
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import DenoiserSettings, TrainRequest, VaeSettings


def command(recorded: dict[str, Any], name: str, stage: str | None = None) -> str:
    """The command that repeats a run, or its `stage`, from the nearest preset.

    `recorded` is what `config.json` says of a stage's run, or of both, merged.
    """
    known = {"data": recorded["data"], "out": f"checkpoints/{name}"}

    unknown = of_the_checkpoint() if "init" in recorded else {}

    def missing(preset: str) -> dict[str, Any]:
        base = TrainRequest.model_validate(merge(PRESETS[preset], known)).model_dump(mode="json")
        return beyond(recorded, merge(base, unknown))

    preset = min(PRESETS, key=lambda preset: len(flags(missing(preset))))
    options: dict[str, Any] = known | {"preset": preset, "stage": stage}
    if "init" in recorded:
        options["init"] = f"checkpoints/{recorded['init']}"
    return shlex.join(["python", "-m", "ddpm_core.train", *flags(options | missing(preset))])


def of_the_checkpoint() -> dict[str, Any]:
    """The settings that a run has from --init (`shapes_of`), as None."""
    stages = {"vae": VaeSettings.SHAPE, "denoiser": (*DenoiserSettings.SHAPE, "schedule")}
    shapes = {stage: dict.fromkeys(names) for stage, names in stages.items()}
    return {"size": None, "codec": None, "pixel_stride": None, "framing": None, **shapes}


def beyond(settings: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """What of `settings` differs from `base`, without paths and what `base` lacks."""
    found = {}
    for key, value in settings.items():
        if key not in base or key in ("data", "init"):
            continue
        if isinstance(value, dict):
            found[key] = beyond(value, base[key])
        elif value != base[key]:
            found[key] = value
    return found

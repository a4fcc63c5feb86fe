"""What stages do alike: their grid, and their entry in `config.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError
from torch import nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.training.settings import StageName
from ddpm_core.training.stages.stage import record, save_grid, weights_file, write_checkpoint
from tests.training.small_runs import request_for


def test_stages_write_their_settings_beside_each_other(tmp_path: Path) -> None:
    out = tmp_path / "run"
    record(request_for(out), "vae", codec_settings={"channels": [16, 16]})
    record(request_for(out, seed=5), "denoiser")
    config = checkpoint.read_config(out)
    assert config.codec_settings == {"channels": [16, 16]}
    assert [config.training[stage]["seed"] for stage in ("vae", "denoiser")] == [0, 5]
    assert "denoiser" not in config.training["vae"]


def test_folders_are_named_and_nothing_else_is_said_of_this_machine(tmp_path: Path) -> None:
    out = tmp_path / "run"
    record(request_for(out, data=tmp_path / "photos", init=tmp_path / "faces"), "vae")
    said = checkpoint.read_config(out).training["vae"]
    assert (said["data"], said["init"]) == ("photos", "faces")
    assert str(tmp_path) not in (out / checkpoint.CONFIG).read_text(encoding="utf-8")


def test_a_denoiser_takes_over_how_its_start_works_best_whatever_lies_in_its_folder(tmp_path: Path) -> None:
    start, out = tmp_path / "faces", tmp_path / "run"
    defaults = {"inpaint": {"clamp": "clean", "steps": 12}}
    checkpoint.write_config(start, CheckpointConfig(size=16, defaults=defaults))
    record(request_for(out), "vae")
    record(request_for(out, init=start), "denoiser", denoiser={"channels": [32, 32]})
    assert checkpoint.read_config(out).defaults == defaults


@pytest.mark.parametrize("masks", [{}, {"mask_rule": "nearest"}])
def test_few_steps_that_the_start_was_taught_are_not_those_of_an_ordinary_denoiser(
    tmp_path: Path, masks: dict[str, Any]
) -> None:
    start, out, student = tmp_path / "few", tmp_path / "run", {"sampler": "lcm", "steps": 4}
    defaults = {"generate": student, "inpaint": student | {"clamp": "clean"} | masks}
    training = {"denoiser": {"denoiser": {"learns": "consistency"}}}
    checkpoint.write_config(start, CheckpointConfig(size=16, defaults=defaults, training=training))
    record(request_for(out, init=start), "denoiser", denoiser={"channels": [32, 32]})
    assert checkpoint.read_config(out).defaults == ({"inpaint": masks} if masks else {})


def test_defaults_that_a_person_changed_stay_when_the_run_goes_on(tmp_path: Path) -> None:
    start, out = tmp_path / "faces", tmp_path / "run"
    checkpoint.write_config(start, CheckpointConfig(size=16, defaults={"inpaint": {"steps": 12}}))
    record(request_for(out, init=start), "denoiser", denoiser={"channels": [32, 32]})
    checkpoint.write_config(out, checkpoint.read_config(out).model_copy(update={"defaults": {}}))
    record(request_for(out, init=start), "denoiser", denoiser={"channels": [32, 32]})
    assert checkpoint.read_config(out).defaults == {}


def test_what_was_said_of_the_pictures_stays_until_something_else_is_said(tmp_path: Path) -> None:
    out = tmp_path / "run"
    record(request_for(out, about="Us (CC0)", framing="face"), "vae")
    record(request_for(out), "denoiser")
    assert (checkpoint.read_config(out).about, checkpoint.read_config(out).framing) == ("Us (CC0)", "face")
    record(request_for(out, about="Cats", framing="any"), "denoiser")
    assert (checkpoint.read_config(out).about, checkpoint.read_config(out).framing) == ("Cats", "any")


@pytest.mark.parametrize("parts", [{"codec": "telepathy"}, {"clases": ["cat"]}, {"size": 0}, {"classes": "cat"}])
def test_a_stage_writes_nothing_that_could_not_be_read_again(tmp_path: Path, parts: dict[str, object]) -> None:
    out = tmp_path / "run"
    record(request_for(out), "vae")
    before = (out / checkpoint.CONFIG).read_bytes()
    with pytest.raises(ValidationError, match=next(iter(parts))):
        record(request_for(out), "vae", **parts)
    assert (out / checkpoint.CONFIG).read_bytes() == before


@pytest.mark.parametrize(
    ("stage", "name"), [("vae", checkpoint.CODEC_WEIGHTS), ("denoiser", checkpoint.DENOISER_WEIGHTS)]
)
def test_killed_while_it_writes_there_is_a_config_without_weights_and_weights_are_where_checkpoints_have_them(
    tmp_path: Path, stage: StageName, name: str
) -> None:
    class Killed(nn.Linear):
        def state_dict(self, *_: Any, **__: Any) -> dict[str, Any]:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(request_for(out), stage, Killed(2, 2), 3, size=16)
    assert [path.name for path in out.iterdir()] == [checkpoint.CONFIG]
    write_checkpoint(request_for(out), stage, nn.Linear(2, 2), 3, size=16)
    assert weights_file(out, stage) == out / name
    assert checkpoint.finished_after(out / name) == 3


def test_a_grid_is_whole_or_as_it_was(tmp_path: Path) -> None:
    class Broken(Image.Image):
        def save(self, path: Path, *_: object, **__: object) -> None:
            Path(path).write_bytes(b"half")
            raise OSError("no space left")

    path = tmp_path / "vae-000001.png"
    save_grid(Image.new("RGB", (4, 2), "teal"), path)
    before = path.read_bytes()
    with pytest.raises(UnwritableError, match=r"vae-000001\.png cannot be written"):
        save_grid(Broken(), path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]
    with Image.open(path) as grid:
        assert (grid.format, grid.size) == ("PNG", (4, 2))

"""Other names of choices: understood by requests, commands and checkpoints, and offered by none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ddpm_core.aliases import aliases_of
from ddpm_core.commands import sample
from ddpm_core.diffusion.constraints import CLAMPS, MASK_RULES
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.illusions import VIEWS
from ddpm_core.diffusion.samplers import SAMPLERS
from ddpm_core.diffusion.schedules import SCHEDULE_ALIASES, SCHEDULES
from ddpm_core.diffusion.spacing import SPACING_ALIASES, SPACINGS
from ddpm_core.images.animation import FORMATS
from ddpm_core.images.files import read_parameters
from ddpm_core.images.masks import FACE_PARTS
from ddpm_core.inspection.noising import NoiseRequest
from ddpm_core.networks.mixers import MIXERS
from ddpm_core.networks.tables import BACKBONES, CODECS
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.settings import DenoiserSettings
from tests.command_lines import assert_refused

TABLES = [SAMPLERS, SPACINGS, SCHEDULES, VIEWS, CLAMPS, MASK_RULES, FORMATS, FACE_PARTS, MIXERS, CODECS, BACKBONES]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: next(iter(table)))
def test_no_two_choices_are_the_same(table: Mapping[str, object]) -> None:
    assert len({id(choice) for choice in table.values()}) == len(table)


@pytest.mark.parametrize(("table", "aliases"), [(SPACINGS, SPACING_ALIASES), (SCHEDULES, SCHEDULE_ALIASES)])
def test_an_alias_stands_for_a_choice_and_is_none(table: Mapping[str, object], aliases: Mapping[str, str]) -> None:
    assert aliases
    assert set(aliases.values()) <= set(table)
    assert not set(aliases) & set(table)


def test_a_request_takes_an_alias_for_what_it_stands_for() -> None:
    assert GenerateRequest(spacing="trailing") == GenerateRequest(spacing="uniform")
    assert DenoiserSettings(schedule="quadratic").schedule == "scaled-linear"
    assert NoiseRequest(schedule="quadratic").schedule == "scaled-linear"
    assert aliases_of(GenerateRequest.model_fields["sampler"]) is None


def test_a_checkpoint_written_with_an_alias_has_the_schedule_of_that_name() -> None:
    assert Diffuser(schedule="quadratic").config() == Diffuser(schedule="scaled-linear").config()
    assert Diffuser().spaced_timesteps(20, "trailing") == Diffuser().spaced_timesteps(20, "uniform")


def test_a_command_takes_an_alias_and_offers_none(
    call, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ["--checkpoint", tiny_checkpoint, "--steps", 2, "--out", tmp_path]
    assert call(sample.main, *common, "--spacing", "trailing").status == 0
    assert read_parameters(tmp_path / "0.png")["spacing"] == "uniform"
    outcome = call(sample.main, *common, "--spacing", "even")
    assert_refused(outcome, "'uniform', 'quadratic', 'power', 'logsnr' or 'karras'", "not 'even'")
    monkeypatch.setenv("COLUMNS", "200")
    shown = call(sample.main, "--help").out
    assert "<uniform|quadratic|power|logsnr|karras>" in shown
    assert "trailing" not in shown

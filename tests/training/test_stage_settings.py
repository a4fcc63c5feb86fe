"""What each stage can be asked for: widths that a network can have, choices that the code offers."""

from __future__ import annotations

import pytest

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.schedules import SCHEDULES
from ddpm_core.networks.mixers import MIXERS
from ddpm_core.training.stage_settings import DenoiserSettings, VaeSettings
from tests.complaints import complaint_of


def test_widths_are_read_from_a_list_or_from_the_command_line() -> None:
    assert VaeSettings(channels="64,128").channels == (64, 128)
    assert VaeSettings(channels=[64, 128]).channels == (64, 128)
    assert DenoiserSettings(channels="96").channels == (96,)


@pytest.mark.parametrize("widths", ["", "64,wide", "64,,128", "0,64", "-8,64", "1,1,1,1,1,1,1", []])
def test_widths_no_network_can_have_are_refused(widths: object) -> None:
    assert "channels" in complaint_of(VaeSettings, channels=widths)
    assert "channels" in complaint_of(DenoiserSettings, channels=widths)


@pytest.mark.parametrize(
    ("vae", "sentence"),
    [
        ({"sampled": 5}, "belongs to an adversarial weight above 0"),
        ({"sampled": 5, "adversarial_weight": 0.1}, 'belongs to learns "decoder"'),
    ],
)
def test_samples_for_a_critic_are_refused_where_nobody_judges_them(vae: dict[str, float], sentence: str) -> None:
    assert sentence in complaint_of(VaeSettings, **vae)
    assert VaeSettings(sampled=5, adversarial_weight=0.1, learns="decoder").sampled == 5


def test_the_choices_of_settings_are_those_the_code_offers() -> None:
    for mixer in MIXERS:
        assert DenoiserSettings(mixer=mixer).mixer == mixer
    for schedule in SCHEDULES:
        assert Diffuser(schedule=DenoiserSettings(schedule=schedule).schedule).schedule == schedule

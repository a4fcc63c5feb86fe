"""What a comparison is asked for, and what is refused."""

from __future__ import annotations

import pytest

from ddpm_core.diffusion.spacing import SPACINGS
from ddpm_core.inspection.compare_request import CompareRequest
from tests.complaints import complaint_of


def test_a_comparison_has_the_values_typed_or_the_usual_ones() -> None:
    request = CompareRequest(across="steps", across_values=" 5, 9 ,", down="none")
    assert request.values("across") == ("5", "9")
    assert request.values("down") == ("",)
    assert set(CompareRequest(across="spacing", down="clamp").values("across")) <= set(SPACINGS)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"across": "steps", "down": "steps"}, "different"),
        ({"across": "checkpoint"}, "across_values"),
        ({"across_values": ",".join("123456789")}, "8"),
        ({"across": "colour"}, "across"),
    ],
)
def test_a_comparison_of_nothing_or_too_much_is_refused(values: dict, words: str) -> None:
    assert words in complaint_of(CompareRequest, **values)

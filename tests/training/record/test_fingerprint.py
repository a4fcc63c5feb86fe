"""Cards that the trainer wrote are told from those that a person has changed, or wrote."""

from __future__ import annotations

from pathlib import Path

from ddpm_core.checkpoints.native import CARD
from ddpm_core.training.record.fingerprint import is_own, sealed

ROOT = Path(__file__).resolve().parents[3]


def test_a_card_is_known_by_its_fingerprint() -> None:
    written = sealed("# a card\n")
    assert is_own(written)
    assert not is_own(written.replace("a card", "my card"))
    assert not is_own(written + "More.\n")
    assert not is_own("# a card\n")
    for name in ("faces-128", "digits", "avatars", "faces-x2"):
        assert not is_own((ROOT / "checkpoints" / name / CARD).read_text(encoding="utf-8"))

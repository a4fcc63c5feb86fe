"""Captions as they are learned: shortened, reordered, dropped, all from one seed."""

from __future__ import annotations

import random

import torch

from ddpm_core.training.captions import drawn_captions, varied

CAPTION = "big smile: pink mohawk, dark skin; cat ears"
PARTS = ["big smile", "pink mohawk", "dark skin", "cat ears"]


def test_parts_stay_whole_and_some_captions_are_shortened_some_reordered() -> None:
    draw = random.Random(0)
    found = [varied(CAPTION, draw).split(", ") for _ in range(2000)]
    assert all(part in PARTS for parts in found for part in parts)
    assert all(1 <= len(parts) == len(set(parts)) for parts in found)
    whole = [parts for parts in found if len(parts) == 4]
    assert 0.57 < len(whole) / len(found) < 0.68  # half, and one in four of the others
    assert 0.46 < sum(parts == PARTS for parts in whole) / len(whole) < 0.58
    assert {len(parts) for parts in found} == {1, 2, 3, 4}


def test_a_caption_of_one_part_or_none_stays_as_it_is() -> None:
    draw = random.Random(0)
    assert {varied("a red wall", draw) for _ in range(20)} == {"a red wall"}
    assert {varied("", draw) for _ in range(20)} == {""}


def test_a_fraction_is_dropped_and_half_of_those_without_a_class_as_well() -> None:
    torch.manual_seed(0)
    dropped = [caption == "" for caption in drawn_captions(["red"] * 10_000, 0.1)]
    assert 900 < sum(dropped) < 1100
    without_class = torch.arange(10_000) < 5_000
    dropped = [caption == "" for caption in drawn_captions(["red"] * 10_000, 0.1, without_class)]
    assert 2600 < sum(dropped[:5_000]) < 2900
    assert 400 < sum(dropped[5_000:]) < 600


def test_one_seed_draws_the_same_captions() -> None:
    def drawn() -> list[str]:
        torch.manual_seed(3)
        return drawn_captions([CAPTION] * 50, 0.1)

    assert drawn() == drawn()
    assert len(set(drawn())) > 10

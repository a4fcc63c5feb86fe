"""What serving is measured by, run small: rows come out, and bounds decide."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks import batching, leaving


def test_batches_are_judged_by_the_ratio_of_processor_time(tiny_checkpoint: Path) -> None:
    threads = torch.get_num_threads()
    ratio, *seconds = batching.measure(tiny_checkpoint, visitors=2, repeats=1)
    assert ratio.value == seconds[0].value / seconds[1].value
    assert ratio.ok is (ratio.value >= batching.WORTH_IT)
    assert torch.get_num_threads() == threads


def test_visitors_are_served_both_ways_and_the_ratio_is_that_of_the_seconds_that_pass(tiny_checkpoint: Path) -> None:
    ratio, one_at_a_time, batches, *spent = batching.served(tiny_checkpoint, visitors=2, repeats=1)
    assert ratio.value == one_at_a_time.value / batches.value
    assert [row.name.split(",")[0] for row in spent] == ["served: one at a time", "served: batches"]


def test_whoever_leaves_is_followed_until_nothing_is_held(tiny_checkpoint: Path) -> None:
    results = leaving.measure(tiny_checkpoint, repeats=1)
    assert [result.name.split(", ")[1] for result in results] == [
        "run stopped",
        "run left",
        "line left",
        "upload cut off",
    ]
    assert all(result.ok is (result.value <= leaving.SECONDS) for result in results)

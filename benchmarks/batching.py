"""`python -m benchmarks.batching`: how much faster eight waiting visitors are served in one batch than one by one.

By the model alone: eight requests for one picture beside one for eight, in seconds of one core. As served: eight
visitors with open pages press *Generate* at once, over HTTP, with batches (`ui.serving.together`) and without, in
seconds until the last has a picture, and in processor time.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, report
from benchmarks.studio import clicked, opened
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.models import Shelf
from ui.serving.line import line_of
from ui.serving.together import MOST_TOGETHER

VISITORS, REPEATS = 8, 3
WORTH_IT = 1.5  # times as many pictures per second, from which on batches are worth their code


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = CHECKPOINT,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print how many times faster eight pictures are made in one batch than one after the other."""
    with in_one_sentence():
        report([*measure(checkpoint), *served(checkpoint)], json_file)


def measure(checkpoint: Path = CHECKPOINT, visitors: int = VISITORS, repeats: int = REPEATS) -> list[Result]:
    """The ratio, and seconds of one core per picture of both."""
    model, together = LatentDiffusion.load(checkpoint), GenerateRequest(count=visitors)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a second thread that waits for the first would be counted as if it computed
    try:
        seconds = {"one at a time": [], "one batch": []}  # type: dict[str, list[float]]
        for _ in range(repeats + 1):
            for name, requests in (("one at a time", together.singles()), ("one batch", [together])):
                begun = time.process_time()
                for request in requests:
                    model.pictures(last(model.generate(request)).latent)
                seconds[name].append((time.process_time() - begun) / visitors)
    finally:
        torch.set_num_threads(threads)
    least = {name: min(each[1:]) for name, each in seconds.items()}  # the first round sets things up
    return [
        Result.at_least("batching: one at a time / one batch", least["one at a time"] / least["one batch"], WORTH_IT),
        *(Result(f"batching: {name}, s per picture", value) for name, value in least.items()),
    ]


def served(checkpoint: Path = CHECKPOINT, visitors: int = VISITORS, repeats: int = REPEATS) -> list[Result]:
    """The ratio of the seconds that pass, and seconds per picture of both, passed and of processor time."""
    shelf = Shelf.around(checkpoint)
    ways = {"one at a time": 1, "batches": MOST_TOGETHER}
    passed: dict[str, list[float]] = {way: [] for way in ways}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    sessions = [uuid.uuid4().hex for _ in range(visitors)]  # what opening them takes falls to the first round
    with opened(shelf) as (visitor, page), ThreadPoolExecutor(visitors) as crowd:
        for _ in range(repeats + 1):
            for way, together in ways.items():
                line_of(page).together = together
                begun, used = time.perf_counter(), time.process_time()
                asked = [
                    crowd.submit(clicked, visitor, page, session, shelf.first, GenerateRequest(seed=seed))
                    for seed, session in enumerate(sessions)
                ]
                for one in asked:
                    one.result()
                passed[way].append((time.perf_counter() - begun) / visitors)
                spent[way].append((time.process_time() - used) / visitors)
    least = {way: min(each[1:]) for way, each in passed.items()}  # the first round sets things up
    return [
        Result.at_least("served: one at a time / batches", least["one at a time"] / least["batches"], WORTH_IT),
        *(Result(f"served: {way}, s per picture", value) for way, value in least.items()),
        *(Result(f"served: {way}, s of processor time per picture", min(each[1:])) for way, each in spent.items()),
    ]


if __name__ == "__main__":
    run(main)

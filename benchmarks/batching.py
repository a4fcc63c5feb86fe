"""`python -m benchmarks.batching`: whether pictures of several visitors are made faster in one batch than one by one.

Eight requests for one picture each, as eight waiting visitors have them, beside one request for eight: the same seeds,
hence the same pictures (`diffusion.noise.SeededNoise`). An app that put its visitors' requests into one batch could be
faster by at most this; it would still have to cut previews and results apart. Counted are seconds of one core, whatever
else the machine does meanwhile.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, report
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

VISITORS, REPEATS = 8, 3
WORTH_IT = 1.5  # times as many pictures per second, from which on a queue of batches would be worth its code


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = CHECKPOINT,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print how many times faster eight pictures are made in one batch than one after the other."""
    with in_one_sentence():
        report(measure(checkpoint), json_file)


def measure(checkpoint: Path = CHECKPOINT, visitors: int = VISITORS, repeats: int = REPEATS) -> list[Result]:
    """The ratio, and seconds of one core per picture of both as a remark."""
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


if __name__ == "__main__":
    run(main)

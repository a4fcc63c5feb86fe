"""Stands in for `python -m ddpm_core.train`: writes what it writes, in the blink of an eye.

What it does is told by words in --about: "refuse" and "crash" fail, "wait" takes one step and then waits to be told to
stop, "full" finds no room when it is to save what it ends with; the last two only until it is resumed.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image
from safetensors.numpy import save_file


def refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"Error: {sentence}\n")
    sys.exit(2)


def save(stage: str, **about: str) -> None:
    save_file({"weights": np.zeros(1)}, out / f"{stage}.safetensors", metadata=about)
    (out / "config.json").write_text("{}")


given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
out, words, iterations = Path(given["out"]), given["about"].split(), int(given["iterations"])
notes, again = out / "training", "--resume" in sys.argv
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())

if "refuse" in words:
    refuse(f"There are no pictures in {out / 'training'}.")
for stage in ("vae", "denoiser"):
    path = notes / f"{stage}.jsonl"
    before = len(path.read_text().splitlines()) if path.exists() else 0
    if before and not again:
        refuse("It is there already.")
    with open(path, "a") as log:
        for step in range(before + 1, iterations + 1):
            row = {"step": step, "loss": 1 / step, "skipped": 0}
            Image.new("RGB", (8, 8), "teal").save(notes / f"{stage}-{step:06d}.png")
            log.write(json.dumps(row | ({"held_out_loss": 2 / step} if stage == "denoiser" else {})) + "\n")
            log.flush()
            save(stage)
            if "crash" in words:
                raise SystemError("out of luck")
            if "wait" in words and not again:
                stopped.wait()
            if stopped.is_set() and "full" not in words:
                sys.exit(0)
            if "full" in words and not again and (stopped.is_set() or (stage, step) == ("denoiser", iterations)):
                refuse(f"{out / stage}.safetensors cannot be written (No space left on device).")
    save(stage, finished=str(iterations))  # as `checkpoint.finished_after` reads it

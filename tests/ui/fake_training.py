"""Stands in for `python -m ddpm_core.train`: writes what it writes, in the blink of an eye.

What it does is told by --about: "refuse" and "crash" fail, "wait" takes one step and then waits to be told to stop.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from PIL import Image


def refuse(sentence: str) -> NoReturn:
    sys.stderr.write(f"Error: {sentence}\n")
    sys.exit(2)


given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
out, about, iterations = Path(given["out"]), given["about"], int(given["iterations"])
notes = out / "training"
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())

if about == "refuse":
    refuse(f"There are no pictures in {out / 'training'}.")
for stage in ("vae", "denoiser"):
    path = notes / f"{stage}.jsonl"
    before = len(path.read_text().splitlines()) if path.exists() else 0
    if before and "--resume" not in sys.argv:
        refuse("It is there already.")
    with open(path, "a") as log:
        for step in range(before + 1, iterations + 1):
            row = {"step": step, "loss": 1 / step, "skipped": 0}
            Image.new("RGB", (8, 8), "teal").save(notes / f"{stage}-{step:06d}.png")
            if step == iterations:
                (out / f"{stage}.safetensors").write_text(stage)
                (out / "config.json").write_text("{}")
            log.write(json.dumps(row | ({"held_out_loss": 2 / step} if stage == "denoiser" else {})) + "\n")
            log.flush()
            if about == "crash":
                raise SystemError("out of luck")
            if about == "wait" and "--resume" not in sys.argv:
                told.wait()
            if told.is_set():
                sys.exit(0)

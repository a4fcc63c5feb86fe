"""One training run: `python -m ddpm_core.train` as a process of its own, watched and stopped."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ddpm_core.checkpoints.native import finished_after
from ddpm_core.display.units import in_hours
from ddpm_core.training.settings import STAGES, StageName, TrainRequest
from ui.components.progress import Status, status
from ui.training.log import TrainingLog
from ui.training.order import PICTURES, Order

ROOT = Path(__file__).resolve().parents[2]
ORDER, OUTPUT = "order.json", "output.log"
RESUME = "--resume"
REFUSED = 2  # exit status of the command when it ends with a sentence
# When it is told to stop before it listens, with nothing to save.
ENDED_BEFORE_LISTENING = 1 if os.name == "nt" else -signal.SIGTERM
LAST_WORDS = 8192  # bytes of its output in which that sentence is looked for

log = logging.getLogger(__name__)

State = Literal["reading", "training", "stopping", "stopped", "finished", "failed"]


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        status: what the bar shows.
        row_count: rows of the logs so far.
    """

    state: State
    status: Status
    row_count: int

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state in ("reading", "training", "stopping")


class Run:
    """One process that trains, and what it has written. Threads may share it.

    Attributes:
        out: its checkpoint's folder.
        request: the run as the command resolved it.
    """

    def __init__(self, out: Path, order: Order, command: Sequence[str], clock: Callable[[], float] = time.monotonic):
        self.name, self.out, self.order, self.clock = out.name, out, order, clock
        self._fresh = RESUME not in command
        self.request = order.request(out)
        self.log = TrainingLog(out / "training", self.request.stages)
        self.log.read()
        self.output = out / "training" / OUTPUT
        self._before, self._stop_requested = self.log.row_count(), False
        self._pace: tuple[StageName | None, int, float] = (None, 0, 0.0)  # where and when the stage was first looked at
        self._end: State | None = None
        self._sentence = ""
        with open(self.output, "ab") as output:
            # A session of its own: Ctrl+C in the app's terminal is for the app, which then ends its run politely.
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._waiting = threading.Thread(target=self._wait, daemon=True)
        self._waiting.start()

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._end is None

    @property
    def gone(self) -> bool:
        """Whether somebody has deleted what it left."""
        return self._end in ("stopped", "finished") and not self.out.is_dir()

    def stop(self) -> None:
        """Ask it to finish its step, save and end; does not wait."""
        self._stop_requested = True
        self.process.terminate()

    def wait(self, patience: float | None = None) -> bool:
        """Wait until it has ended, `patience` seconds at most; whether it has."""
        self._waiting.join(patience)
        return not self.running

    def _wait(self) -> None:
        code = self.process.wait()
        end: State = "stopped" if code == 0 or (self._stop_requested and code == ENDED_BEFORE_LISTENING) else "failed"
        try:
            if is_finished(self.out, self.request):
                end = "finished"
                if self.order.data is None:
                    self.order.pictures(self.out).unlink()  # kept for resuming; nothing needs them any more
            elif end == "failed":
                self._sentence = self._failure(code)
                if code == REFUSED and self._fresh and self._is_bare():
                    shutil.rmtree(self.out)  # the name is free for another attempt
        except OSError:
            log.exception("what a training run left could not be tidied up")
        finally:
            self._end = end

    def _is_bare(self) -> bool:
        """Whether the command has written nothing but its output."""
        return {path.name for path in self.out.rglob("*")} <= {"training", ORDER, OUTPUT, PICTURES}

    def progress(self) -> Progress:
        """How far it is now."""
        end = self._end  # looked at first, so that what it wrote last is read below
        self.log.read()
        row_count = self.log.row_count()
        going: State = "stopping" if self._stop_requested else "training" if row_count != self._before else "reading"
        state = end or going
        return Progress(state, status(self._status_text(state), self._fraction_done()), row_count)

    def _status_text(self, state: State) -> str:
        match state:
            case "reading":
                return "Starting: it reads the pictures …"
            case "training":
                return self._position_text()
            case "stopping":
                return "Stopping: it finishes its step and saves …"
            case "stopped":
                return f"Stopped at {self._where() or 'the start'}. Resume goes on from there."
            case "finished":
                return f"{self.name} is finished, and in the list of checkpoints."
            case "failed":
                return self._sentence

    def _where(self) -> str:
        stage, step = self.log.position()
        return f"step {step} of {self._iterations(stage)}, {STAGES[stage]}" if stage else ""

    def _position_text(self) -> str:
        stage, step = self.log.position()
        stages = self.request.stages
        if stage is None:
            return ""
        words = [f"step {step} of {self._iterations(stage)}"]
        if (left := self._left(stage, step)) is not None:
            words.append(f"{in_hours(left)} left")
        stands = f" {stages.index(stage) + 1} of {len(stages)}" if len(stages) > 1 else ""
        words.append(f"stage{stands}: {STAGES[stage]}" if stands else STAGES[stage])
        if skipped := self.log.losses[stage].skipped:
            words[-1] += f", {skipped} steps skipped"
        return " · ".join(words)

    def _left(self, stage: StageName, step: int) -> float | None:
        """Seconds that the rest of the stage takes, by the pace since it was first watched."""
        watched_stage, first, since = self._pace
        if watched_stage != stage or step < first:
            self._pace = stage, step, self.clock()
            return None
        return (self.clock() - since) / (step - first) * (self._iterations(stage) - step) if step > first else None

    def _iterations(self, stage: StageName) -> int:
        return getattr(self.request, stage).iterations

    def _fraction_done(self) -> float:
        stages = self.request.stages
        stage, step = self.log.position()
        done = sum(self._iterations(each) for each in stages[: stages.index(stage)]) + step if stage else 0
        return done / sum(map(self._iterations, stages))

    def _failure(self, code: int) -> str:
        """The sentence that the command ended with; one that names the log if it had none."""
        with open(self.output, "rb") as output:
            lines = re.split(r"[\r\n]+", output.read()[-LAST_WORDS:].decode("utf-8", errors="replace"))
        sentences = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        if code == REFUSED and sentences:
            return sentences[-1].replace(f"{self.out.parent}/", "")
        where = self.output.relative_to(self.out.parent)
        return (
            f"Training broke off (exit status {code}); {where} has what it printed. Resume goes on from its last save."
        )


def is_finished(out: Path, request: TrainRequest) -> bool:
    """Whether the saved weights of a run's last stage are those after its last step: the log is ahead of them."""
    last = request.stages[-1]
    return (finished_after(out / f"{last}.safetensors") or 0) >= getattr(request, last).iterations

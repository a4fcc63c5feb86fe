"""Ctrl+C and polite kills: a run ends when it has something to save, and says how to go on."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# The terminal that closes hangs up on what runs in it; Windows has no such thing.
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interruption(BaseException):
    """Somebody wants the program to end, and nothing that it does is worth finishing."""


@dataclass
class Stop:
    """Whether somebody wants the run to end."""

    requested: bool = False
    waits: bool = False  # what is going on is finished first; otherwise the signal is an `Interruption`

    def wait(self) -> None:
        """From now on there is something to save."""
        self.waits = True


@contextlib.contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Inside, signals to end are noted in `stop`; one already ignored, as by `nohup`, stays so."""

    def note(number: int, frame: object) -> None:
        stop.requested = True
        if not stop.waits:
            stop.waits = True  # one is enough: what is left to do is to clean up
            raise Interruption

    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    handled = [number for number in STOP_SIGNALS if before[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def how_to_go_on(module: str, arguments: Sequence[str]) -> str:
    """The command line that continues a run started with `arguments`, for a POSIX shell."""
    again = [argument for argument in arguments if argument not in ("--resume", "--no-resume")]
    return f"python -m {module} {shlex.join([*again, '--resume'])}"

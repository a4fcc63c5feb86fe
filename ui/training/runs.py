"""The app's training runs: who may train, started, gone on with and ended with the app.

A run's files are in the `training/` folder of its checkpoint: `order.json`, `output.log`, uploaded pictures until it is
finished, and what the command writes.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ddpm_core.checkpoints.atomic import write_atomically
from ui.errors import Problem
from ui.training.order import Order
from ui.training.process import ORDER, RESUME, Run, is_finished

COMMAND = (sys.executable, "-m", "ddpm_core.train")
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
PATIENCE = 60.0  # seconds a run has for finishing its step and saving when the app ends
FORWARDED = {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}  # headers that proxies add

# "here" are pages opened at an address of this machine itself, without a proxy in between that says so.
Audience = Literal["nobody", "here", "everybody"]


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address or name to listen on."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def audience(host: str, share: bool, allowed: bool | None) -> Audience:
    """Who may train on an app that listens on `host`: as `allowed` says, else whoever is at this machine."""
    if allowed is not None:
        return "everybody" if allowed else "nobody"
    return "here" if is_local(host) and not share else "nobody"


class Trainings:
    """The app's training runs, one at a time; pages may come and go.

    Args:
        root: the folder of checkpoints.
        open_to: who may train; see `admits`.
        command: what to run, before its arguments.

    Attributes:
        run: the one that goes on, or the last that did; None before the first.
    """

    def __init__(
        self, root: Path, device: str = "auto", open_to: Audience = "nobody", command: Sequence[str] = COMMAND
    ):
        self.root, self.device, self.open_to, self.command = root, device, open_to, tuple(command)
        self.run: Run | None = None
        self._changing = threading.Lock()

    def __enter__(self) -> Trainings:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a page that was asked for with these headers may train."""
        if self.open_to != "here":
            return self.open_to == "everybody"
        named = {name.lower(): value for name, value in headers.items()}
        return not FORWARDED & named.keys() and is_local(urlsplit(f"//{named.get('host', '')}").hostname or "")

    def start(self, name: str, order: Order, keep: Callable[[Path], object] | None = None) -> Run:
        """Begin a run named `name`; `keep` writes uploaded pictures to the path it is given.

        Raises:
            Problem: a run is going on, or the name cannot be used or is taken; whatever `keep` raises.
        """
        with self._changing:
            self._must_be_idle()
            out = self.root / checked(name)
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                out.mkdir()  # the folder is this run's from here on: another process cannot have made it, too
            except FileExistsError:
                raise Problem(f"There is a checkpoint or a run {name!r} already; choose another name.") from None
            except OSError as error:
                raise _unwritable(out, error) from None
            try:
                (out / "training").mkdir()
                if keep is not None:
                    keep(order.pictures(out))
                text = order.model_dump_json(indent=2) + "\n"
                write_atomically(out / "training" / ORDER, lambda partial: partial.write_text(text, "utf-8"))
                self.run = self._begin(out, order)
            except BaseException as error:
                shutil.rmtree(out, ignore_errors=True)
                if isinstance(error, OSError):
                    raise _unwritable(out, error) from None
                raise
            return self.run

    def resume(self, name: str | None) -> Run:
        """Go on with an unfinished run.

        Raises:
            Problem: a run is going on, or there is none of that name.
        """
        with self._changing:
            self._must_be_idle()
            order = self._orders().get(name or "")
            if order is None:
                raise Problem("There is no such run to go on with; choose one from the list.")
            self.run = self._begin(self.root / str(name), order, RESUME)
            return self.run

    def _begin(self, out: Path, order: Order, *flags: str) -> Run:
        return Run(out, order, [*self.command, *order.arguments(out, self.device), *flags])

    def _must_be_idle(self) -> None:
        if self.run and self.run.running:
            raise Problem(f"{self.run.name!r} is being trained; stop it first, or wait until it is finished.")

    def stop(self) -> None:
        """Ask the run that goes on to save and end."""
        with self._changing:
            if self.run and self.run.running:
                self.run.stop()

    def unfinished(self) -> list[str]:
        """Names of the runs that can be gone on with."""
        going = self.run.name if self.run and self.run.running else None
        return sorted(name for name in self._orders() if name != going)

    def _orders(self) -> dict[str, Order]:
        found = {}
        for path in self.root.glob(f"*/training/{ORDER}"):
            out = path.parent.parent
            try:
                order = Order.model_validate_json(path.read_bytes())
                if not is_finished(out, order.request(out)):
                    found[out.name] = order
            except (OSError, ValueError, Problem):
                continue  # written by hand, or by a version with other presets
        return found

    def close(self, patience: float = PATIENCE) -> None:
        """Stop what goes on and wait until it has saved, `patience` seconds at most."""
        self.stop()
        if self.run:
            self.run.wait(patience)  # longer than that, it saves without us


def _unwritable(out: Path, error: OSError) -> Problem:
    return Problem(f"{out.name!r} could not be written: {error.strerror or error}.")


def checked(name: str | None) -> str:
    """A name that is safe as that of a folder.

    Raises:
        Problem: it is not.
    """
    if not NAME.fullmatch(name or ""):
        raise Problem("A checkpoint's name is made of letters, digits, - and _, at most 40 of them.")
    return str(name)

"""The front door: what makes it stay closed is one sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm_core import machine
from ddpm_core.networks.cpu import ahead
from tests.command_lines import Outcome, assert_refused
from ui import studio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start(call, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Call the front door in this process, which stays as it is, with flags that make it give up."""
    monkeypatch.setattr(machine, "give_back_large_blocks", lambda: True)
    monkeypatch.setattr(ahead, "start", lambda: None)
    return lambda *flags: call(studio.main, *flags)


def test_no_checkpoint_there(start: Callable[..., Outcome], tmp_path: Path) -> None:
    assert_refused(start("--checkpoint", tmp_path / "nosuch"), "nosuch is not there")


def test_broken_checkpoint(start: Callable[..., Outcome], own_checkpoint: Path) -> None:
    weights = own_checkpoint / "vae.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert_refused(start("--checkpoint", own_checkpoint), "vae.safetensors is damaged")


def test_bad_device(start: Callable[..., Outcome], tiny_checkpoint: Path) -> None:
    assert_refused(start("--checkpoint", tiny_checkpoint, "--device", "abacus"), "no device 'abacus'")


def test_bad_flags_are_called_as_they_were_typed(
    start: Callable[..., Outcome], tiny_checkpoint: Path, picture_folder: Path
) -> None:
    refused = start("--checkpoint", tiny_checkpoint, "--trust-proxy", "notanaddress")
    assert_refused(refused, "Error: --trust-proxy must be addresses", "not 'notanaddress'")
    refused = start("--checkpoint", tiny_checkpoint, "--max-waiting", "0")
    assert_refused(refused, "Error: --max-waiting should be greater than or equal to 1, not '0'")
    answers = ("--which-is-real", picture_folder, "--answers", picture_folder)
    assert_refused(start("--checkpoint", tiny_checkpoint, *answers), "cannot be written to", "name another file")
    # Before anything is loaded.
    assert_refused(start("--checkpoint", picture_folder / "nosuch", *answers), "cannot be written to")


@pytest.mark.integration
def test_port_taken(tiny_checkpoint: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        # As a person starts it: nothing that it imports has anything to say either.
        command = [sys.executable, "app.py", "--checkpoint", str(tiny_checkpoint), "--port", port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert_refused(Outcome(done.returncode, done.stdout, done.stderr), port)


@pytest.mark.integration
def test_compiling_that_takes_too_long_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "COMPILING", 0.1)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        studio._wait_for(process)
        assert process.poll() is None
        process.kill()
        process.wait()
        studio._wait_for(process)
    studio._wait_for(None)

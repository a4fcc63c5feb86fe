"""The front door: what makes it stay closed is one sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ui import studio

ROOT = Path(__file__).resolve().parents[2]


def start(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run the app with flags that make it give up."""
    command = [sys.executable, "app.py", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_no_checkpoint_there(tmp_path: Path) -> None:
    assert "nosuch is not there" in one_sentence(start("--checkpoint", str(tmp_path / "nosuch")))


def test_broken_checkpoint(own_checkpoint: Path) -> None:
    weights = own_checkpoint / "vae.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert "vae.safetensors is damaged" in one_sentence(start("--checkpoint", str(own_checkpoint)))


def test_bad_device(tiny_checkpoint: Path) -> None:
    assert "no device 'abacus'" in one_sentence(start("--checkpoint", str(tiny_checkpoint), "--device", "abacus"))


def test_port_taken(tiny_checkpoint: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in one_sentence(start("--checkpoint", str(tiny_checkpoint), "--port", port))


def test_compiling_that_takes_too_long_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "COMPILING", 0.1)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        studio._wait_for(process)
        assert process.poll() is None
        process.kill()
        process.wait()
        studio._wait_for(process)
    studio._wait_for(None)

"""How much memory the machine has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ddpm_core import machine as memory
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError
from ddpm_core.machine import available_memory


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel that says there are 1,000 kB, and a container of no limit."""
    (tmp_path / "meminfo").write_text("MemTotal:     9000 kB\nMemFree:   10 kB\nMemAvailable:     1000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 400000\ninactive_file 100000\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUPS", [(tmp_path, "memory.max", "memory.current", "inactive_file")])
    return tmp_path


def test_free_memory_is_what_the_kernel_says_can_be_had(kernel: Path) -> None:
    assert available_memory() == 1000 * 1024


def test_a_containers_limit_counts_but_not_what_the_kernel_can_take_back(kernel: Path) -> None:
    (kernel / "memory.max").write_text("1000000\n")
    assert available_memory() == 1_000_000 - (500_000 - 100_000)
    (kernel / "memory.max").write_text("900000000\n")
    assert available_memory() == 1000 * 1024


@pytest.mark.parametrize("said", [None, "MemTotal: 9000 kB\n"])
def test_without_such_a_kernel_it_is_what_is_built_in_or_unknown(
    kernel: Path, monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    (kernel / "meminfo").unlink()
    if said:
        (kernel / "meminfo").write_text(said)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 7, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert available_memory() == 7 * 4096
    monkeypatch.delattr(os, "sysconf")
    assert available_memory() is None


def test_this_machine_has_memory() -> None:
    assert (available_memory() or 1) > 0


def test_pictures_may_fill_what_is_left_of_a_containers_limit_and_no_more(kernel: Path) -> None:
    (kernel / "memory.max").write_text("1000000\n")  # of which 600,000 are left
    paths = [kernel / f"{number}.png" for number in range(6)]
    with pytest.raises(PictureError, match=r"6 files as 1 squares of 192 pixels"):
        load_pictures(paths, 192)  # 663,552 bytes
    with pytest.raises(PictureError, match="None of 5 files"):  # they are not there, and are looked for
        load_pictures(paths[:5], 192)

"""What the machine is faster in, and how much memory it has left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm_core import machine
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError
from ddpm_core.machine import ROUNDS, available_memory, faster_precision, resolve_precision, time_precisions

CPU = torch.device("cpu")


# What it computes in


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's cache folder, which is not there yet, in a process that has timed nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    faster_precision.cache_clear()
    yield tmp_path / "cache" / "ddpm-core"
    faster_precision.cache_clear()


class Timings:
    """A clock on which work in each type takes what it is said to; `busy` are what rounds it takes longer in, how much.

    Attributes:
        asked: types of the work that was done.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, busy: dict[int, float] | None = None, **seconds: float):
        self.seconds, self.busy, self.asked, self.now = seconds, busy or {}, [], 0.0
        monkeypatch.setattr(machine, "_work_in", self.work_in)
        monkeypatch.setattr(machine.time, "thread_time", lambda: self.now)

    def work_in(self, precision: str) -> Callable[[], None]:
        def work() -> None:
            turn = self.asked.count(precision)  # the first counts for nothing
            self.asked.append(precision)
            self.now += self.seconds[precision] * (self.busy.get(turn, 1) if precision == "bf16" else 1)

        return work


def anew() -> str:
    """What another process of this machine computes in."""
    faster_precision.cache_clear()
    return faster_precision()


def test_precision_is_what_was_requested_or_what_the_device_computes_in() -> None:
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    assert resolve_precision("fp16", CPU) == torch.float16
    assert resolve_precision("auto", torch.device("mps")) == torch.float32


@pytest.mark.parametrize(
    ("bf16", "expected"), [(0.6, "bf16"), (0.89, "bf16"), (0.95, "fp32"), (1.0, "fp32"), (2.0, "fp32")]
)
def test_a_processor_computes_in_bf16_where_that_takes_clearly_less_time(
    cache: Path, monkeypatch: pytest.MonkeyPatch, bf16: float, expected: str
) -> None:
    timings = Timings(monkeypatch, fp32=1.0, bf16=bf16)
    assert faster_precision() == expected
    assert timings.asked == ["fp32", "bf16"] * (ROUNDS + 1)  # they take turns
    assert resolve_precision("auto", CPU) == machine.DTYPES[expected]


def test_a_product_and_a_convolution_are_what_is_timed_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, before = [], torch.get_num_threads()
    conv2d = machine.F.conv2d

    def counted(*arguments: Any, **how: Any) -> torch.Tensor:
        threads.append(torch.get_num_threads())
        return conv2d(*arguments, **how)

    monkeypatch.setattr(machine.F, "conv2d", counted)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
        assert time_precisions()[0] in ("fp32", "bf16")
    assert {"aten::matmul", "aten::conv2d"} <= {event.key for event in profile.key_averages()}
    assert threads == [1] * 2 * (ROUNDS + 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("busy", "kept"), [((3,), True), ((2, 3, 4, 5), False)])
def test_a_busy_moment_changes_nothing_and_what_is_not_clear_is_not_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, busy: tuple[int, ...], kept: bool
) -> None:
    Timings(monkeypatch, dict.fromkeys(busy, 3.0), fp32=1.0, bf16=0.5)
    assert faster_precision() == "bf16"
    assert (cache / "precision.json").exists() == kept


def test_a_machine_that_is_busy_all_the_while_is_timed_again_at_the_next_start(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Timings(monkeypatch, {turn: 3.0 for turn in range(ROUNDS + 1) if turn % 2}, fp32=1.0, bf16=0.8)
    faster_precision()
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    assert anew() == "bf16"
    Timings(monkeypatch, fp32=1.0, bf16=2.0)
    assert anew() == "bf16"


def test_a_choice_that_an_earlier_version_kept_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)
    earlier = {f"{machine._processor()}, torch {torch.__version__}": "fp32"}
    (cache / "precision.json").write_text(json.dumps(earlier))
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    assert faster_precision() == "bf16"


def test_a_clock_too_coarse_to_tell_is_not_gone_by(monkeypatch: pytest.MonkeyPatch) -> None:
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    passed = iter([10.0, 13.0])
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(passed))
    work = machine._work_in("fp32")
    assert machine._seconds_of(work) == 1
    monkeypatch.setattr(machine, "TICK", 0)
    assert machine._seconds_of(work) == 3


def test_what_was_found_is_kept_and_not_timed_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    assert faster_precision() == "bf16"
    assert list(json.loads((cache / "precision.json").read_text()).values()) == ["bf16"]
    assert [file.name for file in cache.iterdir()] == ["precision.json"]
    later = Timings(monkeypatch, fp32=1.0, bf16=2.0)
    assert anew() == "bf16"
    assert later.asked == []


def test_another_processor_or_pytorch_in_the_same_home_is_timed_for_itself(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    assert faster_precision() == "bf16"
    Timings(monkeypatch, fp32=1.0, bf16=2.0)
    with monkeypatch.context() as patch:
        patch.setattr(machine, "_processor", lambda: "another")
        assert anew() == "fp32"
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "99.0")
        assert anew() == "fp32"
    assert anew() == "bf16"
    assert len(json.loads((cache / "precision.json").read_text())) == 3


def test_without_a_folder_to_keep_it_in_every_process_finds_out_for_itself(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("not a folder")
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    assert faster_precision() == "bf16"
    Timings(monkeypatch, fp32=1.0, bf16=2.0)
    assert anew() == "fp32"
    assert (tmp_path / "cache").read_text() == "not a folder"


def test_of_two_processes_that_begin_at_once_both_go_by_the_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    slower = Timings(monkeypatch, fp32=1.0, bf16=2.0)

    def meanwhile(precision: str) -> Callable[[], None]:
        if not cache.exists():  # the other process is done while this one still times
            machine._keep_choice(cache / "precision.json", machine._timed_on(), "bf16")
        return slower.work_in(precision)

    monkeypatch.setattr(machine, "_work_in", meanwhile)
    assert faster_precision() == "bf16"
    assert anew() == "bf16"


@pytest.mark.parametrize("said", [b"", b"{", b"[1]", b"\xff\xfe", b'{"%s": "int4"}', b'{"%s": ["bf16"]}'])
def test_a_damaged_file_is_ignored_and_written_anew(cache: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    cache.mkdir(parents=True)
    name = machine._timed_on().encode()
    (cache / "precision.json").write_bytes(said.replace(b"%s", name))
    Timings(monkeypatch, fp32=1.0, bf16=0.5)
    assert faster_precision() == "bf16"
    later = Timings(monkeypatch, fp32=1.0, bf16=2.0)
    assert anew() == "bf16"
    assert later.asked == []


# How busy it is


def test_its_load_is_that_of_the_last_minute_beside_its_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (3.5, 2.0, 1.0), raising=False)
    assert (found := machine.load_average()) is not None
    assert found[0] == 3.5
    assert 1 <= found[1] <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "getloadavg")  # as on Windows
    assert machine.load_average() is None


# How much memory it has left


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel that says there are 1,000 kB, and a container of no limit."""
    (tmp_path / "meminfo").write_text("MemTotal:     9000 kB\nMemFree:   10 kB\nMemAvailable:     1000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 400000\ninactive_file 100000\n")
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "CGROUPS", [(tmp_path, "memory.max", "memory.current", "inactive_file")])
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

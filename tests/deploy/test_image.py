"""What the image promises, held by its parts without Docker: they are laid out as the Dockerfile says, and run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from gradio_client import Client

from ui.serving.sweep import GB

ROOT = Path(__file__).resolve().parents[2]
STRANGER = ["unshare", "--user", "--map-user=4711", "--map-group=4711"]  # a user that the system does not know
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
FINAL = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def environment() -> dict[str, str]:
    """What the image tells every process."""
    (said,) = re.findall(r"^ENV (.*)$", FINAL, flags=re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(said))


def copied() -> Iterator[tuple[list[str], str]]:
    """What is copied from the repository, and where to."""
    for line in re.findall(r"^COPY (?!--from)(.*)$", FINAL, flags=re.MULTILINE):
        *sources, target = line.split()
        yield sources, target


@pytest.fixture
def image() -> Iterator[Path]:
    """A folder as the image's /studio, which nobody may write to, beside one as its /cache and one as its /tmp."""
    top = Path(tempfile.mkdtemp(prefix="image-"))  # pytest's own folders are closed to other users
    try:
        for sources, target in copied():
            for source in sources:
                place = top / "studio" / target / (source if target.endswith("/") else "")
                place.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, place)
        for name in ("cache", "tmp"):
            (top / name).mkdir()
            (top / name).chmod(0o1777)
        for path in (top / "studio", *(top / "studio").rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        top.chmod(0o755)
        yield top
    finally:
        for path in top.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(top)


def test_it_runs_as_any_user_and_writes_into_what_is_named_alone(image: Path) -> None:
    before = sorted((image / "studio").rglob("*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {name: value.replace("/cache", f"{image}/cache") for name, value in environment().items()}
    told = {name: value.replace("/tmp/studio", f"{image}/tmp/studio") for name, value in told.items()}
    told |= {"PATH": os.environ["PATH"], "TMPDIR": f"{image}/tmp", "OMP_NUM_THREADS": "1"}
    command = [*stranger(), sys.executable, "app.py", "--port", str(port), "--checkpoint", "checkpoints/digits"]
    with open(image / "said", "w") as said:
        app = subprocess.Popen(command, cwd=image / "studio", env=told, stdout=said, stderr=said)
    try:
        address = f"http://127.0.0.1:{port}"
        while not answers(f"{address}/healthz"):
            assert app.poll() is None, (image / "said").read_text()
            time.sleep(0.2)
        studio = Client(address, verbose=False, download_files=False)
        assert studio.predict(seed=1, steps=1, label="7", api_name="/generate"), (image / "said").read_text()
    finally:
        app.terminate()
        app.wait()
    assert sorted((image / "studio").rglob("*")) == before
    assert "Traceback" not in (image / "said").read_text()


def stranger() -> list[str]:
    """What makes a command that of a stranger, where the system lets users be mapped; root may write anywhere."""
    known = shutil.which(STRANGER[0]) and subprocess.run([*STRANGER, "true"], check=False, capture_output=True)
    return STRANGER if known and known.returncode == 0 else []


def answers(address: str) -> bool:
    try:
        return urlopen(address).status == 200
    except OSError:
        return False


def test_what_is_written_lies_in_the_cache_or_the_temporary_folder() -> None:
    told = environment()
    folders = {name: value for name, value in told.items() if value.startswith("/")}
    assert set(folders) >= {"HOME", "XDG_CACHE_HOME", "HF_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "GRADIO_TEMP_DIR"}
    assert {value.split("/")[1] for value in folders.values()} == {"cache", "tmp"}
    assert "mkdir --mode 1777 /cache" in FINAL
    assert re.search(r"^VOLUME /cache$", FINAL, flags=re.MULTILINE)


def test_what_pip_fetched_stays_out_of_the_image() -> None:
    steps = re.findall(r"^RUN (.*)$", DOCKERFILE, flags=re.MULTILINE)
    installing = [step for step in steps if "pip install" in step]
    assert len(installing) == 2  # of the page, and of its documentation's site
    for step in installing:
        assert step.startswith("--mount=type=cache,target=/root/.cache/pip ")  # pip's folder, as long as root builds
    assert DOCKERFILE.index("pip install", DOCKERFILE.index(FINAL)) < DOCKERFILE.index("\nENV ")  # which moves HOME
    assert FINAL.index("pip install") < FINAL.index("\nUSER ")


def test_what_changes_often_comes_last() -> None:
    order = [source for sources, _ in copied() for source in sources]
    assert order.index("requirements-core.txt") < order.index("checkpoints/faces-128") < order.index("ui")
    for part in ("app.py", "README.md", "static", "ddpm_core", "ui"):
        assert part in order
    for path in (ROOT / source for source in order):
        assert path.exists()


def test_the_replicas_are_those_that_nginx_knows() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    replicas = {name: one for name, one in compose["services"].items() if name != "nginx"}
    upstream = set(re.findall(r"server 127\.0\.0\.1:(\d+);", (ROOT / "deploy" / "nginx.conf").read_text()))
    ports = {one["command"][one["command"].index("--port") + 1] for one in replicas.values()}
    assert ports == upstream
    assert len(replicas) == 2
    for one in replicas.values():
        port = one["command"][one["command"].index("--port") + 1]
        assert f"127.0.0.1:{port}/healthz" in " ".join(one["healthcheck"]["test"])
        assert one["network_mode"] == "service:nginx"  # where 127.0.0.1 is nginx's
        assert one["read_only"]
        assert "ports" not in one
        assert {volume.partition(":")[0] for volume in one["volumes"]} <= set(compose["volumes"])
    assert "./nginx.conf:/etc/nginx/conf.d/default.conf:ro" in compose["services"]["nginx"]["volumes"]


def test_old_results_go_before_the_disk_they_share_is_full() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    options = compose["volumes"]["results"]["driver_opts"]["o"]
    (size,) = re.findall(r"size=(\d+)g", options)
    for one in compose["services"].values():
        if "GRADIO_TEMP_DIR" in one.get("environment", {}):
            kept = float(one["command"][one["command"].index("--max-disk") + 1])
            assert kept * GB <= int(size) * 2**30 / 2  # the rest is for what may not go yet

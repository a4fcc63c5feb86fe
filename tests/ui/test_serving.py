"""Two app processes behind one address: visitors keep their process, and without that nothing works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from ddpm_core.images.files import read_parameters
from tests.forked import free_port
from tests.ui.sticky import COOKIE, Proxy
from tests.visitor import PATIENCE, running
from ui.page import launch_settings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SEED = 4  # place of the seed in what is carried to the Process tab, the tabs first


@pytest.fixture(scope="module")
def apps(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Addresses of two app processes that share their folder of uploads and results."""
    folder = tmp_path_factory.mktemp("serving")
    with running(tiny_checkpoint, folder) as one, running(tiny_checkpoint, folder) as other:
        yield [one.address, other.address]


class Page:
    """What the page does in a browser: a session hash of its own, calls that join the queue, events that answer."""

    def __init__(self, address: str, session: str | None = None):
        self.session = session or uuid.uuid4().hex
        self.http = httpx.Client(base_url=address, timeout=PATIENCE)
        config = self.http.get("/config").json()
        self.numbers = {each["api_name"]: each["id"] for each in config["dependencies"]}
        self.heard: list[str] = []

    def press(self, name: str, *data: Any) -> list[Any]:
        """Have a handler of the page called; its outputs.

        Raises:
            LookupError: they did not come.
        """
        asked = {"fn_index": self.numbers[name], "data": data, "session_hash": self.session}
        self.http.post("/gradio_api/queue/join", json=asked).raise_for_status()
        try:
            with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as events:
                for line in events.iter_lines():
                    event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                    self.heard.append(event.get("msg", ""))
                    if event.get("msg") == "process_completed" and event["success"]:
                        return event["output"]["data"]
        except httpx.HTTPError as error:
            raise LookupError(f"the events broke off: {error}") from None
        raise LookupError(f"the events ended without an answer: {self.heard}")

    def generate(self, seed: int) -> None:
        self.press("_run", "tiny", seed, 1, 3, "ddim", "", 2.0, 0.0, "", "")

    def carried_seed(self) -> int:
        """Seed of the face that the session made last, as a button of the page takes it from the session's state."""
        return self.press("trace_face", None, None)[SEED]


def places(proxy: Proxy) -> dict[str, set[int]]:
    """Which apps answered each visitor."""
    return {who: {number for each, _, number in proxy.went if each == who} for who, _, _ in proxy.went}


def test_visitors_keep_their_process_through_a_whole_flow(apps: list[str]) -> None:
    proxy = Proxy(apps, sticky=True)
    with proxy.running(free_port()) as address:
        first, second = Page(address), Page(address)
        first.generate(11_111)
        second.generate(22_222)
        assert "process_generating" in first.heard  # previews came before the result
        assert (first.carried_seed(), second.carried_seed()) == (11_111, 22_222)
        assert sorted(places(proxy).values(), key=min) == [{0}, {1}]


def test_programs_keep_theirs_with_uploads_and_files(apps: list[str], tmp_path: Path) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    Image.new("RGB", (40, 30), "teal").save(photo)
    Image.fromarray(np.eye(30, 40, dtype=bool)).save(mask)
    proxy = Proxy(apps, sticky=True)
    with proxy.running(free_port()) as address:
        clients = [Client(address, verbose=False, download_files=tmp_path / str(number)) for number in range(2)]
        for seed, client in enumerate(clients):
            given = {"picture": handle_file(photo), "mask": handle_file(mask)}
            (path,) = client.predict(**given, seed=seed, steps=2, api_name="/inpaint")
            assert read_parameters(path)["seed"] == seed
        answered = places(proxy)
        joined = {(who, number) for who, path, number in proxy.went if path.endswith("/queue/join")}
        assert {number for _, number in joined} == {0, 1}
        assert all(answered[who] == {number} for who, number in joined)


def test_without_stickiness_no_answer_comes(apps: list[str]) -> None:
    with Proxy(apps, sticky=False).running(free_port()) as address, pytest.raises(LookupError):
        Page(address).generate(5)


def test_what_a_session_did_is_not_known_in_another_process(apps: list[str]) -> None:
    here = Page(apps[0])
    there = Page(apps[1], here.session)
    here.generate(33_333)
    assert here.carried_seed() == 33_333
    assert there.carried_seed() != 33_333


def test_a_file_made_by_one_process_can_be_fetched_from_the_other(apps: list[str]) -> None:
    client = Client(apps[0], verbose=False, download_files=False)
    (made,) = client.predict(seed=1, steps=2, api_name="/generate")
    path = f"/gradio_api/file={made['path']}"
    assert httpx.get(apps[1] + path).content == httpx.get(apps[0] + path).content != b""


@pytest.fixture
def through_nginx(apps: list[str], tmp_path: Path) -> Iterator[str]:
    """The address of nginx with the configuration as it is, but for the ports."""
    port, text = free_port(), (ROOT / "deploy" / "nginx.conf").read_text().replace("listen 80;", "listen LISTEN;")
    for number, address in zip(("7861", "7862"), apps, strict=True):
        text = text.replace(f"127.0.0.1:{number};", f"{address.removeprefix('http://')};")
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}{text.replace('LISTEN', f'127.0.0.1:{port}')}\n}}\n"
    )
    process = subprocess.Popen(["nginx", "-e", tmp_path / "error.log", "-p", tmp_path, "-c", tmp_path / "nginx.conf"])
    until = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
            break
        except httpx.HTTPError:
            assert process.poll() is None, (tmp_path / "error.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(PATIENCE)


def made_by(address: str) -> float:
    """How many pictures' runs an app has finished."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    named = 'studio_requests_total{kind="generate",outcome="done"}'
    return next((float(line.split()[-1]) for line in lines if line.startswith(named)), 0.0)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_behind_nginx_visitors_keep_their_process_and_both_have_some(apps: list[str], through_nginx: str) -> None:
    before, served = [made_by(address) for address in apps], [0.0, 0.0]
    visitors: list[Page] = []
    while 0.0 in served:  # which process a visitor gets is a matter of chance
        assert len(visitors) < 40
        visitors.append(Page(through_nginx))
        visitors[-1].generate(1000 + len(visitors))
        served = [made_by(address) - begun for address, begun in zip(apps, before, strict=True)]
    assert [page.carried_seed() for page in visitors] == [1001 + number for number in range(len(visitors))]
    assert httpx.get(f"{through_nginx}/metrics").status_code == httpx.codes.NOT_FOUND
    config = visitors[0].http.get("/config").json()
    assert config["root"] == through_nginx  # as visitors see it, not as the process is called


# What is tested above is a stand-in; these hold the file that visitors are served by to it, and to the manual.


def nginx() -> str:
    """The configuration without its comments."""
    return re.sub(r"#.*", "", (ROOT / "deploy" / "nginx.conf").read_text())


def manual() -> str:
    """The manual's text."""
    return (ROOT / "docs" / "serving.md").read_text()


def block(opening: str) -> str:
    """What stands in a block of the configuration that has no block inside."""
    (found,) = re.findall(rf"^{re.escape(opening)} {{\n(.*?)^}}", nginx(), re.DOTALL | re.MULTILINE)
    return found


def test_nginx_asks_the_processes_that_the_manual_starts() -> None:
    (name,) = re.findall(r"proxy_pass http://([^;/]+);", nginx())
    asked = re.findall(r"^ *server ([^;]+);", block(f"upstream {name}"), re.MULTILINE)
    started = re.findall(r"python app\.py --port (\d+)", manual())
    assert asked == [f"127.0.0.1:{port}" for port in started]
    assert len(set(asked)) == 2


def test_nginx_chooses_by_the_cookie_that_it_gives() -> None:
    (key,) = re.findall(r"hash (\$\w+) consistent;", block("upstream studio"))
    (given,) = re.findall(r"add_header Set-Cookie (\$\w+) always;", nginx())
    visitor, welcome = (
        dict(re.findall(r'^ *(""|default) +([^;"]+|".*");', block(f"map $cookie_{COOKIE} {variable}"), re.MULTILINE))
        for variable in (key, given)
    )
    assert visitor == {'""': "$request_id", "default": f"$cookie_{COOKIE}"}
    assert re.fullmatch(rf'"{COOKIE}=\$request_id; Path=/;.*"', welcome['""'])  # what the first answer was chosen by
    assert welcome["default"] == '""'


def test_nginx_has_every_line_that_the_manual_explains() -> None:
    lines = re.findall(r"^\| `([^`]+)`", manual().split("| line | why |")[1].split("\n\n")[0], re.MULTILINE)
    assert len(lines) == 5
    assert all(re.search(rf"\b{line}\b", nginx()) for line in lines)
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", nginx())
    assert launch_settings()["max_file_size"] == f"{megabytes}mb"

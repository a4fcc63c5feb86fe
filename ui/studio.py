"""`python app.py`, or ddpm-studio where it is installed: build the page and open it to visitors."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from ddpm_core.cli import fail, in_one_sentence, run, settings_of, takes
from ddpm_core.errors import UserError
from ui.serving.settings import ServingSettings

PATIENCE = 60.0  # seconds for the page's first answer, on a machine that is busy
COMPILING = 120.0  # seconds for kernels to be compiled from when the page is there, on a machine that is busy


@takes(ServingSettings)
def main(
    given: dict[str, Any],
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 lets other machines in")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port to listen on")] = 7860,
    checkpoint: Annotated[
        Path,
        typer.Option(
            help="checkpoint folder, or user/name[@revision] on the Hugging Face Hub; those beside it can be chosen on "
            "the page"
        ),
    ] = Path("checkpoints/faces-128"),
    share: Annotated[bool, typer.Option("--share", help="also open a public address on Gradio's servers")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
    allow_training: Annotated[
        bool | None,
        typer.Option(help="who may train on the page: everyone, or nobody; unless told, this machine alone"),
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="offer the API's endpoints as tools to MCP clients, too")] = False,
) -> None:
    """Start the studio in the browser."""
    from ddpm_core.networks.cpu import ahead

    compiling = ahead.start()  # first of all, beside the imports

    from ddpm_core.evaluation.which_is_real import check_writable
    from ddpm_core.machine import give_back_large_blocks
    from ui.api import tools
    from ui.errors import forgive_leaving
    from ui.models import Shelf
    from ui.page import build, launch_settings
    from ui.serving.ending import leave, serve_until
    from ui.serving.limits import limit_pixels
    from ui.serving.line import line_of
    from ui.serving.metrics import log_to_stderr
    from ui.training.runs import Trainings, audience

    give_back_large_blocks()
    with in_one_sentence():
        settings = settings_of(given, ServingSettings)
        visitors = settings.visitors()
        if settings.which_is_real:  # before models are loaded, which takes a while
            check_writable(settings.answers)
    try:
        if mcp:
            tools.check()
        shelf = Shelf.around(checkpoint, device)
        trainings = Trainings(shelf.root, device, audience(host, share, allow_training))
        page = build(shelf, trainings, settings)
    except UserError as error:
        fail(str(error))
    forgive_leaving()
    limit_pixels()
    log_to_stderr()
    os.environ["FORWARDED_ALLOW_IPS"] = settings.trust_proxy  # what uvicorn goes by
    stop = threading.Event()
    # What is being trained is saved, and what is being made is finished; whoever says it twice does not want to wait.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit() if stop.is_set() else stop.set())
    try:
        page.launch(
            server_name=host, server_port=port, share=share, prevent_thread_lock=True, auth=visitors,
            root_path=settings.root_path or None, mcp_server=mcp, **launch_settings(settings.framed_by),
        )  # fmt: skip
    except OSError:
        fail(f"{host}:{port} cannot be listened on; it may be taken: try another --port.")
    if not _answers(page.local_url):
        proxy = f"if a proxy is set, exempt the address with NO_PROXY={host}"
        fail(f"the page did not answer at {host}:{port}; the machine may be too busy, or {proxy}.")
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    typer.echo(f"The studio is open at {address} (Ctrl+C ends it).")
    if mcp:
        typer.echo(f"MCP clients find its tools at {address}/{tools.WHERE}.")
    with trainings:
        line = line_of(page)
        compiled = partial(_wait_for, compiling)
        line.pace.begin(*line.metrics.warmed_up(shelf.load(shelf.first), compiled=compiled))
        serve_until(page, stop, settings.grace)
    leave()


def _wait_for(compiling: subprocess.Popen[bytes] | None) -> None:
    """Wait until a process has ended, `COMPILING` seconds at most; afterwards what is missing is done here."""
    if compiling is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            compiling.wait(COMPILING)


def _answers(address: str | None) -> bool:
    """Whether the page can be reached at its own address, which a proxy may prevent."""
    try:
        return httpx.head(address or "", timeout=PATIENCE).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False


def command() -> None:
    """The console script `ddpm-studio`."""
    run(main)

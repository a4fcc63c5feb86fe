"""The endpoints as tools, asked for by a real MCP client over HTTP."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import io
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from gradio_client import Client
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent, Tool
from PIL import Image

from ddpm_core.errors import UserError
from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest, Request
from ui.api import tools
from ui.models import Shelf
from ui.page import build, launch_settings

pytestmark = pytest.mark.integration

REQUESTS = {"generate": GenerateRequest, "inpaint": InpaintRequest, "process": GenerateRequest, "edit": EditRequest}
FEW: dict[str, Any] = {"seed": 3, "steps": 2}


@pytest.fixture(scope="module")
def address(shelf: Shelf) -> Iterator[str]:
    """Where an app with tools is."""
    page = build(shelf)
    opened = {"server_name": "127.0.0.1", "prevent_thread_lock": True, "mcp_server": True}
    yield page.launch(**opened, **launch_settings())[1]
    page.close()


def ask(address: str, question: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    async def session() -> Any:
        async with (
            streamable_http_client(address + tools.WHERE) as (read, write, _),
            ClientSession(read, write) as client,
        ):
            await client.initialize()
            return await question(client)

    return asyncio.run(session())


def use(address: str, tool: str, **given: Any) -> CallToolResult:
    return ask(address, lambda client: client.call_tool(tool, given))


def text_of(result: CallToolResult) -> str:
    return "\n".join(content.text for content in result.content if isinstance(content, TextContent))


def data_url(picture: Image.Image) -> str:
    """A picture as clients hand it over that have no address of their own."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def test_a_tool_is_told_as_its_request_is(address: str) -> None:
    found = {tool.name: tool for tool in ask(address, lambda client: client.list_tools()).tools}
    assert set(REQUESTS) <= set(found)
    for name, request in REQUESTS.items():
        assert_told(found[name], request)
    assert found["edit"].inputSchema["required"] == ["picture"]
    strength = found["edit"].inputSchema["properties"]["strength"]
    assert (strength["exclusiveMinimum"], strength["maximum"]) == (0, 1)


def assert_told(tool: Tool, request: type[Request]) -> None:
    assert tool.description
    for name, field in request.model_fields.items():
        if tool.name == "process" and name in ("steps", "count"):  # of either kind of run, and one picture
            continue
        told = tool.inputSchema["properties"][name]
        assert told["description"].startswith(field.description or "")
        ends = {"type", "minimum", "exclusiveMinimum", "maximum"}
        schema = request.model_json_schema()["properties"][name]
        if field.annotation in (int, float):
            assert {end: told.get(end) for end in ends} == {end: schema.get(end) for end in ends}, (tool.name, name)


def test_tools_make_pictures(address: str) -> None:
    made = use(address, "generate", count=2, **FEW)
    assert not made.isError
    assert {f"tiny-seed-{seed}.png" in text_of(made) for seed in (3, 4)} == {True}
    picture, mask = Image.new("RGB", (40, 40), "teal"), Image.new("L", (40, 40))
    mask.paste(255, (5, 5, 20, 20))
    given = {"picture": data_url(picture), "mask": data_url(mask)}
    for tool, more in (("inpaint", given), ("edit", {"picture": given["picture"]}), ("process", {})):
        done = use(address, tool, **FEW, **more)
        assert not done.isError, text_of(done)
        assert "gradio_api/file=" in text_of(done)


def test_what_cannot_be_done_is_a_sentence(address: str) -> None:
    for tool, given, words in (
        ("generate", {"count": 1000}, "1000 is greater than the maximum of 8"),
        ("generate", {"checkpoint": "../x"}, "There is no checkpoint '../x'; choose from: tiny."),
        ("edit", {"picture": "/etc/passwd"}, "provide a url"),
        ("edit", {"picture": "file:///etc/passwd"}, "provide a url"),
    ):
        done = use(address, tool, **given)
        assert done.isError
        assert words in text_of(done)
        assert "Traceback" not in text_of(done)


def test_a_tool_fetches_nothing_from_an_address(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.5)
        done = use(address, "edit", picture=f"http://127.0.0.1:{stranger.getsockname()[1]}/x.png")
        assert done.isError
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_programs_read_the_bounds_too(address: str) -> None:
    told: Any = Client(address, verbose=False).view_api(return_format="dict", print_info=False)
    count = next(p for p in told["named_endpoints"]["/generate"]["parameters"] if p["parameter_name"] == "count")
    assert count["type"]["maximum"] == 8


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tools.check()
    monkeypatch.setattr(tools, "find_spec", lambda name: importlib.util.find_spec(f"no_{name}"))
    with pytest.raises(UserError, match=r'pip install "gradio\[mcp\]"'):
        tools.check()

"""Calls whose values are no values of the page's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from gradio_client import Client


@pytest.mark.parametrize(
    "data",
    [
        [], [None] * 50, [{"path": None}], [{"path": 5, "meta": {"_type": "gradio.FileData"}}] + [0.6] * 11,
        ["x", "y", [1], {}, None, 5, 5, 5, 5, 5, 5], [{"meta": 1}] * 11,
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_told_in_a_sentence(
    client: Client, capfd: pytest.CaptureFixture[str], data: list[Any]
) -> None:
    with httpx.Client(base_url=client.src, timeout=60, trust_env=False) as http:
        event = http.post("/gradio_api/call/edit", json={"data": data}).json()["event_id"]
        told = http.get(f"/gradio_api/call/edit/{event}").text
    assert told.startswith("event: error")
    assert told.rstrip().endswith('."}') or '", "' in told
    assert "null" not in told
    assert "Traceback" not in told + capfd.readouterr().err

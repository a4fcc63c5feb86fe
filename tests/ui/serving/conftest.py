"""Somebody who asks the app over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client


@pytest.fixture(scope="module")
def http(client: Client) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=client.src, timeout=60, trust_env=False) as visitor:
        yield visitor

"""The app asked over HTTP, as it is launched."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import numpy as np
from PIL import Image


def png(path: Path) -> bytes:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
    return path.read_bytes()


def upload(http: httpx.Client, name: str, content: bytes) -> str:
    (path,) = http.post("/gradio_api/upload", files={"files": (name, content)}).raise_for_status().json()
    return str(path)


def fetched(http: httpx.Client, path: str) -> httpx.Response:
    return http.get(f"/gradio_api/file={path}")


def assert_refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert re.search(words, answer.json()["detail"])

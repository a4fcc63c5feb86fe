"""The app's flags: who may come in, from a file, and below which path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ddpm_core.errors import UserError
from tests.complaints import complaint_of
from ui.serving.settings import ServingSettings


def test_names_and_passwords_are_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "visitors"
    file.write_text("# the house\nann:a:b\n\nbob:c\n", encoding="utf-8")
    assert ServingSettings(auth=file).visitors() == [("ann", "a:b"), ("bob", "c")]
    assert ServingSettings().visitors() is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"\xff", "it is not text"),
        (b"ann\n", "line 1, is not name:password"),
        (b"# nobody\n", "names nobody"),
    ],
)
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "visitors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        ServingSettings(auth=file).visitors()


def test_a_root_path_begins_with_a_slash_and_ends_without() -> None:
    assert ServingSettings(root_path="/studio/").root_path == "/studio"
    with pytest.raises(ValidationError, match="must begin with a slash"):
        ServingSettings(root_path="studio")


@pytest.mark.parametrize("addresses", ["", "127.0.0.1", "10.0.0.0/8, ::1", "*"])
def test_proxies_are_addresses_networks_or_all(addresses: str) -> None:
    assert ServingSettings(trust_proxy=addresses).trust_proxy == addresses


@pytest.mark.parametrize("addresses", ["notanaddress", "127.0.0.1, nginx", "127.0.0.1,*", "10.0.0.1/8", "10.0.0"])
def test_a_proxy_that_nobody_could_be_is_refused(addresses: str) -> None:
    assert complaint_of(ServingSettings, trust_proxy=addresses).startswith("trust_proxy must be addresses or networks")

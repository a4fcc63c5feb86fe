"""How the app serves its visitors; the flags of `python app.py` are made from this."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from ddpm_core.errors import UserError
from ddpm_core.requests import Request

FRAMED_BY = "https://huggingface.co https://*.hf.space"  # where a Space is shown


def _root(path: str) -> str:
    if path and not path.startswith("/"):
        raise ValueError("must begin with a slash, such as /studio")
    return path.rstrip("/")


def _proxies(addresses: str) -> str:
    try:
        for one in filter(None, map(str.strip, addresses.split(","))):
            ip_network("0.0.0.0/0" if addresses.strip() == "*" else one)
    except ValueError:
        # uvicorn takes anything else for a name, which no request comes from: nothing would be believed, or said.
        raise ValueError("must be addresses or networks, such as 127.0.0.1 or 10.0.0.0/8, or * for all") from None
    return addresses.strip()


def _chosen(path: object) -> object:
    return path or None


class ServingSettings(Request):
    """What is offered to how many, and who may come."""

    root_path: Annotated[str, AfterValidator(_root)] = Field(
        "", description="path of the site below which a proxy shows the page, such as /studio"
    )
    max_visitors: int = Field(
        200, ge=1, le=100_000, description="visitors served at a time; one who asks for nothing for 5 minutes has left"
    )
    max_waiting: int = Field(32, ge=1, le=10_000, description="requests that may stand in line")
    per_visitor: int = Field(4, ge=1, le=1000, description="requests that one page may have in line or running")
    per_address: int = Field(
        12, ge=1, le=1000, description="the same for all from one address; this machine's own may have any number"
    )
    max_disk: float = Field(
        8,
        gt=0,
        le=100_000,
        description="gigabytes of uploads and results to keep; of more, the oldest go before an hour",
    )
    grace: float = Field(
        25, ge=0, le=3600, description="seconds to finish what is in line when told to end; many kill after 30"
    )
    trust_proxy: Annotated[str, AfterValidator(_proxies)] = Field(
        "",
        description="addresses of proxies, parted by commas, whose X-Forwarded-For is believed: 127.0.0.1 for one here",
    )
    framed_by: str = Field(
        FRAMED_BY, description="addresses of pages, parted by spaces, that may show this one in a frame"
    )
    which_is_real: Annotated[Path | None, BeforeValidator(_chosen)] = Field(
        None, description="folder of real pictures for a tab that asks which of two is real; without it there is none"
    )
    answers: Path = Field(Path("which-is-real.jsonl"), description="file that answers to that are added to")
    auth: Annotated[Path | None, BeforeValidator(_chosen)] = Field(
        None, description="file of visitors who may come in, a line each: name:password"
    )

    def visitors(self) -> list[tuple[str, str]] | None:
        """Names and passwords of those who may come in; None for everybody.

        Raises:
            UserError: the file cannot be read, names nobody, or has another line than name:password.
        """
        if self.auth is None:
            return None
        try:
            lines = self.auth.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UserError(
                f"{self.auth} cannot be read ({reason}); name a file with a line name:password each."
            ) from None
        found = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, password = line.partition(":")
            if not (name and colon and password):
                raise UserError(f"{self.auth}, line {number}, is not name:password.")
            found.append((name, password))
        if not found:
            raise UserError(f"{self.auth} names nobody, so nobody could come in; write a line name:password.")
        return found

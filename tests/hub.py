"""A stand-in for the Hugging Face Hub: as much of its HTTP interface as `huggingface_hub` uses here."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class Hub(ThreadingHTTPServer):
    """Models by "user/name"; of each, its commits by branch, tag or hash, and a log of what was asked for.

    Attributes:
        models: by name, by revision, the hash of the commit and its files.
        asked: "GET /path" of every request.
        pretended: sizes that are told of files, by name, instead of their own.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.models: dict[str, dict[str, tuple[str, Files]]] = {}
        self.asked: list[str] = []
        self.pretended: dict[str, int] = {}
        self.commits: list[dict[str, Any]] = []  # their headers

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, name: str, files: Files, *also: str) -> str:
        """A new commit on a model's main branch, and under other names; returns its hash."""
        commit = hashlib.sha1(name.encode() + b"".join(files.values())).hexdigest()
        revisions = self.models.setdefault(name, {})
        revisions |= dict.fromkeys(("main", commit, *also), (commit, files))
        return commit

    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        found = (re.fullmatch(r"GET /.+/resolve/[^/]+/(.+)", unquote(line)) for line in self.asked)
        return {line[1] for line in found if line}


class Visit(BaseHTTPRequestHandler):
    """One request."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Tests say what they have to say."""

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+?))?/?", path):
            name, kind, revision = found.groups()
            if (commit := self._commit(name, revision or "main")) is None:
                return
            sha, files = commit
            listing = [self._entry(path, content) for path, content in files.items()]
            siblings = [{"rfilename": path} for path in files]
            self._json(listing if kind == "tree" else {"id": name, "sha": sha, "siblings": siblings})
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, revision, file = found.groups()
            if (commit := self._commit(name, revision)) is not None:
                sha, files = commit
                said = {"ETag": f'"{hashlib.sha1(files[file]).hexdigest()}"', "X-Repo-Commit": sha}
                if file in self.server.pretended:
                    said["X-Linked-Size"] = str(self.server.pretended[file])
                self._answer(200, files[file], said)
        else:
            self._answer(404, b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        sent = self._body()
        path = unquote(urlsplit(self.path).path)
        if self.headers.get("Authorization") != "Bearer hf_stand_in":
            self._answer(401, b'{"error": "Invalid username or password."}')
        elif path == "/api/repos/create":
            name = f"{json.loads(sent).get('organization') or 'someone'}/{json.loads(sent)['name']}"
            self.server.models.setdefault(name, {})
            self._json({"url": f"{self.server.address}/{name}", "name": name, "id": name})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(sent)["files"]
            ]
            self._json({"files": files})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            lines = [json.loads(line) for line in sent.splitlines()]
            self.server.commits += [line["value"] for line in lines if line["key"] == "header"]
            files = [line["value"] for line in lines if line["key"] == "file"]
            commit = self.server.put(found[1], {f["path"]: base64.b64decode(f["content"]) for f in files}, found[2])
            self._json({"commitUrl": f"{self.server.address}/{found[1]}/commit/{commit}", "commitOid": commit})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        else:
            self._answer(404, b"")

    def _commit(self, name: str, revision: str) -> tuple[str, Files] | None:
        code = "RepoNotFound" if name not in self.server.models else "RevisionNotFound"
        if (commit := self.server.models.get(name, {}).get(revision)) is None:
            self._answer(404, b"", {"X-Error-Code": code, "X-Error-Message": "not there"})
        return commit

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        size = self.server.pretended.get(path, len(content))
        return {"type": "file", "path": path, "size": size, "oid": hashlib.sha1(content).hexdigest()}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, content: Any) -> None:
        self._answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers while the block runs."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


def files_of(folder: Path) -> Files:
    """A folder's files as a hub holds them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

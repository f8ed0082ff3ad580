"""A server that speaks as the model hub does, for one model with a branch for each of some directories."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

NAME = "some/model"


class Hub:
    """The address of the server and the paths that were asked for."""

    def __init__(self, address: str) -> None:
        self.address, self.asked = address, []


class Handler(BaseHTTPRequestHandler):
    """Answers for the list of branches and for files; everything else is not there."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path, files = self.path.split("?")[0], f"/{NAME}/resolve/"
        self.server.hub.asked.append(path)
        if path == f"/api/models/{NAME}/refs":
            self.send(self.server.refs(), {}, body=body)
        elif path.startswith(files):
            self.resolve(*path.removeprefix(files).split("/", 1), body=body)
        else:
            self.send(b"{}", {"X-Error-Code": "EntryNotFound"}, body=body, status=404)

    def resolve(self, revision: str, name: str, *, body: bool) -> None:
        found = self.server.file_of(revision, name)
        commit = {"X-Repo-Commit": self.server.commits.get(revision, revision)}
        if found is None:
            self.send(b"", {"X-Error-Code": "EntryNotFound", **commit}, body=body, status=404)
            return
        content = found.read_bytes()
        self.send(content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', **commit}, body=body)

    def send(self, content: bytes, headers: Mapping[str, str], *, body: bool, status: int = 200) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """The branches of one model, each a directory, and files that lie ``beside`` all of them."""

    def __init__(self, branches: Mapping[str, Path], beside: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.branches, self.beside = branches, beside
        self.commits = {name: hashlib.sha256(name.encode()).hexdigest()[:40] for name in branches}
        self.hub = Hub(f"http://127.0.0.1:{self.server_port}")

    def refs(self) -> bytes:
        rows = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": commit} for n, commit in self.commits.items()]
        return json.dumps({"branches": rows, "converts": [], "tags": []}).encode()

    def file_of(self, revision: str, name: str) -> Path | None:
        branch = next((one for one, commit in self.commits.items() if revision in (one, commit)), None)
        places = [self.branches[branch] / name, self.beside / name] if branch else []
        return next((path for path in places if path.is_file()), None)


@contextmanager
def served(branches: Mapping[str, Path], beside: Path) -> Iterator[Hub]:
    """Serve the files of each directory, and those beside all of them, as branches of some/model."""
    server = Server(branches, beside)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""An HTTP twin of the schema registry's REST API, for tests: it answers on loopback as Confluent's does, from memory.

It knows what `client` asks for, basic auth, and the levels of compatibility, judged by the same rules as `weft schema check`.
"""

import base64
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from connectors.registry.calls import ACCEPT
from schemas.compatibility import breaks
from schemas.contracts import Contract


class Refused(Exception):
    """The error that the API answers with; the status is the code's first three digits."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class RegistryTwin:
    """Subjects and schemas in memory."""

    def __init__(self, auth: str | None = None) -> None:
        self.auth = auth  # user:password, if it asks for them
        self.level = "BACKWARD"
        self.asked: list[str] = []  # what was asked, in order
        self.delay_s = 0.0  # how long it thinks
        self.answers: Mapping[str, Any] = {}  # what it says instead, by path: a test's lies
        self._ids: dict[str, int] = {}  # by text
        self._bodies: dict[int, dict[str, Any]] = {}
        self._subjects: dict[str, list[int]] = {}

    def put(self, subject: str, schema: str, **more: Any) -> int:
        """Put a schema under a subject, whatever the level says; its id."""
        key = json.dumps([schema, more], sort_keys=True)
        made = self._ids.setdefault(key, len(self._ids) + 1)
        self._bodies[made] = {"schema": schema, **more}
        versions = self._subjects.setdefault(subject, [])
        if made not in versions:
            versions.append(made)
        return made

    def answer(self, method: str, path: str, body: Any) -> Any:
        """What the API says.

        Raises:
            Refused: with an error.
        """
        for wanted, pattern, act in _ROUTES:
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                return act(self, *(unquote(part) for part in found.groups()), *(() if body is None else (body,)))
        raise Refused(405, f"there is no {method} {path}")

    def _schema(self, number: str) -> Any:
        if int(number) not in self._bodies:
            raise Refused(40403, f"Schema {number} not found")
        return self._bodies[int(number)]

    def _list(self) -> list[str]:
        return list(self._subjects)

    def _versions(self, subject: str) -> list[int]:
        return [at + 1 for at in range(len(self._known(subject)))]

    def _version(self, subject: str, version: str) -> Any:
        ids = self._known(subject)
        at = len(ids) if version == "latest" else int(version)
        if not 0 < at <= len(ids):
            raise Refused(40402, f"Version {version} not found.")
        return {"subject": subject, "version": at, "id": ids[at - 1], **self._bodies[ids[at - 1]]}

    def _lookup(self, subject: str, body: Any) -> Any:
        wanted = Contract.of(json.loads(body["schema"])).schema
        for version in self._versions(subject):
            found = self._version(subject, str(version))
            if Contract.of(json.loads(found["schema"])).schema == wanted:
                return found
        raise Refused(40403, "Schema not found")

    def _register(self, subject: str, body: Any) -> Any:
        said = self._judged(subject, body) if subject in self._subjects else []
        if said:
            raise Refused(409, f"Schema being registered is incompatible with an earlier schema: {said}")
        return {"id": self.put(subject, body["schema"])}

    def _compatible(self, subject: str, body: Any) -> Any:
        said = self._judged(subject, body)
        return {"is_compatible": not said, "messages": said}

    def _judged(self, subject: str, body: Any) -> list[str]:
        try:
            new = Contract.of(json.loads(body["schema"]))
        except ValueError as error:
            raise Refused(42201, f"Invalid schema: {error}") from error
        ids = self._known(subject) if "TRANSITIVE" in self.level else self._known(subject)[-1:]
        found = []
        for old in (Contract.of(json.loads(self._bodies[one]["schema"])) for one in ids):
            found += breaks(old, new) if self.level.startswith(("BACKWARD", "FULL")) else []
            found += breaks(new, old) if self.level.startswith(("FORWARD", "FULL")) else []
        return [str(one) for one in found]

    def _config(self, subject: str = "") -> Any:
        if subject:
            raise Refused(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return {"compatibilityLevel": self.level}

    def _known(self, subject: str) -> list[int]:
        if subject not in self._subjects:
            raise Refused(40401, f"Subject '{subject}' not found.")
        return self._subjects[subject]


_SUBJECT: Final = "/subjects/([^/]+)"
_ROUTES: Final[list[tuple[str, str, Callable[..., Any]]]] = [
    ("GET", r"/schemas/ids/(\d+)", RegistryTwin._schema),
    ("GET", "/subjects", RegistryTwin._list),
    ("GET", _SUBJECT + "/versions", RegistryTwin._versions),
    ("GET", _SUBJECT + r"/versions/(latest|\d+)", RegistryTwin._version),
    ("POST", _SUBJECT, RegistryTwin._lookup),
    ("POST", _SUBJECT + "/versions", RegistryTwin._register),
    ("POST", "/compatibility" + _SUBJECT + "/versions", RegistryTwin._compatible),
    ("GET", "/config/([^/]+)", RegistryTwin._config),
    ("GET", "/config", RegistryTwin._config),
]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer takes 40 ms
    twin: RegistryTwin

    def _serve(self) -> None:
        path, twin = urlsplit(self.path).path, self.twin
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        twin.asked.append(f"{self.command} {path}")
        time.sleep(twin.delay_s)
        wanted = None if twin.auth is None else "Basic " + base64.b64encode(twin.auth.encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self._say(401, {"error_code": 40101, "message": "Unauthorized"})
            return
        try:
            said = twin.answers[path] if path in twin.answers else twin.answer(self.command, path, json.loads(raw) if raw else None)
            self._say(*said) if isinstance(said, tuple) else self._say(200, said)
        except Refused as refused:
            self._say(int(str(refused.code)[:3]), {"error_code": refused.code, "message": str(refused)})

    do_GET = _serve
    do_POST = _serve

    def _say(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", ACCEPT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: `asked` has it."""


class _Server(ThreadingHTTPServer):
    """Ends what clients keep open too: a registry that is down answers nobody."""

    daemon_threads = True

    def __init__(self, port: int, handler: type[_Handler]) -> None:
        self.open: list[Any] = []
        super().__init__(("127.0.0.1", port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for request in self.open:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def served(twin: RegistryTwin, port: int = 0) -> Iterator[str]:
    """The twin on loopback; its URL. A free port unless one is given."""
    handler = type("Handler", (_Handler,), {"twin": twin})
    server = _Server(port, handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

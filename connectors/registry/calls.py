"""One call to a schema registry's REST API: what it answers, or an error that says what is wrong. Never says the password."""

import base64
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from queue import LifoQueue
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from schemas.errors import UnreachableError, UsageError

CONNECTIONS: Final = 16
ACCEPT: Final = "application/vnd.schemaregistry.v1+json"
_ANSWER_BYTES: Final = 16_777_216
_REFUSED: Final = (401, 403)
_SAID: Final = (404, 409, 422)  # with an `error_code`: the registry's own word, and no outage


class Answer(NamedTuple):
    """What a registry said."""

    status: int
    body: Any

    @property
    def code(self) -> int:
        """Its error code; 0 if all went well."""
        return int(self.body["error_code"]) if self.status in _SAID else 0

    @property
    def sentence(self) -> str:
        """Its own words for what is wrong."""
        return str(self.body.get("message", "")) if isinstance(self.body, Mapping) else ""


class _Asked(NamedTuple):
    """One call."""

    method: str
    path: str
    data: bytes | None


class Calls:
    """Connections that are kept open, made when they are needed: for so many threads at once; the others wait."""

    def __init__(self, url: str, auth: str | None, timeout_s: float) -> None:
        """Of a registry's URL.

        Raises:
            UsageError: it is none.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise UsageError("the setting registry is no URL of a schema registry", "It looks like https://host:8081.")
        if parts.username is not None:
            raise UsageError("the URL of the schema registry holds a user", "Put user:password into the setting registry_auth.")
        if auth is not None and ":" not in auth:
            raise UsageError("the setting registry_auth is not of the form user:password")
        made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._free: LifoQueue[http.client.HTTPConnection] = LifoQueue()  # the one used last comes first: it is open
        for _ in range(CONNECTIONS):
            self._free.put(made(parts.hostname, port, timeout=timeout_s))
        self._timeout_s = timeout_s
        self._base = parts.path.rstrip("/")
        self._headers = {"Accept": ACCEPT, "Content-Type": ACCEPT}
        if auth is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        self.where: Final = f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}{self._base}"

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask; once more where the connection that was kept open is closed.

        Raises:
            UnreachableError: no answer, or none of a schema registry; it refuses the user, or is in trouble itself.
        """
        data = None if body is None else json.dumps(body).encode()
        connection = self._free.get()
        try:
            status, raw = self._exchanged(connection, _Asked(method, self._base + path, data), time.monotonic() + self._timeout_s)
        finally:
            self._free.put(connection)
        return self._read(status, raw)

    def _exchanged(self, connection: http.client.HTTPConnection, asked: _Asked, until_s: float) -> tuple[int, bytes]:
        kept = connection.sock is not None
        try:
            return self._answered(connection, asked, until_s)
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last is said of a host that is no name
            with contextlib.suppress(OSError):
                connection.close()
            if kept and not isinstance(error, TimeoutError):
                return self._exchanged(connection, asked, until_s)
            hint = "Is it running? What waits for it goes on when it answers."
            raise UnreachableError(
                f"the schema registry at {self.where} can't be reached: {error or type(error).__name__}", hint
            ) from error

    def _answered(self, connection: http.client.HTTPConnection, asked: _Asked, until_s: float) -> tuple[int, bytes]:
        """What it answers, all of it by then: the socket's own timeout is for each piece, and an answer may come in drips."""
        if connection.sock is None:
            connection.connect()
        end = threading.Timer(max(0.0, until_s - time.monotonic()), _shut, (connection.sock,))
        end.daemon = True
        end.start()
        try:
            connection.request(asked.method, asked.path, asked.data, self._headers)
            answer = connection.getresponse()
            found = answer.status, answer.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= until_s:
                raise TimeoutError("timed out") from error
            raise
        finally:
            end.cancel()
        if time.monotonic() >= until_s:
            raise TimeoutError("timed out")
        return found

    def _read(self, status: int, raw: bytes) -> Answer:
        if status in _REFUSED:
            sentence = f"the schema registry at {self.where} refuses the user or password ({status})"
            raise UnreachableError(sentence, "Put user:password into the setting registry_auth.")
        try:
            answer = Answer(status, json.loads(raw))
        except (ValueError, RecursionError):
            answer = Answer(status, None)
        fine = status < 300 and answer.body is not None
        if fine or (status in _SAID and isinstance(answer.body, dict) and type(answer.body.get("error_code")) is int):
            return answer
        sentence = f"the schema registry at {self.where} answers {status}"
        if 300 <= status < 500 or status < 300:
            raise UnreachableError(f"{sentence}, and not as a registry does", "Is its URL right, with the path if it has one?")
        raise UnreachableError(sentence, "Mend the registry: what waits for it goes on.")


def _shut(connection: socket.socket) -> None:
    """End it under whoever reads from it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)

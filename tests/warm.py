"""A `weft` that starts quickly: every command is a process of its own, forked off one that has imported everything.

python tests/warm.py SOCKET serves; `program(folder, socket)` writes a `weft` that asks it.
"""

import array
import importlib
import json
import os
import pkgutil
import socket
import sys
import traceback
from pathlib import Path

ASK = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({socket!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    sys.exit(int(server.recv(8) or b"1"))
"""
MODULES = ("ops.cli", "ops.daily", "ops.flow", "ops.audit", "ops.plugins", "ops.sinks", "ops.project", "ops.run", "serving.training")


def program(folder: Path, at: Path) -> None:
    """Write `folder/weft`."""
    folder.mkdir(exist_ok=True)
    file = folder / "weft"
    file.write_text(ASK.format(python=sys.executable, socket=str(at)))
    file.chmod(0o755)


def serve(at: str) -> None:
    """Answer, one command after the other, until standard input ends."""
    for name in MODULES:
        package = importlib.import_module(name)
        for found in pkgutil.iter_modules(package.__path__, f"{name}."):
            if not found.ispkg and not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(at)
        server.listen()
        print("ready", flush=True)
        while True:
            asker, _ = server.accept()
            with asker:
                answer(asker)


def answer(asker: socket.socket) -> None:
    """Run one command, and say how it ended."""
    head, descriptors, _, _ = socket.recv_fds(asker, 4, 3)
    size, asked = int.from_bytes(head, "big"), b""
    while len(asked) < size:
        asked += asker.recv(size - len(asked))
    child = os.fork()
    if child == 0:
        become(list(array.array("i", descriptors)), *json.loads(asked))
    for descriptor in descriptors:
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    asker.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def become(descriptors: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """The fork: the command."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 64)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["weft", *arguments]
        code = importlib.import_module("ops.cli.main").run(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])

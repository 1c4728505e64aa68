"""The model server's process: `python -m serving.app --folder DIR --grpc-port N --http-port N [--project DIR]`."""

import argparse
import os
import sys
from pathlib import Path

from schemas.errors import WeftError
from serving.app import environment


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    parser = argparse.ArgumentParser("serving.app", description="Serves the approved models of a project on loopback.")
    parser.add_argument("--folder", type=Path, required=True, help="where the server keeps its state and logs")
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--project", type=Path, default=None, help="holds models/; what is built in comes second")
    arguments = parser.parse_args(argv)
    os.environ.update(environment.settings(arguments.folder))
    from serving.app.server import Server  # noqa: PLC0415 - ray reads its settings when it is imported

    try:
        Server(arguments.folder, arguments.project, arguments.grpc_port, arguments.http_port).run()
    except WeftError as error:
        print(f"{error.sentence}\n{error.hint}".strip(), file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

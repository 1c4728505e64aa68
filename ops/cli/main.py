"""The command line, `weft`.

To add a command: (1) write a function with Typer annotations, or a Typer application for a group, in ops/cli/<name>.py;
(2) add a row to COMMANDS in ops/cli/commands.py; (3) raise a WeftError for what a person must hear, return an Exit, print through
ops.cli.output. The module is imported only when its command is used.
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ops.cli.commands import COMMANDS, Row, as_typed
from schemas.errors import UnreachableError, WeftError
from schemas.vocabulary import Exit

INTERRUPTED = 130


class LazyGroup(TyperGroup):
    """A group that lists its commands from a table and imports one only to run it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows = {row.name: row for row in COMMANDS}
        self.commands = {row.name: _listed(row) for row in COMMANDS}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command instead of the listed one."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _loaded(self.rows[name]) if name in self.rows else command, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands by panel, without Rich: importing it would double the time of --help."""
        del ctx
        for panel in dict.fromkeys(row.panel for row in self.rows.values()):
            with formatter.section(panel):
                formatter.write_dl([(row.name, row.help) for row in self.rows.values() if row.panel == panel])


def _listed(row: Row) -> TyperCommand:
    return TyperCommand(name=row.name, short_help=row.help, help=row.help)


def _loaded(row: Row) -> Any:
    module, _, attribute = row.target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        application = typer.Typer(add_completion=False)
        application.command(row.name)(found)
        found = application
    command = typer.main.get_command(found)
    command.name = row.name
    return command


app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def _version(asked: bool) -> None:
    if asked:
        metadata = importlib.import_module("importlib.metadata")  # here, since it costs a tenth of --help
        typer.echo(f"weft {metadata.version('weft')}")
        raise typer.Exit()


@app.callback(epilog="Examples:  weft up  |  weft doctor  |  weft --project ../my-flows status --json")
def weft(
    project: Annotated[Path | None, typer.Option(help="The folder with flows/ and weft.toml; else the working directory.")] = None,
    data: Annotated[Path | None, typer.Option(help="The local stack's data folder; else .weft in the project.")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Every event ends in exactly one outcome, and anyone can prove it."""
    del version
    for name, value in (("WEFT_PROJECT", project), ("WEFT_DATA", data)):
        if value is not None:
            os.environ[name] = str(value.resolve())  # so that the workers that a command starts see it too


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. What goes wrong is one sentence on standard error, never a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        returned = typer.main.get_command(app).main(args=given or ["--help"], prog_name="weft", standalone_mode=False)
    except typer.TyperException as error:
        return _refused(error)
    except typer.Abort:
        return Exit.FAILED
    except UnreachableError as error:
        load = importlib.import_module("streams.settings").load
        return _failed(importlib.import_module("ops.stack.services").named(error, load()), given)
    except WeftError as error:
        return _failed(error, given)
    except BrokenPipeError:  # `weft results | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        named = f": {error.filename}" if error.filename else ""
        return _failed(WeftError(f"{error.strerror or error}{named}.", "Correct that, then try again."), given)
    return returned if isinstance(returned, int) else Exit.DONE


def _options(given: Sequence[str]) -> Sequence[str]:
    """What stands before the command; all of these have a value."""
    at = 0
    while at < len(given) and given[at].startswith("-"):
        at += 1 if "=" in given[at] else 2
    return given[:at]


def _refused(error: typer.TyperException) -> int:
    rich_utils = importlib.import_module("typer.rich_utils")
    rich_utils.rich_format_error(error)
    return error.exit_code


def _failed(error: WeftError, given: Sequence[str]) -> int:
    error.hint = as_typed(error.hint, _options(given))
    importlib.import_module("ops.cli.output").complain(error)
    return error.exit_code


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End as by ctrl-C, whoever listens to that now."""
    hears = signal.getsignal(signal.SIGINT)
    if not callable(hears):  # it is ignored, as by whoever was started in the background
        raise KeyboardInterrupt
    hears(number, frame)


def main() -> None:
    """The entry point of the installed program."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # else somebody wants it ignored, as nohup does
            signal.signal(number, _interrupted)
    sys.exit(run())


if __name__ == "__main__":
    main()

"""`weft plugin`: which steps and sinks there are that are not Weft's, and whether they keep the laws."""

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from ops.cli.output import Json, as_json, listing, say, table
from processors.flow.project import FolderProject
from schemas.vocabulary import Exit
from streams.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List steps and sinks of your own, and try them by the laws.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List every plugin, in plugins/ of the project and in installed packages, and say why one is not used. Imports them.

    Example:

      weft plugin list --json
    """
    from ops.plugins.trial import listed

    listing(listed(_project()), json, "There is no plugin. Write plugins/steps/<word>.py or plugins/sinks/<word>.py in the project folder.")


@app.command("test")
def try_(
    plugins: Annotated[list[str] | None, typer.Argument(metavar="[PLUGIN]...", help="Plugins by their word; else all.")] = None,
    json: Json = False,
) -> int:
    """Try plugins by the laws that Weft's own steps are held to, on the EXAMPLE in each. Prints every law, kept or broken.

    Examples:

      weft plugin test

      weft plugin test codes --json
    """
    from ops.plugins.trial import chosen, tried

    project = _project()
    found = [kept for plugin in chosen(project, plugins or ()) for kept in asyncio.run(tried(plugin, project))]
    broken = [kept for kept in found if kept.wrong]
    if json:
        as_json([kept.as_json() for kept in found])
    elif not found:
        say("There is no plugin to try.")
    else:
        rows = [
            (one.plugin.word, one.law, Text("broken" if one.wrong else "kept", style="red" if one.wrong else "green"), one.wrong)
            for one in found
        ]
        table(("plugin", "law", "", "why"), rows)
        count = len({(one.plugin.kind, one.plugin.word) for one in found})
        said = f"{len(broken)} of {len(found)} laws are broken" if broken else f"all {len(found)} laws are kept"
        say(f"{count} plugin{'s' if count > 1 else ''}: {said}.", "red" if broken else "green")
    return Exit.FAILED if broken else Exit.DONE


def _project() -> FolderProject:
    return FolderProject(load().project_folder)

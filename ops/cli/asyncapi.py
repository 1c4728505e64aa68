"""`weft flow asyncapi`: what a flow's topics are, for other systems and their tools."""

from typing import Annotated

import typer

from ops.cli.output import Json, json_text
from processors.flow.check import check
from schemas.errors import UsageError
from streams.registry import project_of
from streams.settings import load


def asyncapi(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The flow's name.")],
    partitions: Annotated[int, typer.Option(min=1, max=1000, help="Of the input topic.")] = 4,
    yaml: Annotated[bool, typer.Option("--yaml", help="As YAML; so it is printed where nothing is said.")] = False,
    json: Json = False,
) -> None:
    """Print the AsyncAPI 3.0 document of a flow: topics, what stands on them with its Avro schema and headers, who reads and writes.

    Examples:

      weft flow asyncapi loan-decisions > loan-decisions.asyncapi.yaml

      weft flow asyncapi departure-delays --json
    """
    from ops.flow import asyncapi as made

    if yaml and json:
        raise UsageError("A document is YAML or JSON, not both.", "Leave out --yaml or --json.")
    project = project_of(load())
    document = made.asyncapi(check(project, flow), project.contracts(), partitions)
    typer.echo(json_text(document) if json else made.text(document), nl=json)

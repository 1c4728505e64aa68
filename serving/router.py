"""The router: which version of a model answers, through which breaker. Implements the port `Models`; knows no Ray."""

import time
from collections.abc import Callable, Sequence

import pyarrow as pa

from processors.flow.project import FolderProject
from processors.ports import Answer
from schemas.errors import FailedError, UnreachableError, UsageError
from schemas.manifest import Manifest
from serving.breaker import Breaker, Circuit
from serving.catalog import Catalog, Manifests
from serving.client import Endpoint, NoAnswerError

CHAMPION = "champion"
ROUTES = (CHAMPION,)


class Router:
    """Sends each call to the version that its route names. Manifests are read once."""

    def __init__(self, catalog: Manifests, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> None:
        self.catalog = catalog
        self.endpoint = endpoint
        self._clock = clock
        self._manifests: dict[str, Manifest] = {}
        self._breakers: dict[str, Breaker] = {}

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        """As the port says.

        Raises:
            UsageError: there is no manifest, or it is not the one that the flow was made for.
        """
        manifest = self._chosen(model, route, keys)
        missing = [one.name for one in manifest.inputs if one.name not in columns.schema.names]
        if missing:
            sentence = f"{manifest.ident} takes {', '.join(missing)}, which the flow does not give: it was applied for another version"
            raise UsageError(sentence, "bring that version of the model back, or apply the flow under a new version")
        breaker = self._breaker(manifest)
        if not breaker.admit():
            raise UnreachableError(f"{manifest.ident} did not answer several times; it is tried again soon", "look at `weft status`")
        try:
            answer = await self.endpoint.infer(manifest, columns, timeout_s)
        except (UnreachableError, NoAnswerError):
            breaker.failed()
            raise
        except FailedError:  # it answered: a refusal is the caller's fault or the model's, not the connection's
            breaker.succeeded()
            raise
        except BaseException:
            breaker.released()
            raise
        breaker.succeeded()
        return answer

    def reading(self, manifests: Manifests) -> "Router":
        """The same server behind the same breakers, asked for the versions of other manifests."""
        other = Router(manifests, self.endpoint, self._clock)
        other._breakers = self._breakers
        return other

    def circuits(self) -> dict[str, Circuit]:
        """Where each breaker stands, by name@version."""
        return {ident: breaker.circuit for ident, breaker in self._breakers.items()}

    async def close(self) -> None:
        """Let go of the connections."""
        await self.endpoint.close()

    def _chosen(self, model: str, route: str, keys: Sequence[bytes | None]) -> Manifest:
        """The version that the route names for these rows' keys; the champion is the one version in the project's folder."""
        del keys  # a canary will choose by their hash
        if route not in ROUTES:
            raise FailedError(f"there is no route `{route}`", f"valid: {', '.join(ROUTES)}")
        if model not in self._manifests:
            manifest = self.catalog.manifest(model)
            if not manifest.approval.approved:
                raise FailedError(f"{manifest.ident} is not approved ({manifest.approval.why})", "only approved models are asked")
            self._manifests[model] = manifest
        return self._manifests[model]

    def _breaker(self, manifest: Manifest) -> Breaker:
        return self._breakers.setdefault(manifest.ident, Breaker(self._clock))


def remote_models(project: FolderProject, endpoint: Endpoint) -> Router:
    """Models that a server answers for."""
    return Router(Catalog(project), endpoint)

"""The web views of a worker, on loopback: /health, /ready, /metrics, /flows."""

from typing import Any

import faust

from streams.host import LaneHost
from streams.metrics import CONTENT_TYPE


def mount(app: faust.App, host: LaneHost) -> None:
    """Add the views to the app."""

    async def health(view: Any, request: Any) -> Any:
        """The process answers."""
        del request
        return view.json({"healthy": True})

    async def ready(view: Any, request: Any) -> Any:
        """Whether it works, and if not, why."""
        del request
        reasons = list(host.reasons())
        return view.json({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def metrics(view: Any, request: Any) -> Any:
        """For Prometheus."""
        del request
        return view.bytes(host.metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def flows(view: Any, request: Any) -> Any:
        """What the lane does."""
        del request
        return view.json(host.status())

    for path, handler in (("/health", health), ("/ready", ready), ("/metrics", metrics), ("/flows", flows)):
        app.page(path, name=path[1:])(handler)

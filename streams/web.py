"""The web views of a worker, on loopback: /health, /ready, /metrics, /flows."""

from typing import Any

import faust

from streams.host import LaneHost


def mount(app: faust.App, host: LaneHost) -> None:
    """Add the views to the app."""

    async def health(view: Any, request: Any) -> Any:
        """Whether it should go on: 503 and why where only a new start helps."""
        del request
        reasons = list(host.ills())
        return view.json({"healthy": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def ready(view: Any, request: Any) -> Any:
        """Whether it is at work: 503 and why where it is not."""
        del request
        reasons = list(host.reasons())
        return view.json({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def metrics(view: Any, request: Any) -> Any:
        """For Prometheus: as OpenMetrics with exemplars for who accepts it, else as text."""
        told, content_type = host.metrics(request.headers.get("Accept", ""))
        return view.bytes(told, headers={"Content-Type": content_type, "Vary": "Accept"})

    async def flows(view: Any, request: Any) -> Any:
        """What the lane does."""
        del request
        return view.json(host.status())

    for path, handler in (("/health", health), ("/ready", ready), ("/metrics", metrics), ("/flows", flows)):
        app.page(path, name=path[1:])(handler)

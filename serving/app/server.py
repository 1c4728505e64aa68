"""Starts Ray, serves every approved model whose digest verifies, waits for the end, and leaves no process behind."""

import math
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray
from ray import serve

from processors.flow.project import FolderProject
from schemas.errors import StackError, UsageError, WeftError
from schemas.manifest import Manifest
from serving.app import environment, session
from serving.app.front import Front, Replica
from serving.catalog import TRAIN, Catalog

HOST = "127.0.0.1"
OBJECT_STORE_BYTES = 100 * 1024 * 1024
_LOOK_S = 1.0


class Server:
    """One Ray of its own with one Serve application."""

    def __init__(self, folder: Path, project: Path | None, grpc_port: int, http_port: int) -> None:
        self.folder = folder
        self.catalog = Catalog(FolderProject(project))
        self.grpc_port = grpc_port
        self.http_port = http_port
        self._ended = threading.Event()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, or until Ray is gone.

        Raises:
            UsageError: there is no model to serve.
            StackError: Ray or Serve did not start, or ended by itself.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ended.set())
        models = self._models()
        temporary = environment.make_short_folder(self.folder)
        try:
            self._start(models, temporary)
            print(f"ready: {', '.join(manifest.ident for manifest, _ in models)}", flush=True)
            self._wait()
        finally:
            self._stop()

    def _models(self) -> list[tuple[Manifest, bytes]]:
        """What may be served; what may not is said."""
        found = []
        for name in self.catalog.names():
            try:
                manifest = self.catalog.manifest(name)
                found.append((manifest, self.catalog.content(manifest)))
            except WeftError as error:
                print(f"not served: {error.sentence}", flush=True)
        if not found:
            raise UsageError("There is no approved model to serve.", TRAIN)
        return found

    def _start(self, models: list[tuple[Manifest, bytes]], temporary: Path) -> None:
        asked_cpus = sum(manifest.resources.num_cpus for manifest, _ in models)
        try:
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, math.ceil(asked_cpus)),  # logical: a small machine serves many models too
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                namespace="weft",
                runtime_env={
                    "worker_process_setup_hook": "serving.app.loopback.bind",
                    "py_executable": shlex.quote(sys.executable),  # Ray hands it to a shell
                },
                _temp_dir=str(temporary),
                _node_ip_address=HOST,
            )
            serve.start(
                proxy_location="HeadOnly",
                http_options={"host": HOST, "port": self.http_port},
                grpc_options={"port": self.grpc_port, "grpc_servicer_functions": ["serving.protocol.service.add_to_server"]},
            )
            serve.run(self._application(models), name="weft", route_prefix="/")
        except (RuntimeError, OSError, ray.exceptions.RayError) as error:
            raise StackError(f"the model server did not start: {str(error).splitlines()[0]}", f"its logs are in {temporary}") from error

    def _application(self, models: list[tuple[Manifest, bytes]]) -> Any:
        cluster: Any = ray
        front: Any = Front
        gpus = float(cluster.cluster_resources().get("GPU", 0))
        replicas = {manifest.ident: _deployment(manifest, content, gpus) for manifest, content in models}
        return front.bind([manifest.model_dump_json() for manifest, _ in models], replicas)

    def _wait(self) -> None:
        cluster: Any = ray  # its functions have no types
        while not self._ended.wait(_LOOK_S):
            if not any(node["Alive"] for node in cluster.nodes()):
                raise StackError("Ray ended by itself")

    def _stop(self) -> None:
        """Ask, then end whatever is left of our session."""
        deadline = threading.Timer(10.0, session.end_others)  # a dead Ray may hold the calls below for ever
        deadline.daemon = True
        deadline.start()
        try:
            cluster: Any = ray  # its functions have no types
            serve_all: Any = serve
            serve_all.shutdown()
            cluster.shutdown()
        except Exception as error:
            print(f"stopping: {error}", flush=True)
        deadline.cancel()
        session.end_others()
        environment.remove_short_folder(self.folder)
        print(f"stopped at {time.strftime('%H:%M:%S')}", flush=True)


def _deployment(manifest: Manifest, content: bytes, gpus: float) -> Any:
    """One deployment per version; without a GPU it runs on the CPU, and its metadata says so."""
    options = {"num_cpus": manifest.resources.num_cpus, "num_gpus": manifest.resources.num_gpus}
    if manifest.resources.num_gpus > gpus:
        print(f"degraded: {manifest.ident} asks for {options['num_gpus']:g} GPU, there are {gpus:g}; it runs on the CPU", flush=True)
        options["num_gpus"] = 0
    make: Any = serve.deployment(
        name=manifest.ident.replace("@", "-"),
        num_replicas=1,
        max_ongoing_requests=9,  # one of them is the front's lifeline
        ray_actor_options=options,
        health_check_period_s=2,
        graceful_shutdown_timeout_s=1,  # a run takes milliseconds, a lifeline ends only with the replica
    )
    return make(Replica).bind(manifest.model_dump_json(), content)

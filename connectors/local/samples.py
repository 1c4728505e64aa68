"""Samples from workers to whoever watches them on this machine: datagrams on a socket in the run's folder, open to its user alone.

The kernel holds what was not read yet, up to a bound; what does not fit is let go, so the sender never waits. Each datagram is an Arrow
IPC stream that says by itself which flow and step it is of.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from processors.ports import Sample

FRAME_BYTES = 64 << 10  # of columns in one datagram; the kernel holds ten datagrams, and some 200 kB of a sender
DATAGRAM_BYTES = BUFFER_BYTES = 1 << 20
FLOW, STEP = b"weft.flow", b"weft.step"


class SocketSamples:
    """Sends samples to the socket, if somebody listens there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)

    def offer(self, sample: Sample) -> int:
        """See Samples."""
        taken = 0
        try:
            with _short(self._path) as address:
                for part in _parts(sample.columns):
                    self._socket.sendto(encode(Sample(sample.flow, sample.step, part)), address)
                    taken += part.num_rows
        except OSError:  # nobody listens, or its buffer is full: this part and those behind it are let go
            pass
        return taken


def listening(path: Path) -> socket.socket:
    """A socket that takes samples; what was left behind by another one goes. Its folder must be there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with _short(path) as address:
        made.bind(address)
    path.chmod(0o600)
    return made


def encode(sample: Sample) -> bytes:
    """As one datagram."""
    columns = sample.columns.replace_schema_metadata({FLOW: sample.flow, STEP: sample.step})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as stream:
        stream.write_batch(columns)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def decode(datagram: bytes) -> Sample:
    """From one datagram.

    Raises:
        ValueError: it is none.
    """
    try:
        with pa.ipc.open_stream(datagram) as stream:
            columns = stream.read_next_batch()
        told = columns.schema.metadata or {}
        return Sample(told[FLOW].decode(), told[STEP].decode(), columns)
    except (pa.ArrowException, OSError, KeyError, StopIteration) as error:
        raise ValueError("this is no sample") from error


def _parts(columns: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices that fit into datagrams."""
    rows = columns.num_rows
    each = max(1, rows * FRAME_BYTES // max(1, columns.nbytes))
    for start in range(0, rows, each):
        yield columns.slice(start, each)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The address by way of its folder's descriptor: a socket's path has 107 bytes at most, a data folder's may have more."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)

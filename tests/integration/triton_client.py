"""Asks a server of the Open Inference Protocol with Triton's own client; run by an interpreter that has it: SCRIPT GRPC HTTP ROWS."""

import sys

import numpy as np
import tritonclient.grpc as over_grpc  # type: ignore[import-not-found]
import tritonclient.http as over_http  # type: ignore[import-not-found]

MODEL, INPUTS = "arrival-delay-lite", ("dep_delay", "distance")


def ask(client: object, module: object, rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The scores of so many rows, delays from -10 to 110 minutes."""
    assert client.is_server_live()  # type: ignore[attr-defined]
    assert client.is_server_ready()  # type: ignore[attr-defined]
    assert client.is_model_ready(MODEL, "1.0.0")  # type: ignore[attr-defined]
    columns = np.linspace(-10, 110, rows), np.full(rows, 1_000.0)
    inputs = []
    for name, column in zip(INPUTS, columns, strict=True):
        given = module.InferInput(name, [rows, 1], "FP64")  # type: ignore[attr-defined]
        given.set_data_from_numpy(column.reshape(rows, 1))
        inputs.append(given)
    scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = client.infer(MODEL, inputs, model_version="1.0.0").as_numpy("score")  # type: ignore[attr-defined]
    return scores


grpc_at, http_at, rows = sys.argv[1], sys.argv[2].removeprefix("http://"), int(sys.argv[3])
one = ask(over_grpc.InferenceServerClient(grpc_at), over_grpc, rows)
two = ask(over_http.InferenceServerClient(http_at), over_http, rows)
assert one.shape == two.shape == (rows, 1)
assert np.array_equal(one, two)
print(",".join(repr(float(score)) for score in one[:, 0]))

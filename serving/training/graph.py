"""ONNX graphs whose inputs are the flow's columns: any server of the protocol can serve the file as it is."""

import onnx
from onnx import TensorProto, helper

from schemas.manifest import Input, Tensor

_OPSET = 15  # of ai.onnx; what both converters write


def by_column(model: onnx.ModelProto, inputs: tuple[Input, ...], output: Tensor) -> bytes:
    """The classifier with one (n, 1) double input a column instead of one float matrix, and the positive class's score as its only output.

    `model` has one input of shape (n, columns) and gives label and probabilities (n, 2).
    """
    graph = model.graph
    matrix, probabilities = graph.input[0].name, graph.output[1].name
    before = [
        helper.make_node("Concat", [one.name for one in inputs], ["columns_double"], axis=1),
        helper.make_node("Cast", ["columns_double"], [matrix], to=TensorProto.FLOAT),
    ]
    after = [
        helper.make_node("Slice", [probabilities, "from_1", "to_2", "axis_1"], ["score_float"]),
        helper.make_node("Cast", ["score_float"], [output.name], to=TensorProto.DOUBLE),
    ]
    bounds = [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("from_1", 1), ("to_2", 2), ("axis_1", 1))]
    new = helper.make_graph(
        [*before, *graph.node, *after],
        "by_column",
        [helper.make_tensor_value_info(one.name, TensorProto.DOUBLE, ["n", 1]) for one in inputs],
        [helper.make_tensor_value_info(output.name, TensorProto.DOUBLE, ["n", 1])],
        [*graph.initializer, *bounds],
    )
    opsets = {one.domain: one.version for one in model.opset_import}
    opsets[""] = max(opsets.get("", _OPSET), 13)
    made = helper.make_model(new, opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())])
    made.ir_version = model.ir_version
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))

"""The manifest of a model version: all that a worker or a server reads about it."""

from typing import Literal

import pydantic

Datatype = Literal["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64"]
"""The numeric datatypes of the Open Inference Protocol v2."""

NAME = r"^[a-z0-9][a-z0-9-]*$"


class _Part(pydantic.BaseModel):
    """A frozen model without extra words."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Tensor(_Part):
    """One tensor: a column of n rows."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...] = (-1, 1)  # -1 stands for the rows


class Input(Tensor):
    """A tensor filled from the column of its name."""

    null: Literal["nan", "refuse"] | float = "refuse"  # what a null becomes; "refuse": the column may not be null


class Resources(_Part):
    """What one replica asks of Ray."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0


class Approval(_Part):
    """Whether the model may be served, who says so and why."""

    approved: bool
    by: str
    why: str


class Training(_Part):
    """What the model learnt from."""

    data: str
    months: tuple[int, ...] = ()  # empty where time plays no part
    rows: int
    sha256: str  # of the training table
    seed: int


class Month(_Part):
    """How well the model did in one month."""

    month: int
    rows: int
    late: float  # observed share of positives
    predicted: float  # mean score
    auc: float
    brier: float
    calibration: float  # expected calibration error, ten bins of equal width


class Group(_Part):
    """How well the model did on a group of rows that it had not seen."""

    group: str
    rows: int
    positive: float  # observed share of positives
    predicted: float  # mean score
    auc: float
    brier: float
    calibration: float  # expected calibration error, ten bins of equal width
    threshold: float
    below: float  # share of rows that score below the threshold
    specificity: float  # share of the negatives that do
    sensitivity: float  # share of the positives that do not


class Manifest(_Part):
    """One version of a model: what it is called, takes, gives, needs, and who allowed it."""

    format: Literal[1] = 1
    name: str = pydantic.Field(pattern=NAME)
    version: str = pydantic.Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    runtime: Literal["onnx"] = "onnx"
    file: str = pydantic.Field(default="model.onnx", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")  # of the file
    inputs: tuple[Input, ...] = pydantic.Field(min_length=1)
    outputs: tuple[Tensor, ...] = pydantic.Field(min_length=1)
    resources: Resources = Resources()
    approval: Approval
    training: Training | None = None
    metrics: tuple[Month, ...] = ()
    groups: tuple[Group, ...] = ()

    @property
    def ident(self) -> str:
        """name@version"""
        return f"{self.name}@{self.version}"

"""What stands in a flow file, but for the steps, which speak for themselves. Each description is the word's documentation."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from processors.flow import duration
from processors.flow.duration import Duration
from schemas.codecs.encodings import Encoding, Framing, Written, needs_headers

FLOW_NAME = r"^[a-z][a-z0-9-]{0,99}$"
VERSION = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,248}$")]
SchemaName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", examples=["flights.Departure"])]


class _Words(BaseModel, frozen=True, extra="forbid"):
    """A part of a flow file: no word that is not known."""


class Input(_Words, frozen=True):
    """Where the events come from and how they are read."""

    topic: TopicName = Field(description="The topic whose every record is an event of this flow.")
    contract: SchemaName = Field(
        alias="schema", description="Full name of the Avro contract of the events; its fields are the first columns."
    )
    encoding: Encoding = Field(
        description="How a value is encoded. It is declared, not sniffed. `cloudevents`: in binary or structured mode, as each event's "
        "`content-type` says; its headers are read."
    )
    data: Framing = Field(
        default="avro-single-object",
        description="Of CloudEvents whose data is Avro: how it names its schema. Whether data is Avro or JSON each event says itself "
        "(`datacontenttype`; JSON where it says nothing).",
    )
    id: str | None = Field(
        default=None,
        description="The column that outsiders call the event by. Else a CloudEvent's own id, or header `ce_id` where headers are read; "
        "else its position.",
    )
    time: str | None = Field(
        default=None, description="The timestamp column that says when it happened; travels as `ce_time`. Else a CloudEvent's own time."
    )
    headers: Literal["read", "ignore"] = Field(
        default="ignore", description="`read` carries subject, correlation id and trace context on; costs about 4 us an event."
    )
    dedupe: Duration | None = Field(
        default=None, description="A second event with the same id within this time is `filtered` (`duplicate`). Needs `id`."
    )
    start: Literal["earliest", "latest"] = Field(default="earliest", description="Where a flow begins that has never run.")
    tombstones: Literal["filtered", "dead-letter"] = Field(default="filtered", description="What an event without a value ends as.")

    @property
    def reads_headers(self) -> bool:
        """Whether events are fetched with their headers."""
        return self.headers == "read" or needs_headers(self.encoding)

    @property
    def id_column(self) -> str | None:
        """The column that names the events: the one that is said, else a CloudEvent's own id."""
        return self.id or ("ce_id" if self.encoding.startswith("cloudevents") else None)

    @property
    def time_column(self) -> str | None:
        """The column that dates the events, likewise."""
        return self.time or ("ce_time" if self.encoding.startswith("cloudevents") else None)

    @model_validator(mode="after")
    def _dedupe_by_id(self) -> Self:
        if self.dedupe is not None and self.id is None:
            raise ValueError("`dedupe` needs `id`: the column that says which events are the same")
        return self


class Result(_Words, frozen=True):
    """Where the results go and how they are written."""

    topic: TopicName = Field(description="The topic that gets one record per event which went through every step.")
    contract: SchemaName = Field(
        alias="schema", description="Full name of the Avro contract of the results; the steps must give its fields."
    )
    encoding: Written = Field(
        default="avro-single-object",
        description="How a value is encoded. With their headers all results are CloudEvents: in structured mode where it says so, else "
        "in binary mode.",
    )


class Limits(_Words, frozen=True):
    """The bounds of a flow."""

    deadline: Duration = Field(
        default=900.0,
        description="How long after its first consumption an event may still be tried again. It is looked at when the event would wait "
        "for a retry and when it comes back from a retry topic, not while its steps run; it stands still while a person decides.",
    )
    review: Duration = Field(
        default=86_400.0, description="How long a person may take; then the event is a dead letter (`review-expired`)."
    )
    retries: tuple[Duration, ...] = Field(
        default=(1.0, 30.0, 300.0), max_length=8, description="The delays before each further try, each longer than the one before."
    )
    redrives: int = Field(default=3, ge=0, le=100, description="How often a dead letter may be redriven.")
    value_bytes: int = Field(default=1_048_576, ge=1, le=104_857_600, description="A larger value is a dead letter (`too-large`).")

    step: Duration = Field(
        default=60.0,
        ge=1.0,
        description="How long a step may be at its rows. A worker whose step does not come back in time is ended, and what it was at is "
        "cut into pieces until the event that holds it up stands alone: a dead letter (`step-failed`).",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.retries) != sorted(set(self.retries)):
            raise ValueError("each of `retries` must be longer than the one before")
        return self

    @model_validator(mode="after")
    def _deadline_is_last(self) -> Self:
        longest = max(self.retries, default=0.0)
        if self.deadline <= longest:
            said, retry = duration.text(self.deadline), duration.text(longest)
            raise ValueError(f"`deadline` ({said}) must be longer than the longest of `retries` ({retry})")
        return self


class FlowFile(_Words, frozen=True):
    """A flow: one version of how the events of a topic are judged."""

    flow: Annotated[str, Field(pattern=FLOW_NAME, examples=["departure-delays"])] = Field(
        description="The flow's name, and its file's; its topics begin with it."
    )
    version: Annotated[str, Field(pattern=VERSION, examples=["1.0.0"])] = Field(
        description="Semantic version. A new behaviour is a new version."
    )
    input: Input = Field(description="Where the events come from and how they are read.")
    steps: list[dict[str, Any]] = Field(description="The steps, in order. Each is one word and what it is told.")
    result: Result = Field(description="Where the results go and how they are written.")
    limits: Limits = Field(default=Limits(), description="The bounds of the flow.")
    order: Literal["none", "key"] = Field(
        default="none", description="`none`: an event that waits for a retry is passed by others. `key`: none of its partition passes it."
    )

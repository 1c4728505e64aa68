"""How to reach Kafka, Redis and the model server: as the settings say, else those of the local stack."""

from connectors.kafka.reach import look
from connectors.kafka.settings import KafkaSettings
from connectors.redis.settings import RedisSettings
from ops.stack.kafka import Kafka
from ops.stack.local import LocalStack
from schemas.errors import UnreachableError
from streams.settings import Settings, said
from streams.sources import known


def kafka(settings: Settings, patient: bool = False) -> KafkaSettings:
    """The cluster, for a command that a person waits for; one that is `patient` waits for a broker that starts.

    Raises:
        UnreachableError: no local stack was ever begun, or nobody listens there; to one that is patient its clients say that, later.
    """
    if settings.bootstrap is None and not (settings.data_folder / Kafka.name).is_dir():
        hint = "`weft up` starts one. Is this the project's folder? Else go into it, or put `--project DIR` before the command."
        raise UnreachableError(f"there is no local stack in {settings.data_folder} yet", hint)
    found = settings.kafka_at(None if settings.bootstrap else LocalStack(settings).addresses()["bootstrap"])
    if not patient:
        look(found)
    return found


def redis(settings: Settings) -> RedisSettings:
    """The lookup store."""
    return settings.redis_at(None if settings.redis else LocalStack(settings).addresses()["redis"])


def environment(settings: Settings) -> dict[str, str]:
    """The same for a process that is started. No secret is in it but what stands in the URL of Redis: it reads secrets as this one does.

    Where a service is the local stack's, whatever weft.toml says of how to connect to one elsewhere is taken back.
    """
    local = LocalStack(settings).addresses()
    named = {"WEFT_BOOTSTRAP": settings.bootstrap or local["bootstrap"], "WEFT_REDIS": settings.redis or local["redis"]}
    if serve := settings.serve or local.get("serve"):
        named["WEFT_SERVE"] = serve
    home = {"kafka": not settings.bootstrap, "redis": not settings.redis, "serve": not settings.serve}
    for one in known(Settings):
        if home.get(one.name.partition(".")[0]) and not one.open:
            named = {variable: "" for variable in one.variables} | named
    return named


def named(error: UnreachableError, settings: Settings) -> UnreachableError:
    """The error, with who said Kafka's address in it; as it is where that is the local stack's own."""
    address = settings.bootstrap
    if address is None or address not in error.sentence:
        return error
    found = said(settings.project_folder).get("kafka.bootstrap")
    origin = str(found.origin) if found is not None else "whoever started this"
    hint = f"See that a broker runs there, or correct {origin}; where it is not set, the local stack's address is used."
    return UnreachableError(error.sentence.replace(address, f"{address} ({origin})", 1), hint)

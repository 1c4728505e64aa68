"""How to reach Kafka, Redis and the model server: as the settings say, else those of the local stack."""

from connectors.kafka.settings import KafkaSettings
from connectors.redis.settings import RedisSettings
from ops.stack.local import LocalStack
from streams.settings import Settings
from streams.sources import known


def kafka(settings: Settings) -> KafkaSettings:
    """The cluster."""
    return settings.kafka_at(None if settings.bootstrap else LocalStack(settings).addresses()["bootstrap"])


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

"""The local stack: Kafka, Valkey and what else runs beside the workers on one machine."""

"""What looks at the metrics: a Grafana dashboard and Prometheus alert rules, generated from the vocabulary of metrics."""

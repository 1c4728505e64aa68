"""What operators and auditors run: the CLI, the local stack, the supervisor, audit, benchmarks."""

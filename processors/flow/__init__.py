"""Flow files: their models, the checker, and the compiler to steps."""

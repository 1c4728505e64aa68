"""What the flow commands do: say mistakes, show flows, apply them, and run them on sample events without a stack."""

"""What the schema commands do: say what the contracts are, compare their versions, keep and register them."""

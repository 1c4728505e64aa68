"""How flows on this machine are doing right now, as their workers tell it."""

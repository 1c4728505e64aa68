"""The demo: a year of real flights through the whole fabric on a stack of its own, and the proof."""

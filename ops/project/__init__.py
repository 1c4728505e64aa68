"""Makes a project folder of one's own: `weft init`."""

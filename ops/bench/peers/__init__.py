"""The same job by hand and in other frameworks: nothing in here imports Weft, each file is run by the Python of its own environment."""

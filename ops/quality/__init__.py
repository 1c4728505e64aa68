"""The quality of events: the process that judges samples of live ones, the check of past ones, and the one owner of Great Expectations."""

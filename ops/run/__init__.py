"""Running flows: the supervisor of a machine's workers, what it watches, how far behind a flow is."""

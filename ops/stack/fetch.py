"""Fetches what the local stack's first start would fetch, so that nothing needs a network after `make setup`, which runs this."""

import sys

from ops.stack import jars
from ops.stack.local import silent
from ops.stack.marked import claim
from schemas.errors import WeftError
from streams.settings import load


def main() -> None:
    """Fetch it. No network for it is no fault of a set-up: whoever has a Kafka elsewhere needs none of it."""
    try:
        settings = load()
        if settings.cache_folder.is_relative_to(settings.data_folder):
            claim(settings.data_folder)
        jars.fetch(settings.cache_folder, silent)
    except (WeftError, OSError) as error:
        sys.stderr.write(f"{error} It is tried again at the first start of the local stack.\n")


if __name__ == "__main__":
    main()

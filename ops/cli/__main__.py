"""`python -m ops.cli`: the command line, where the program `weft` may not be on the path."""

from ops.cli.main import main

if __name__ == "__main__":
    main()

"""Runs the commands as `python -m penstock_server.cli`."""

from penstock_server.cli import main

if __name__ == "__main__":
    main()

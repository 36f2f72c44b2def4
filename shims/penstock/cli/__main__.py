"""Runs the command as `python -m penstock.cli`."""

from penstock.cli.program import main

if __name__ == "__main__":
    main()

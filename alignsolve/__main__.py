"""``python -m alignsolve``: the command line."""

from alignsolve.cli import main

if __name__ == "__main__":
    main()

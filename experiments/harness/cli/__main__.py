"""The command `lab7` as a module: `python -m experiments.harness.cli`."""

from experiments.harness.cli import main

if __name__ == "__main__":
    main()

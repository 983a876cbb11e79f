"""Entry point of `python -m experiments.harness.cli`, which runs the command `lab7`."""

from experiments.harness.cli import main

if __name__ == "__main__":
    main()

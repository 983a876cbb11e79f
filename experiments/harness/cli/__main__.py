"""Entry point of `python -m lab7.experiments.harness.cli`, which runs the command `lab7`."""

from lab7.experiments.harness.cli import main

if __name__ == "__main__":
    main()

"""Program of the command line: `python -m lab7`."""

from lab7.experiments.harness.cli import main

if __name__ == "__main__":
    main()

"""Implementation of the pytest plugin (lab7.experiments.pytest_plugin), imported at the first test with a network."""

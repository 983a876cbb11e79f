"""Parts of the pytest plugin (lab7.experiments.pytest_plugin) with imports besides pytest, loaded at first use."""

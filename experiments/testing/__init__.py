"""Parts of the pytest plugin (lab7.experiments.pytest_plugin) with imports, made at the first use."""

"""Network section of a run's report: topology as a diagram, and traffic, queues and losses of its paths over time."""

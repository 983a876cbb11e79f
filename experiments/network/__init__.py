"""The network in a report: the topology as a picture, and traffic, queues and losses of its paths over time."""

"""Network section of an experiment's report: topology diagram; traffic, queues and losses over time.

Traffic, queues and losses are shown for each path between two hosts whose packets were captured.
"""

"""Network section of an experiment's report: topology diagram; traffic, queues and losses over time.

They are shown for each path between two hosts whose packets were captured.
"""

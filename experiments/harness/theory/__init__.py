"""Closed forms for TCP transfers and queues."""

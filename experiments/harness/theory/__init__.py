"""Closed forms of elapsed times: TCP transfers, round trips by term, and waits in queues."""

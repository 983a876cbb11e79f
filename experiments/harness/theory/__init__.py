"""Closed forms of elapsed times: TCP transfers, sums of round trips and transmission times, and waits in queues."""

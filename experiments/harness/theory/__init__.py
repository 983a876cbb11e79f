"""Closed-form formulas for elapsed times: TCP transfers, round trips, transmission times, waits in queues."""

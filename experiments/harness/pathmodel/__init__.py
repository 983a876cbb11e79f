"""Packet-level model of TCP over links with a rate and a delay: what a closed form leaves out, counted frame by frame.

A closed form such as (n+1) RTT + X counts round trips and the transmission time of the responses. On the wire there are
also acknowledgements that share a link with requests, a congestion window that opens by slow start, and frames that
each hop stores before it forwards them. This package computes these from the sizes that the applications write, and
nothing from the measured times: `events` is the clock, `links` the path, `tcp` one connection, `dialogue` an exchange
of messages in turns, and `beyond` the terms that are added to a closed form.
"""

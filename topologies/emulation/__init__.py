"""Emulation of Mininet topologies: hosts as Linux namespaces, links with delay, rate and loss, services in the hosts.

The class Testbed (testbed.py) makes a running network from a topology.
"""

"""Mininet topologies, one per module, with diagram and address plan; `emulation` makes networks of them."""

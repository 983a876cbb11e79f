"""Mininet topologies, one per module, with diagram and address plan; the subpackage `emulation` runs them."""

"""Mininet topologies, one per module, each with its picture and address plan; `emulation` turns them into networks."""

"""What the network is: Mininet topologies, one drawing a file."""

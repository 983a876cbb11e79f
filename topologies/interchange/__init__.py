"""Exchange of topologies with other tools: Kathara and containerlab (written and read), Shadow (written)."""

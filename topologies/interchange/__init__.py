"""Exchange of topologies with other tools: writers and readers for Kathara and containerlab, a writer for Shadow."""

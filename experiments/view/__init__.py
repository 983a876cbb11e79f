"""Live view of a running network: its events as JSON lines, and a web page to watch and change the network."""

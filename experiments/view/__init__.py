"""Live view of a running network: its events as JSON lines, and a page that shows and changes it."""

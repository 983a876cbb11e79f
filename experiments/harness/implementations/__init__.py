"""Real servers and clients, and a person's own programs, in the place of lab7's services."""

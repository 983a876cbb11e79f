"""Commands on a network that is up, started in another terminal."""

"""Commands that act on a network that another terminal has started."""

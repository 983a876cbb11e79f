"""Commands on a running network, which another terminal has started."""

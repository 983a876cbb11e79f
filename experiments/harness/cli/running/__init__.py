"""Commands that act on a running network, which another terminal has started: ps, attach, capture, link and others."""

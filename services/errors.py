"""Errors that all services share: a service that cannot run, and a peer that exceeds a limit."""


class ServiceError(Exception):
    """A service cannot start or continue; the text is one line that names the remedy."""


class LimitExceededError(Exception):
    """A peer exceeded a limit; the protocol determines the reply."""

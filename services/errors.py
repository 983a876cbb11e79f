"""Errors that all services share: a service that cannot run, and a peer that exceeds a limit."""


class ServiceError(Exception):
    """Error that prevents a service from starting or continuing; the message is one line with the remedy."""


class LimitExceededError(Exception):
    """Error for a peer that exceeds a limit, such as the length of a line; the protocol determines the reply."""

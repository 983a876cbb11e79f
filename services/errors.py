"""The errors that every service shares: ours, which stop a service with one sentence, and a bound overrun."""


class ServiceError(Exception):
    """A service cannot start or go on; its text is one sentence that says what to do."""


class LimitExceededError(Exception):
    """A peer sent more than a named bound allows; the protocol decides which reply that earns."""

"""Error of the mail user agent."""


class AgentError(Exception):
    """The server could not be used, or refused a request; the text is one sentence for the user."""


def failure_reason(error: Exception) -> str:
    """Return the system's text for an error, or the name of its class."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

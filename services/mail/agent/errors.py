"""AgentError, the exception of the mail user agent, and texts of system errors."""


class AgentError(Exception):
    """Error for a failed or refused request to a mail server, or for a file; the text is one sentence for the user."""


def failure_reason(error: Exception) -> str:
    """Return the operating system's text for an error, or the exception's class name without a text."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""AgentError, the exception of the mail user agent, and a function that returns the text of a system error."""


class AgentError(Exception):
    """Error for a failed or refused request to a mail server, or for a file that cannot be read or written.

    The text is one sentence for the user.
    """


def failure_reason(error: Exception) -> str:
    """Return an error's text: the operating system's (strerror), else str(error), else the name of its class."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

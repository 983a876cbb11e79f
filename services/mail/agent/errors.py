"""Error of the mail user agent."""


class AgentError(Exception):
    """The server could not be used, or refused a request; the text is one sentence for the user."""

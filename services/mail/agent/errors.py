"""What goes wrong between a user agent and a server, in one sentence for who sits there."""


class AgentError(Exception):
    """The server could not be used, or did not do what was asked of it."""

"""Exceptions of POP3 command handlers, answered by -ERR (RFC 1939 section 3, RFC 2449 section 8)."""


class RefusedError(Exception):
    """Error for a failed command, answered by -ERR; `code` is a response code (RFC 2449 section 8) without brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = f"[{code}] {text}" if code else text


class SyntaxRefusedError(RefusedError):
    """Error answered by -ERR: a syntax error, or a command that is not permitted in the session's state."""

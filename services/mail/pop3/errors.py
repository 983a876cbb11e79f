"""Exceptions of POP3 command handlers, answered by -ERR (RFC 1939 section 3, RFC 2449 section 8)."""


class RefusedError(Exception):
    """Failed command, answered by -ERR; `code`: response code (RFC 2449 section 8) without brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = f"[{code}] {text}" if code else text


class SyntaxRefusedError(RefusedError):
    """Syntax error, or command that is not permitted in the session's state, answered by -ERR."""

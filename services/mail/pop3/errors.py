"""POP3 command failures: -ERR responses with response codes (RFC 1939 section 3, RFC 2449 section 8)."""


class RefusedError(Exception):
    """-ERR: the command failed; `code` is a response code (RFC 2449 section 8) without brackets."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = f"[{code}] {text}" if code else text


class SyntaxRefusedError(RefusedError):
    """-ERR: a syntax error, or a command that is not valid in this state."""

"""Terminal output of messages: no character that acts on the terminal or on the direction of its text."""

import pytest

from lab7.services.mail.agent.terminal import MessageSummary, attachment_lines, message_text
from lab7.services.mail.message_content.contents import Contents

# Escape sequences, C1 controls, bidirectional controls and line separators.
ACTIVE = "\x1b[2J\x07\x9b\u202e\u202a\u2066\u2069\u200e\u200f\u061c\u2028\u2029"


@pytest.mark.parametrize("character", ACTIVE.replace("[2J", ""))
def test_no_active_character_of_a_message_is_printed(character: str) -> None:
    text = f"gnp.{character}exe"
    message = (
        f"From: {text} <a@b.example>\r\nSubject: {text}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        f'{text}\r\n--b\r\nContent-Type: image/png; name="{text}"\r\n\r\nx\r\n--b--\r\n'
    ).encode()
    shown = message_text(message) + MessageSummary(1, 2, message).line + "".join(attachment_lines(Contents(message)))
    assert character not in shown
    assert "gnp.exe" in shown


def test_an_encoded_line_end_makes_no_second_line() -> None:
    header = b"From: =?utf-8?Q?a=0Ab=09c?= <a@b.example>\r\nSubject: =?utf-8?Q?x=0A=20=20=202_forged?=\r\n\r\n"
    assert "\n" not in MessageSummary(1, 2, header).line
    assert message_text(header).splitlines()[0] == "From: a b c <a@b.example>"

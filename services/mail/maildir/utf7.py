"""Modified UTF-7, the encoding of mailbox names (RFC 3501 section 5.1.3).

    decode("Entw&APw-rfe") == "Entwürfe"        encode("R&D") == "R&-D"

Only the canonical encoding of a name is accepted, so that no two names mean the same folder.
"""

import base64
import binascii

# RFC 3501 section 5.1.3: these characters represent themselves, except "&".
_FIRST, _LAST = " ", "~"


def _is_direct(character: str) -> bool:
    return _FIRST <= character <= _LAST


def encode(text: str) -> str:
    """Encode text; lone surrogates raise UnicodeEncodeError."""
    written: list[str] = []
    shifted = ""
    for character in [*text, ""]:
        if character and not _is_direct(character):
            shifted += character
            continue
        if shifted:
            written.append(_shift(shifted))
            shifted = ""
        written.append("&-" if character == "&" else character)
    return "".join(written)


def _shift(text: str) -> str:
    octets = base64.b64encode(text.encode("utf-16-be")).rstrip(b"=")
    return "&" + octets.decode("ascii").replace("/", ",") + "-"


def decode(name: str) -> str:
    """Decode a name; raises ValueError if it is not the canonical encoding."""
    pieces: list[str] = []
    direct, *shifts = name.split("&")
    pieces.append(direct)
    for shift in shifts:
        encoded, dash, direct = shift.partition("-")
        if not dash:
            raise ValueError("a shift to base64 that does not end")
        pieces.append(_unshift(encoded) if encoded else "&")
        pieces.append(direct)
    text = "".join(pieces)
    if encode(text) != name:
        raise ValueError("a name that is not written in modified UTF-7")
    return text


def _unshift(encoded: str) -> str:
    padded = encoded.replace(",", "/") + "=" * (-len(encoded) % 4)
    try:
        return base64.b64decode(padded.encode("ascii"), validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeError) as error:
        raise ValueError(f"no UTF-16 in base64: {encoded}") from error

r"""File names of attachments: decoding (RFC 2231) and sanitising (RFC 2183 sections 2.3 and 5).

safe_file_name("../../etc/passwd") == "passwd"
safe_file_name("C:\\autoexec.bat") == "autoexec.bat"
"""

import re
from urllib.parse import unquote_to_bytes

from lab7.services.mail.message_content.limits import ENDING_CHARACTERS, FILE_NAME_OCTETS
from lab7.services.mail.mime.parameters import Parametric
from lab7.services.mail.mime.words import decode_words, text_of

# Control characters are removed, also bidirectional overrides, which can disguise a file name extension.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_SEPARATORS = re.compile(r"[/\\]")
# Characters that are special in shells or in other file systems, and are replaced in file names.
_REPLACED = re.compile(r'[<>:"|?*]')


def parameter_text(field: Parametric, name: bytes) -> str:
    """Return the text of a MIME parameter, decoded by RFC 2231 or else by RFC 2047; empty if it is absent.

    RFC 2047 does not permit encoded words in parameters, but they are in wide use there.
    """
    extended = field.get(name + b"*")
    if extended is not None:
        charset, _, rest = extended.partition(b"'")
        _, quote, octets = rest.partition(b"'")
        return text_of(unquote_to_bytes(octets if quote else extended), charset or None)
    plain = field.get(name)
    return "" if plain is None else decode_words(plain)


def safe_file_name(name: str, otherwise: str = "file") -> str:
    """Return a valid file name without a path and without a leading dot; if nothing remains, return `otherwise`."""
    name = _SEPARATORS.split(_UNSHOWN.sub("", name))[-1]
    name = _REPLACED.sub("_", name).strip().lstrip(".").strip()
    if len(name.encode("utf-8")) > FILE_NAME_OCTETS:
        name = _truncate(name)
    return name or otherwise


def _truncate(name: str) -> str:
    """Truncate a file name to FILE_NAME_OCTETS, keeping the extension."""
    stem, dot, ending = name.rpartition(".")
    last = (dot + ending).encode("utf-8") if stem and len(ending) <= ENDING_CHARACTERS else b""
    kept = (stem if last else name).encode("utf-8")[: FILE_NAME_OCTETS - len(last)]
    return (kept.decode("utf-8", "ignore").encode("utf-8") + last).decode("utf-8")

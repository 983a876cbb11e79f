"""Mapping between IMAP folder names (modified UTF-7) and Maildir++ directories: `Work/2026` is `.Work.2026`.

    decode("Entw&APw-rfe") == "Entwürfe"        encode("R&D") == "R&-D"

Only the canonical encoding of a name in modified UTF-7 is accepted (RFC 3501 section 5.1.3): no two names denote the
same folder. A directory name begins with a dot and has no slash: no folder name leads out of the user's directory. A
dot within a name is stored as `&AC4-`, which modified UTF-7 itself never produces: the mapping is unique.
"""

import base64
import binascii

from lab7.services.mail.maildir.errors import FolderNameError
from lab7.services.mail.maildir.limits import FILE_NAME_OCTETS, FOLDER_DEPTH

INBOX = "INBOX"
SEPARATOR = "/"
_DOT = "&AC4-"


def encode(text: str) -> str:
    """Encode text in modified UTF-7 (RFC 3501 section 5.1.3); raises UnicodeEncodeError for lone surrogates."""
    written: list[str] = []
    shifted = ""
    for character in [*text, ""]:
        # RFC 3501 section 5.1.3: printable ASCII represents itself, except "&".
        if character and not " " <= character <= "~":
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
    """Decode modified UTF-7 (RFC 3501 section 5.1.3); raises ValueError for any but the canonical encoding."""
    pieces: list[str] = []
    direct, *shifts = name.split("&")
    pieces.append(direct)
    for shift in shifts:
        encoded, dash, direct = shift.partition("-")
        if not dash:
            raise ValueError("unterminated base64 in modified UTF-7")
        pieces.append(_unshift(encoded) if encoded else "&")
        pieces.append(direct)
    text = "".join(pieces)
    if encode(text) != name:
        raise ValueError("invalid modified UTF-7")
    return text


def _unshift(encoded: str) -> str:
    padded = encoded.replace(",", "/") + "=" * (-len(encoded) % 4)
    try:
        return base64.b64decode(padded.encode("ascii"), validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeError) as error:
        raise ValueError(f"base64 does not decode to UTF-16: {encoded}") from error


def canonical(name: str) -> str:
    """Return a folder name with INBOX, which is case-insensitive, in capitals (RFC 3501 section 5.1)."""
    first, separator, rest = name.partition(SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else name


def checked(name: str) -> str:
    """Validate a folder name and return its canonical form; raises FolderNameError."""
    try:
        decoded = decode(name)
    except ValueError:
        raise FolderNameError("The mailbox name is not valid modified UTF-7.") from None
    parts = name.split(SEPARATOR)
    if "" in parts:
        raise FolderNameError("The mailbox name has an empty component.")
    if len(parts) > FOLDER_DEPTH:
        raise FolderNameError(f"The mailbox name has more than {FOLDER_DEPTH} components.")
    if not decoded.isprintable():
        raise FolderNameError("The mailbox name contains characters that cannot be displayed.")
    canonical_name = canonical(name)
    if len(directory_of(canonical_name)) > FILE_NAME_OCTETS:
        raise FolderNameError("The mailbox name is too long.")
    return canonical_name


def is_listable(name: str) -> bool:
    """Return False for a name with a component `.` or `..`, which mail programs take for a directory.

    mbsync stops the synchronisation of an account whose list of mailboxes has such a name. Folders of these names exist
    only if another program, or an earlier version, has created them.
    """
    return not {".", ".."} & set(name.split(SEPARATOR))


def checked_new(name: str) -> str:
    """Validate the name of a folder to create, as checked() does; a component `.` or `..` is refused as well."""
    canonical_name = checked(name)
    if not is_listable(canonical_name):
        raise FolderNameError('A mailbox name must not have a component "." or "..".')
    return canonical_name


def directory_of(name: str) -> str:
    """Return the directory of a canonical folder name, relative to the user's directory; empty for INBOX."""
    if name == INBOX:
        return ""
    return "." + ".".join(part.replace(".", _DOT) for part in name.split(SEPARATOR))


def name_of(directory: str) -> str | None:
    """Return the folder name of a Maildir++ directory, None if the directory has no valid folder name."""
    if not directory.startswith("."):
        return None
    name = SEPARATOR.join(part.replace(_DOT, ".") for part in directory[1:].split("."))
    try:
        return name if checked(name) == name and directory_of(name) == directory else None
    except FolderNameError:
        return None


def parents(name: str) -> list[str]:
    """Return the names of the parent folders, topmost first: `a` and `a/b` for `a/b/c`."""
    parts = name.split(SEPARATOR)
    return [SEPARATOR.join(parts[:count]) for count in range(1, len(parts))]

"""OBJECTID: persistent identifiers of messages (EMAILID) and mailboxes (MAILBOXID) for IMAP (RFC 8474)."""

import hashlib

from lab7.services.mail.maildir.folder import Folder

_DIGEST_OCTETS = 16


def email_id(octets: bytes) -> bytes:
    """Return the EMAILID of a message: a digest of its octets, equal for all copies (RFC 8474 section 5.1)."""
    return b"M" + hashlib.blake2b(octets, digest_size=_DIGEST_OCTETS).hexdigest().encode("ascii")


def mailbox_id(folder: Folder) -> bytes:
    """Return the MAILBOXID of a mailbox, made from its first UIDVALIDITY.

    This is suitable because a rename keeps it (RFC 8474 section 4), and no two mailboxes of a user have the same.
    """
    return b"F%d" % folder.first_uidvalidity

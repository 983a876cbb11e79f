"""Exceptions of the Maildir store, which IMAP, POP3 and webmail map to their own error responses."""


class MaildirError(Exception):
    """Operation that the store cannot do; the text is one sentence for the client."""


class FolderNameError(MaildirError):
    """Invalid folder name."""


class NoFolderError(MaildirError):
    """Name of a folder that does not exist."""


class FolderExistsError(MaildirError):
    """Name of a new folder that exists already."""


class MessageGoneError(MaildirError):
    """Message that is no longer in the folder, since another process removed it."""


class QuotaExceededError(MaildirError):
    """Message for which the user's quota has no room."""


class MessageTooLargeError(MaildirError):
    """Message above the store's size limit (MESSAGE_OCTETS)."""


class TooManyKeywordsError(MaildirError):
    """New keyword for a folder that has no letter left (KEYWORDS_MAX)."""

"""Exceptions of the Maildir store; IMAP, POP3 and webmail translate them to their own error responses."""


class MaildirError(Exception):
    """Error for an operation that the Maildir store cannot do; the text is one sentence for the client."""


class FolderNameError(MaildirError):
    """Error for an invalid folder name."""


class NoFolderError(MaildirError):
    """Error for the name of a folder that does not exist."""


class FolderExistsError(MaildirError):
    """Error for creating a folder whose name exists already."""


class MessageGoneError(MaildirError):
    """Error for a message that another process has removed from the folder."""


class QuotaExceededError(MaildirError):
    """Error for a message that would exceed the user's quota."""


class MessageTooLargeError(MaildirError):
    """Error for a message above the store's size limit (MESSAGE_OCTETS)."""


class TooManyKeywordsError(MaildirError):
    """Error for a new keyword that is too long, or in a folder in which all KEYWORDS_MAX letters are in use."""

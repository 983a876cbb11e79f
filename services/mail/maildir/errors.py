"""Errors of the mailbox store; IMAP, POP3 and webmail map them to their own responses."""


class MaildirError(Exception):
    """The store cannot do the operation; the text is one sentence for the client."""


class FolderNameError(MaildirError):
    """The folder name is invalid."""


class NoFolderError(MaildirError):
    """No folder has this name."""


class FolderExistsError(MaildirError):
    """A folder of this name exists already."""


class MessageGoneError(MaildirError):
    """The message is no longer in the folder: another process removed it."""


class QuotaExceededError(MaildirError):
    """The message exceeds the quota."""


class MessageTooLargeError(MaildirError):
    """The message exceeds the store's size limit."""


class TooManyKeywordsError(MaildirError):
    """The folder has no letter left for another keyword."""

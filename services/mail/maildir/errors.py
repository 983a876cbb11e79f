"""What can be wrong with a folder or a message; each protocol says it in its own words."""


class MaildirError(Exception):
    """The store cannot do what was asked; its text is one sentence for the person who asked."""


class FolderNameError(MaildirError):
    """The name is none that a folder can have."""


class NoFolderError(MaildirError):
    """There is no folder of this name."""


class FolderExistsError(MaildirError):
    """There is a folder of this name already."""


class MessageGoneError(MaildirError):
    """The message is no longer in the folder: somebody else removed it."""


class QuotaExceededError(MaildirError):
    """The message does not fit into what its owner may store."""


class MessageTooLargeError(MaildirError):
    """The message is larger than any that this store takes."""


class TooManyKeywordsError(MaildirError):
    """The folder's names have no letter left for another keyword."""

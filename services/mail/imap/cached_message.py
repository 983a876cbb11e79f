"""Lazily read messages for FETCH and SEARCH: octets, header and MIME structure, read from the Maildir on first use."""

from lab7.services.mail.imap.limits import CACHE_OCTETS
from lab7.services.mail.maildir.folder import Folder
from lab7.services.mail.mime.header import Header, header_end, parse_header
from lab7.services.mail.mime.structure import Part, parse


class CachedMessage:
    """A message whose octets, header and MIME structure are read lazily, on first use.

    Reading may raise MessageGoneError (another program has removed the message) and OSError.
    """

    def __init__(self, folder: Folder, uid: int) -> None:
        self.folder = folder
        self.uid = uid
        self._octets: bytes | None = None
        self._header_octets: bytes | None = None
        self._header: Header | None = None
        self._root: Part | None = None

    @property
    def octets(self) -> bytes:
        """The octets of the whole message, with CRLF line ends."""
        if self._octets is None:
            self._octets = self.folder.read(self.uid)
        return self._octets

    def load(self, header_only: bool) -> None:
        """Read the header or the whole message now, so that MessageGoneError and OSError are raised here, not later."""
        _ = self.header_octets if header_only else self.octets

    @property
    def root(self) -> Part:
        """The MIME structure of the whole message."""
        if self._root is None:
            self._root = parse(self.octets)
        return self._root

    @property
    def header_octets(self) -> bytes:
        """The octets of the header, including the empty line at its end."""
        if self._root is not None:
            return self.octets[: self._root.body_begin]
        if self._octets is not None:
            return self._octets[: header_end(self._octets, 0, len(self._octets))[1]]
        if self._header_octets is None:
            self._header_octets = self.folder.read_header(self.uid)
        return self._header_octets

    @property
    def header(self) -> Header:
        """The parsed header fields."""
        if self._root is not None:
            return self._root.header
        if self._header is None:
            self._header = parse_header(self.header_octets)
        return self._header

    @property
    def is_small(self) -> bool:
        """True if the message's octets are not loaded yet, or few enough (CACHE_OCTETS) to stay in memory."""
        return self._octets is None or len(self._octets) <= CACHE_OCTETS


class MessageCache:
    """Cache of one message, the last one requested; messages never change, so the entry never becomes stale."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._last: CachedMessage | None = None

    def get(self, uid: int) -> CachedMessage:
        """Return the message with this UID, from the cache or new; its content is read lazily.

        MessageGoneError and OSError are therefore raised on reading, not here.
        """
        if self._last is None or self._last.uid != uid or not self._last.is_small:
            self._last = CachedMessage(self._folder, uid)
        return self._last

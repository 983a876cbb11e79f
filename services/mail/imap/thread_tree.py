"""Message threading by subject (ORDEREDSUBJECT) and by references (REFERENCES) for IMAP THREAD (RFC 5256 section 3).

    ThreadMessage(number=2, ..., references=[b"<a@x>"]) is a child of the message with the Message-ID <a@x>

A node without a message stands for a message that is referenced but not in the search result. All algorithms are
iterative: a thread may be deeper than Python's recursion limit.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab7.services.mail.imap.limits import REFERENCES_MAX
from lab7.services.mail.imap.syntax.base_subject import BaseSubject

_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,995}>")


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message to thread: its number in the response, sent date, base subject, Message-ID and references."""

    number: int
    sent: float
    subject: BaseSubject
    message_id: bytes | None = None
    references: Sequence[bytes] = ()

    @property
    def order(self) -> tuple[float, int]:
        """Sort key of a message: its sent date, then its number (RFC 5256 section 2.2)."""
        return self.sent, self.number


@dataclass(eq=False, slots=True)
class Node:
    """Node of a thread: a message, or an empty container for a missing one (RFC 5256 section 3)."""

    message: ThreadMessage | None = None
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)

    def adopt(self, child: "Node") -> None:
        """Make `child` the last child of this node."""
        child.detach()
        child.parent = self
        self.children.append(child)

    def detach(self) -> None:
        """Remove this node from its parent."""
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def descends_from(self, other: "Node") -> bool:
        """Return True if `other` is this node or an ancestor of this node."""
        node: Node | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False

    @property
    def first(self) -> ThreadMessage | None:
        """The message of the node, or of its first child if it has none; the children must already be sorted."""
        if self.message is None and self.children:
            return self.children[0].message
        return self.message

    @property
    def order(self) -> tuple[float, int]:
        """Sort key of a node among its siblings: the sent date and number of `first`."""
        first = self.first
        return first.order if first is not None else (0.0, 0)


def message_ids(value: bytes | None) -> list[bytes]:
    """Return the message identifiers in a field's value, at most the last REFERENCES_MAX."""
    return _MESSAGE_ID.findall(value or b"")[-REFERENCES_MAX:]


def threads_by_subject(messages: Iterable[ThreadMessage]) -> list[Node]:
    """Group messages into threads by base subject (ORDEREDSUBJECT): the first message is the parent of all others."""
    roots: dict[str, Node] = {}
    for message in sorted(messages, key=lambda message: message.order):
        subject = message.subject.text.casefold()
        root = roots.get(subject)
        if root is None:
            roots[subject] = Node(message)
        else:
            root.adopt(Node(message))
    return sorted(roots.values(), key=lambda node: node.order)


def threads_by_references(messages: Iterable[ThreadMessage]) -> list[Node]:
    """Group messages into threads by their references (REFERENCES, RFC 5256 section 3); return the root nodes."""
    roots = [node for node in _linked(messages) if node.parent is None]
    _prune(roots)
    _sort_children(roots)
    roots.sort(key=lambda node: node.order)
    roots = _merged(roots)
    _sort_children(roots)
    return sorted(roots, key=lambda node: node.order)


def _linked(messages: Iterable[ThreadMessage]) -> list[Node]:
    """Create the nodes of all messages, and link them by References; return the nodes.

    Step 1 of REFERENCES, RFC 5256 section 3.
    """
    nodes: dict[bytes, Node] = {}
    every: list[Node] = []

    def node_of(message_id: bytes) -> Node:
        if message_id not in nodes:
            nodes[message_id] = Node()
            every.append(nodes[message_id])
        return nodes[message_id]

    for message in messages:
        parent: Node | None = None
        for reference in message.references:
            node = node_of(reference)
            # Step 1 (A) of REFERENCES (RFC 5256 section 3): keep an existing parent, and create no loop.
            if parent is not None and node.parent is None and not parent.descends_from(node):
                parent.adopt(node)
            parent = node
        own = node_of(message.message_id) if message.message_id is not None else Node()
        if own.message is not None or message.message_id is None:
            # A Message-ID that is missing, or that an earlier message has, is replaced by a unique one.
            own = Node()
            every.append(own)
        own.message = message
        # Step 1 (B) of REFERENCES: the last reference is the parent, whatever parent was presumed before.
        own.detach()
        if parent is not None and not parent.descends_from(own):
            parent.adopt(own)
    return every


def _nodes(roots: Sequence[Node]) -> list[Node]:
    """Return `roots` and all nodes below them, each parent before its children."""
    every = list(roots)
    for node in every:
        every += node.children
    return every


def _prune(roots: list[Node]) -> None:
    """Remove nodes without a message (step 3 of REFERENCES); their children take their place.

    A root without a message is removed only if it has no child or a single child.
    """
    for node in reversed(_nodes(roots)):
        kept: list[Node] = []
        for child in node.children:
            kept += [child] if child.message is not None else child.children
        for child in kept:
            child.parent = node
        node.children = kept
    pruned: list[Node] = []
    for root in roots:
        if root.message is not None or len(root.children) > 1:
            pruned.append(root)
        elif root.children:
            root.children[0].parent = None
            pruned.append(root.children[0])
    roots[:] = pruned


def _sort_children(roots: Sequence[Node]) -> None:
    """Sort the children of every node by sent date, from the bottom of the tree to the top.

    This order is needed because a node without a message is sorted by its first child.
    """
    for node in reversed(_nodes(roots)):
        node.children.sort(key=lambda child: child.order)


def _subject(node: Node) -> BaseSubject:
    first = node.first
    return first.subject if first is not None else BaseSubject("", is_reply=False)


def _is_reply(node: Node) -> bool:
    return node.message is not None and node.message.subject.is_reply


def _merged(roots: list[Node]) -> list[Node]:
    """Merge threads with the same base subject (step 5 of REFERENCES, RFC 5256 section 3); return the roots."""
    table: dict[str, Node] = {}
    for root in roots:
        subject = _subject(root).text.casefold()
        other = table.get(subject)
        if subject and (
            other is None
            or (root.message is None and other.message is not None)
            or (other.message is not None and _is_reply(other) and not _is_reply(root))
        ):
            table[subject] = root
    merged: dict[int, Node] = {id(root): root for root in roots}
    for root in roots:
        subject = _subject(root).text.casefold()
        other = table.get(subject)
        if not subject or other is None or other is root:
            continue
        merged.pop(id(root))
        if root.message is None and other.message is None:
            for child in list(root.children):
                other.adopt(child)
        elif other.message is None or (_is_reply(root) and not _is_reply(other)):
            other.adopt(root)
        else:
            both = Node()
            merged[id(both)] = both
            merged.pop(id(other))
            both.adopt(other)
            both.adopt(root)
            table[subject] = both
    return list(merged.values())


def encode_threads(roots: Iterable[Node]) -> bytes:
    """Encode threads for the THREAD response: an only child follows its parent; other children are in parentheses."""
    pieces: list[bytes] = []
    for root in roots:
        pieces.append(b"(")
        # Stack of nodes and parentheses to encode; the top is next.
        pending: list[Node | bytes] = [b")", root]
        while pending:
            node = pending.pop()
            if isinstance(node, bytes):
                pieces.append(node)
                continue
            pieces.append(b"%d" % node.message.number if node.message is not None else b"")
            if len(node.children) == 1 and node.message is not None:
                pieces.append(b" ")
                pending.append(node.children[0])
            elif node.children:
                pieces.append(b" " if node.message is not None else b"")
                for child in reversed(node.children):
                    pending += [b")", child, b"("]
    return b"".join(pieces)

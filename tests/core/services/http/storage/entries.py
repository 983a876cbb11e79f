"""Stored responses for the tests of the store."""

from lab7.services.http.cache.stored import ContentSpan, StoredResponse
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Body, Response
from lab7.services.http.storage.store import Store, StoreWriter

URI = b"http://www.example.com/"


def same_key(one: StoredResponse, other: StoredResponse) -> bool:
    """Compare the language of the requests."""
    return one.request_fields.get(b"accept-language") == other.request_fields.get(b"accept-language")


def response(
    uri: bytes = URI, language: bytes = b"en", tag: bytes = b'"1"', span: ContentSpan | None = None
) -> StoredResponse:
    """Return a response to store."""
    return StoredResponse(
        uri=uri,
        method=b"GET",
        request_fields=Fields(((b"Accept-Language", language),)),
        request_time=1_752_150_000.25,
        response_time=1_752_150_000.5,
        response=Response(200, Fields(((b"ETag", tag), (b"Cache-Control", b"max-age=60"), (b"X-Name", b"caf\xe9")))),
        size_octets=None,
        span=span,
        name="",
    )


def put(store: Store, stored: StoredResponse, content: bytes = b"content") -> StoredResponse | None:
    """Store a response in three pieces."""
    writer = store.begin(stored)
    third = len(content) // 3
    for piece in (content[:third], content[third : 2 * third], content[2 * third :]):
        writer.write(piece)
    return writer.commit()


def putting(store: Store, stored: StoredResponse, content: bytes = b"content") -> StoredResponse:
    """Store a response; fails where it is not stored."""
    kept = put(store, stored, content)
    assert kept is not None
    return kept


def arriving(store: Store, stored: StoredResponse, content: bytes) -> StoreWriter:
    """Start storing a response without completing it."""
    writer = store.begin(stored)
    writer.write(content)
    return writer


def read_all(body: Body | None, piece_octets: int = 1000) -> bytes | None:
    """Read a body to its end; None without a body."""
    if body is None:
        return None
    pieces = []
    while piece := body.read(piece_octets):
        assert len(piece) <= piece_octets
        pieces.append(piece)
    octets = b"".join(pieces)
    assert body.size_octets == len(octets)
    body.close()
    return octets


def content_of(store: Store, stored: StoredResponse) -> bytes | None:
    """Return the content of a stored response; None for a miss."""
    return read_all(store.open(stored))

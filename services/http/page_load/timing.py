"""Reports on a page load: one record per object and per connection; times in seconds since the start of the load."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """A TCP connection: its start, and the durations of name resolution (0 from the cache), TCP and TLS handshake."""

    host: str
    port: int
    address: str
    opened_s: float
    dns_s: float
    connect_s: float
    tls_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectReport:
    """Report on an object: `connection` is an index into the page's connections, times are in seconds since the start.

    Header sizes are those on the wire: in HTTP/1 the head with its start line, in HTTP/2 the compressed block. The
    request of a pushed object is the server's promise, and request_s the time of its arrival.
    """

    url: str
    status: int
    size_bytes: int
    sha256: str
    request_s: float
    first_byte_s: float
    end_s: float
    connection: int
    request_header_size_bytes: int = 0
    response_header_size_bytes: int = 0
    pushed: bool = False


@dataclass(frozen=True, slots=True)
class PageReport:
    """A page with its objects, the base page first; `total_s` is from the start to the last octet."""

    url: str
    strategy: str
    objects: tuple[ObjectReport, ...]
    connections: tuple[ConnectionReport, ...]
    total_s: float
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return the report as data for json.dumps()."""
        return asdict(self)

    def as_table(self) -> str:
        """Format the report as a text table."""
        rows = ["status      bytes  request  first   end (s)  url"]
        for item in self.objects:
            times = f"{item.request_s:8.3f} {item.first_byte_s:6.3f} {item.end_s:8.3f}"
            rows.append(f"{item.status:6} {item.size_bytes:10} {times}   {item.url}")
        rows.append(
            f"{self.strategy}: {len(self.objects)} objects, {self.size_bytes} bytes, "
            f"{len(self.connections)} connections, {self.total_s:.3f} s"
        )
        return "\n".join(rows)

"""Reports of a page load: one record per object and per connection, times in seconds since the start of the load."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """Report on a TCP connection: start time, durations of name resolution (0 if cached), TCP and TLS handshake.

    All times are in seconds; `opened_s` counts from the start of the page load.
    """

    host: str
    port: int
    address: str
    opened_s: float
    dns_s: float
    connect_s: float
    tls_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectReport:
    """Report on one object of a page: status, size, hash, times and connection.

    `connection` is an index into the page's connections; times are in seconds since the start of the page load. Header
    sizes are those on the wire: in HTTP/1 the head with its start line, in HTTP/2 the compressed header block. For a
    pushed object, the request is the server's promise, and request_s the time when the promise arrived.
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
    """Report on a page load: connections, objects (the base page first), and time to the last octet (`total_s`)."""

    url: str
    strategy: str
    objects: tuple[ObjectReport, ...]
    connections: tuple[ConnectionReport, ...]
    total_s: float
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return the report as a dictionary that json.dumps() accepts."""
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

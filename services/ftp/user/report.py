"""Reports of a client session and its transfers; times are seconds from the start of the session."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class TransferReport:
    """One transfer; `size_bytes` counts octets of the data connection, `sha256` is of the content sent or received.

    command_s is the time of the transfer's first command, before PORT or PASV; at connected_s, the data connection is
    established; first_byte_s is the arrival of the first octet (None for an upload and for an empty file), end_s the
    arrival of the last reply.
    """

    action: str
    path: str
    mode: str
    restart_offset: int
    size_bytes: int
    sha256: str
    command_s: float
    connected_s: float
    first_byte_s: float | None
    end_s: float
    local_port: int
    remote_port: int
    reply_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SessionReport:
    """Report of one session: seconds from its start to connection, greeting, login and end (`total_s`)."""

    host: str
    port: int
    address: str
    user: str
    connected_s: float
    greeting_s: float
    login_s: float
    transfers: tuple[TransferReport, ...]
    size_bytes: int
    total_s: float

    def as_json(self) -> dict[str, object]:
        """Return the report as an object for json.dumps()."""
        return asdict(self)

    def as_table(self) -> str:
        """Format the report as a text table."""
        rows = ["action        bytes  command  end (s)  mode     path"]
        for item in self.transfers:
            times = f"{item.command_s:8.3f} {item.end_s:8.3f}"
            rows.append(f"{item.action:8} {item.size_bytes:10} {times}  {item.mode:8} {item.path}")
        rows.append(f"{len(self.transfers)} transfers, {self.size_bytes} bytes, {self.total_s:.3f} s")
        return "\n".join(rows)

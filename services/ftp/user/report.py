"""What a client's session took: one record a transfer, times in seconds from the start of the session."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class TransferReport:
    """One transfer; `size_bytes` counts the data connection's octets, `sha256` is of the file's as sent or received.

    command_s is when the data connection began to be agreed on, connected_s when it stood, first_byte_s when the first
    octet of a file came (None for an upload, and for an empty file), end_s when the last reply was there.
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
    """One session: when the control connection stood, the greeting came and the login was done."""

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
        """Return the report as what json.dumps() takes."""
        return asdict(self)

    def as_table(self) -> str:
        """Return the report as a short table for people."""
        rows = ["action        bytes  command  end (s)  mode     path"]
        for item in self.transfers:
            times = f"{item.command_s:8.3f} {item.end_s:8.3f}"
            rows.append(f"{item.action:8} {item.size_bytes:10} {times}  {item.mode:8} {item.path}")
        rows.append(f"{len(self.transfers)} transfers, {self.size_bytes} bytes, {self.total_s:.3f} s")
        return "\n".join(rows)

"""Reports of an FTP client session and its transfers; times are seconds from the start of the session."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class TransferReport:
    """Report of one transfer; `size_bytes` counts octets on the data connection, `sha256` is the hash of these octets.

    All times are seconds from the start of the session:

        command_s      the first command of the transfer is sent, before PORT or PASV
        connected_s    the data connection is established
        first_byte_s   the first octet arrives; None for an upload and for an empty file
        end_s          the last reply arrives
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
    """Report of one session: times of connection, greeting, login and end (`total_s`), in seconds from its start."""

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
        """Return the report as a dictionary that json.dumps() accepts."""
        return asdict(self)

    def as_table(self) -> str:
        """Format the report as a text table."""
        rows = ["action        bytes  command  end (s)  mode     path"]
        for item in self.transfers:
            times = f"{item.command_s:8.3f} {item.end_s:8.3f}"
            rows.append(f"{item.action:8} {item.size_bytes:10} {times}  {item.mode:8} {item.path}")
        rows.append(f"{len(self.transfers)} transfers, {self.size_bytes} bytes, {self.total_s:.3f} s")
        return "\n".join(rows)

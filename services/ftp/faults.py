"""Deliberate protocol violations (faults) of the FTP server and client, for teaching, enabled by `--fault NAME`.

FaultyControlConnection, a server's control connection with faults, omits the preliminary replies (RFC 959 section 5.4),
ends reply lines in LF alone, replies to PASV with an unreachable address (section 4.1.2), or sends files with converted
line ends after TYPE I (section 3.1.1.3). The client has one fault: it requests TYPE A for every file, even for
pictures.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lab7.services.connections import Slot
from lab7.services.ftp.grammar import DataType
from lab7.services.ftp.server_pi import actions
from lab7.services.ftp.server_pi.connection import ControlConnection
from lab7.services.ftp.server_pi.context import ServerContext

SERVER_FAULTS: Mapping[str, str] = {
    "unreachable-pasv": "an address in the reply to PASV that the client cannot reach (192.0.2.1)",
    "image-as-ascii": "files sent with converted line ends after TYPE I, too",
    "no-preliminary": "no reply 125 or 150 before a transfer",
    "lf-in-replies": "reply lines that end in LF alone",
}
CLIENT_FAULTS: Mapping[str, str] = {"ascii-picture": "TYPE A for every file, pictures among them"}
# RFC 5737 section 3: an address for documentation, which no host has.
UNREACHABLE = "192.0.2.1"


class FaultyControlConnection(ControlConnection):
    """Server's control connection with deliberate faults in its replies, the PASV address or the file contents."""

    def __init__(self, context: ServerContext, slot: Slot, faults: Collection[str]) -> None:
        super().__init__(context, slot)
        self._faults = faults

    def _perform(self, actions_to_perform: list[actions.Action]) -> None:
        super()._perform([one for each in actions_to_perform for one in self._changed(each)])

    def _changed(self, action: actions.Action) -> Sequence[actions.Action]:
        if not isinstance(action, actions.Send):
            return (action,)
        if "no-preliminary" in self._faults and action.octets.startswith((b"125 ", b"150 ")):
            return ()
        if "lf-in-replies" in self._faults:
            return (actions.Send(action.octets.replace(b"\r\n", b"\n")),)
        return (action,)

    async def _carry_out(self, request: actions.Request) -> actions.Result:
        result = await super()._carry_out(request)
        if "unreachable-pasv" in self._faults and isinstance(result, actions.Listening):
            return replace(result, address=UNREACHABLE)
        return result

    async def _open(self, request: actions.Opening) -> actions.Result:
        if "image-as-ascii" in self._faults and isinstance(request, actions.OpenRead):
            request = replace(request, data_type=DataType.ASCII)
        return await super()._open(request)

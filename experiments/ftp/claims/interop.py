"""Verdict on one FTP client with one FTP server: whether files are listed or transferred correctly.

The verdict is a cell of the FTP interoperability matrix, which has a row per server, and a column per client, operation
and mode (experiments/ftp/matrix.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from lab7.experiments.ftp.claims.connections import VERBS, What, decide_active_mode, decide_passive_mode, is_listing
from lab7.experiments.ftp.wire.sessions import FtpTraffic, Mode, Transfer
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decide, in_frames

WHATS: tuple[str, ...] = get_args(What)


def transferred(
    cell_id: str,
    traffic: FtpTraffic,
    what: What,
    mode: Mode,
    files: Mapping[str, bytes],
    stored: Mapping[str, bytes] | None = None,
) -> Verdict:
    """Return the verdict (with the id `cell_id`) on whether all files were listed or transferred correctly.

    Data connections must be of the mode `mode`. `stored` are the copies of uploaded files on the server's disk, if
    known.
    """
    wanted = [transfer for transfer in traffic.transfers if transfer.verb in VERBS[what]]

    def check() -> Finding:
        for transfer in wanted:
            _succeeded(transfer)
        if not wanted:
            frame = traffic.sessions[0].frame
            raise Contradiction(f"The session of frame {frame} has no {' or '.join(VERBS[what])}.", frame)
        (_listed if what == "list" else _moved)(wanted, files)
        if what == "put" and stored is not None:
            _kept(wanted, files, stored)
        frames = [transfer.exchange.command.frame for transfer in wanted]
        done = {"list": "listed", "get": "downloaded completely", "put": "uploaded completely"}[what]
        return f"{len(files)} files were {done} ({wanted[0].verb} in {in_frames(frames)}).", frames

    verdict = decide(cell_id, [traffic], check)
    by_mode = (decide_active_mode if mode == "active" else decide_passive_mode)(traffic)
    if verdict.verdict == "shown" and by_mode.verdict != "shown":
        return replace(by_mode, id=cell_id)
    return verdict


def _succeeded(transfer: Transfer) -> None:
    command = transfer.exchange.command
    if not transfer.done:
        raise Contradiction(
            f"The transfer fails: {transfer.exchange.described} in frame {command.frame}.", command.frame
        )
    if transfer.connection is None:
        raise Contradiction(
            f"The transfer {command.text!r} in frame {command.frame} has no data connection.", command.frame
        )


def _moved(transfers: list[Transfer], files: Mapping[str, bytes]) -> None:
    """Raise Contradiction unless each file was transferred with exactly its octets on the data connection."""
    got = {transfer.base_name: transfer for transfer in transfers}
    for name, octets in files.items():
        if name not in got:
            raise Contradiction(f"{name} was not transferred.", transfers[0].exchange.command.frame)
        data, frame = got[name].stream.data, got[name].exchange.command.frame
        if data != octets:
            raise Contradiction(
                f"The transfer of {name} in frame {frame} carries {len(data)} octets, which are not the file's.", frame
            )


def _kept(transfers: list[Transfer], files: Mapping[str, bytes], stored: Mapping[str, bytes]) -> None:
    """Raise Contradiction unless the server's copy of each uploaded file equals the file."""
    for transfer in transfers:
        expected, kept, frame = (
            files.get(transfer.base_name),
            stored.get(transfer.base_name),
            transfer.exchange.command.frame,
        )
        if expected is not None and kept != expected:
            what = "nothing" if kept is None else f"{len(kept)} octets, which are not the file's"
            raise Contradiction(f"{transfer.exchange.described} in frame {frame}, but the server stores {what}.", frame)


def _listed(transfers: list[Transfer], files: Mapping[str, bytes]) -> None:
    """Raise Contradiction unless each listing has exactly these files, with their sizes if it has sizes."""
    for transfer in transfers:
        is_listing(transfer, files, {name: len(octets) for name, octets in files.items()})

"""A web site made to measure: a page of exactly so many objects of exactly so many octets."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

from experiments.harness.templating import render

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE_PIXELS = 16
# Site files get one fixed modification time, so that responses of two runs are the same octets.
MODIFIED = 1_700_000_000


def make_site(folder: Path, objects: int, size_bytes: int, seed: int) -> list[Path]:
    """Write a base page and `objects` - 1 pictures, each of `size_bytes` octets; returns them, the page first.

    A page whose names need more octets than that has as many as they need.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    names = [f"picture-{number}.png" for number in range(1, objects)]
    page = render("page.html.j2", pictures=names).encode()
    contents = {"index.html": page + b" " * (size_bytes - len(page))}
    contents |= {name: _picture(size_bytes, random) for name in names}
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))
        paths.append(path)
    return paths


def site_files(paths: Sequence[Path], place: str = "/") -> dict[bytes, bytes]:
    """What an origin has to send for the files of make_site(), the page first: octets by path below `place`."""
    named = {f"{place}{path.name}".encode(): path.read_bytes() for path in paths[1:]}
    return {place.encode(): paths[0].read_bytes(), **named}


def write_picture(path: Path, size_bytes: int, seed: int) -> None:
    """Write one PNG picture of exactly so many octets, with a fixed modification time."""
    path.write_bytes(_picture(size_bytes, Random(f"{seed} {path.name}")))
    os.utime(path, (MODIFIED, MODIFIED))


def _chunk(kind: bytes, data: bytes) -> bytes:
    # PNG (ISO/IEC 15948) section 5.3: length, type, data, CRC over type and data.
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _picture(size_bytes: int, random: Random) -> bytes:
    """A PNG picture of one random colour, filled up to its size by a private chunk that viewers skip."""
    colour = bytes(random.randrange(256) for _ in range(3))
    rows = (b"\x00" + colour * SIDE_PIXELS) * SIDE_PIXELS
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE_PIXELS, SIDE_PIXELS, 8, 2, 0, 0, 0))
    ends = (header, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    filling = size_bytes - len(PNG_SIGNATURE) - sum(map(len, ends)) - len(_chunk(b"fiLl", b""))
    fill = _chunk(b"fiLl", random.randbytes(max(0, filling)))
    return PNG_SIGNATURE + ends[0] + fill + ends[1] + ends[2]

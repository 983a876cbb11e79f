"""Zone loading from the arguments of --zone and --zones; errors name the file and line.

--zone example.com.zone       the origin is the owner of the SOA; relative names need an $ORIGIN
--zone example.com=FILE       relative names are completed with example.com. until the first $ORIGIN
--zones LIST                  a file with a line `origin<TAB>file` per zone, files relative to its folder
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from services.dns.codec.errors import MasterFileError, TextError, ZoneError
from services.dns.codec.master_file import read_master_file
from services.dns.codec.name import Name
from services.dns.zones.zone import Zone, Zones
from services.errors import ServiceError


def load_zone(path: Path, origin: Name | None = None) -> Zone:
    """Load one zone; raises ServiceError."""
    try:
        return Zone.from_entries(read_master_file(path, origin), origin)
    except MasterFileError as error:
        raise ServiceError(str(error)) from error
    except ZoneError as error:
        raise ServiceError(f"{path}: {error}") from error


def load_zones(arguments: Sequence[str], lists: Sequence[str]) -> Zones:
    """Load the zones of --zone arguments and --zones lists; raises ServiceError, also where there are neither."""
    if not arguments and not lists:
        raise ServiceError("no zone: use --zone FILE")
    zones = Zones()
    for path, origin in _files(arguments, lists):
        try:
            zones.add(load_zone(path, origin))
        except ZoneError as error:
            raise ServiceError(f"{path}: {error}") from error
    return zones


def _files(arguments: Iterable[str], lists: Iterable[str]) -> Iterator[tuple[Path, Name | None]]:
    for argument in arguments:
        origin, equals, file = argument.rpartition("=")
        yield Path(file), _origin(origin, argument) if equals else None
    for name in lists:
        yield from _listed(Path(name))


def _listed(path: Path) -> Iterator[tuple[Path, Name | None]]:
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise ServiceError(f"cannot read the list of zones {path} ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        origin, tab, file = line.partition("\t")
        if not tab:
            raise ServiceError(f"{path}:{number}: expected `origin<TAB>file`")
        yield path.parent / file.strip(), _origin(origin.strip(), f"{path}:{number}")


def _origin(text: str, where: str) -> Name:
    try:
        return Name.from_text(text)
    except TextError as error:
        raise ServiceError(f"{where}: {error}") from error

"""Zone loading from the arguments of --zone and --zones; errors and warnings name the file and line.

--zone example.com.zone       the origin is the owner of the SOA; relative names need an $ORIGIN
--zone example.com=FILE       relative names are completed with example.com. until the first $ORIGIN
--zones LIST                  a file with a line `origin<TAB>file` per zone, files relative to its folder

A zone that cannot be loaded does not prevent the other zones from being served. As in BIND and NSD, queries for its
names get SERVFAIL (REFUSED if the argument does not give its origin, which is then unknown); after a failed reload, the
previous version of the zone is still served.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lab7.services.dns.codec.errors import MasterFileError, TextError, ZoneError
from lab7.services.dns.codec.master_file import Warn, no_warning, read_master_file
from lab7.services.dns.codec.name import Name
from lab7.services.dns.zones.checks import zone_warnings
from lab7.services.dns.zones.zone import Zone, Zones
from lab7.services.errors import ServiceError

# Maximum number of warnings reported one by one for a zone; further warnings are only counted.
WARNINGS_MAX = 20

# Callback for load events: takes the kind of event, zone_warning or zone_failed, and its message.
Report = Callable[[str, str], None]
# Callback that converts a loaded zone to the served zone, such as by signing; raises ServiceError.
Prepare = Callable[[Zone], Zone]


def load_zone(path: Path, origin: Name | None = None, warn: Warn = no_warning) -> Zone:
    """Load one zone from a master file, and return it; raises ServiceError."""
    try:
        entries = read_master_file(path, origin, warn)
        zone = Zone.from_entries(entries, origin, warn)
    except MasterFileError as error:
        raise ServiceError(str(error)) from error
    except ZoneError as error:
        raise ServiceError(f"{path}: {error}") from error
    for warning in zone_warnings(zone, entries):
        warn(warning)
    return zone


class ZoneFiles:
    """Loader of the zone files in --zone and --zones; it calls `report` with errors and warnings."""

    def __init__(
        self, arguments: Iterable[str], lists: Iterable[str], report: Report, prepare: Prepare | None = None
    ) -> None:
        self._prepare = prepare
        self._arguments = tuple(arguments)
        self._lists = tuple(lists)
        self._report = report
        self._loaded: dict[tuple[Path, Name | None], Zone] = {}

    def load(self) -> Zones:
        """Load the zones; raises ServiceError for wrong arguments, or if no zone can be served."""
        if not self._arguments and not self._lists:
            raise ServiceError("no zone: use --zone FILE")
        zones, failures = Zones(), list[str]()
        loaded: dict[tuple[Path, Name | None], Zone] = {}
        for path, origin in _files(self._arguments, self._lists):
            zone = self._load(path, origin, failures)
            if zone is None and origin is not None:
                zones.add_unloaded(origin)
            if zone is None:
                continue
            try:
                zones.add(zone)
            except ZoneError as error:
                raise ServiceError(f"{path}: {error}") from error
            loaded[path, origin] = zone
        last = failures.pop() if failures and not len(zones) else None
        for failure in failures:
            self._report("zone_failed", failure)
        if last is not None:
            raise ServiceError(last)
        self._loaded = loaded
        return zones

    def _load(self, path: Path, origin: Name | None, failures: list[str]) -> Zone | None:
        """Load one zone; if that fails, return the version loaded before, or None if there is none."""
        warnings = list[str]()
        try:
            zone = load_zone(path, origin, warnings.append)
            zone = zone if self._prepare is None else self._prepare(zone)
        except ServiceError as error:
            before = self._loaded.get((path, origin))
            failures.append(
                f"{error}" if before is None else (f"{error} (the previous version of the zone stays loaded)")
            )
            return before
        for warning in warnings[:WARNINGS_MAX]:
            self._report("zone_warning", warning)
        if len(warnings) > WARNINGS_MAX:
            self._report("zone_warning", f"{path}: {len(warnings) - WARNINGS_MAX} more warnings")
        return zone


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

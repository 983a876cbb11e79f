"""All probes of the cache."""

from tests.loopback.http.cache_probes import (
    conditions,
    control,
    dates,
    forwarding,
    incomplete,
    messages,
    methods,
    mixed,
    partial,
    parts_stored,
    relaying,
    staleness,
    statuses,
    targeted,
    varying,
)

TABLES = (
    conditions,
    control,
    dates,
    forwarding,
    incomplete,
    messages,
    methods,
    mixed,
    partial,
    parts_stored,
    relaying,
    staleness,
    statuses,
    targeted,
    varying,
)
PROBES = [probe for table in TABLES for probe in table.PROBES]

"""What a resolver knows that outlives one question: where to begin, what it remembers, and how it goes about asking."""

from dataclasses import dataclass
from random import Random

from services.dns.cache import Cache
from services.dns.delegation import Delegation
from services.dns.server_table import ServerTable


@dataclass(slots=True)
class Knowledge:
    """What lives longer than one question, and how this resolver goes about it."""

    roots: Delegation
    cache: Cache
    servers: ServerTable
    random: Random
    minimise: bool = False
    randomise_case: bool = True

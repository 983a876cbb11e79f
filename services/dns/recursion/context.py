"""What a resolver knows that outlives one question: where to begin, what it remembers, and how it goes about asking."""

from dataclasses import dataclass
from random import Random

from services.dns.recursion.cache import Cache
from services.dns.recursion.delegation import Delegation
from services.dns.recursion.ecs_cache import ScopedCache
from services.dns.recursion.infra_cache import ServerTable


@dataclass(slots=True)
class Knowledge:
    """What lives longer than one question, and how this resolver goes about it.

    With `scoped` it tells servers of its clients' networks, and keeps what they answer apart.
    """

    roots: Delegation
    cache: Cache
    servers: ServerTable
    random: Random
    minimise: bool = False
    randomise_case: bool = True
    scoped: ScopedCache | None = None

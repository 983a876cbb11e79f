"""What a host runs: small socket-level services, each a sans-IO core in a thin asyncio shell."""

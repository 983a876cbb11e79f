"""DNS: message codec, authoritative zones, recursive resolver, CDN request routing, and the programs of each."""

"""DNS: message codec, authoritative server, recursive resolver, stub resolver, CDN request routing."""

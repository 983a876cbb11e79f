"""Assignment dns-records: record types, mail exchanges, aliases, reverse mapping, and negative caching."""

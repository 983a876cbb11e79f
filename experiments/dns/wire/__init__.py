"""DNS messages and exchanges parsed from captures."""

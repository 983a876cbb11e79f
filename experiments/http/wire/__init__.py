"""HTTP/1 and HTTP/2 messages and page loads parsed from captures."""

"""SMTP (RFC 5321): sans-IO sessions of server and client, and the asyncio connections that carry them."""

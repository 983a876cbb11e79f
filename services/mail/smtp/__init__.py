"""SMTP server and client (RFC 5321): sans-IO sessions, and asyncio connections that transmit their octets."""

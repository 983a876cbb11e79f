"""File Transfer Protocol (RFC 959): server and client, each a protocol interpreter (PI) and data transfer process."""

"""The File Transfer Protocol (RFC 959): protocol interpreters (PI) and data transfer processes (DTP) of both sides."""

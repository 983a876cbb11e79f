"""SMTP: sessions of both sides without I/O, and the shells that give them sockets."""

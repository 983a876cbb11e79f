"""DNS server: datagrams and TCP connections, responder, response cache."""

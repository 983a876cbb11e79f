"""DNS server: datagrams and TCP connections, responder, EDNS options, response cache."""

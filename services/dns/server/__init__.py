"""DNS server: UDP datagrams and TCP connections, processing of queries, EDNS options, response cache."""

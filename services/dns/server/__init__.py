"""The DNS server shell: datagrams, TCP connections, access control and worker processes."""

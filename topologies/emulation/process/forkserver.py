"""Fork server: a process that has imported the services once and forks one child for each service of a host.

Starting Python and importing a service takes about 0.2 s of a processor, and a topology has dozens of services: forked
from a process that has done so, each starts in milliseconds and shares its pages with the others (gc.freeze keeps the
garbage collector from touching, and so copying, them).

Why not multiprocessing's forkserver: it imports the caller's main script again in every child (a user's lab script
would build its network twice), and its children cannot be given another host's standard streams.

The protocol. One request per datagram on a SOCK_SEQPACKET socket, JSON with the child's stdin, stdout and stderr
attached as descriptors (SCM_RIGHTS):

    -> {"module": "lab7.services.http.origin", "argv": ["--port", "80"], "cwd": "/run/...",
        "namespaces": ["/proc/17/ns/net", ..]}

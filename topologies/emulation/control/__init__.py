"""Control of a running network from other processes of the same user, by a Unix domain socket."""

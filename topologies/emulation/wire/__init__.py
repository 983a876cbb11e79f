"""Links in user space, for kernels without netem: two TAP devices per link and a process that carries the frames."""

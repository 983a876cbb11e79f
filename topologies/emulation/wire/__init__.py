"""Links in user space, for kernels without netem: two TAP devices and one process that carries the frames."""

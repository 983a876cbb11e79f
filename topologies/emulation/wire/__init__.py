"""Links emulated in user space, without netem: two TAP devices per link and a process that forwards frames."""

"""Links and switches: links shaped by netem or in user space, Open vSwitch, and the set-up of network interfaces."""

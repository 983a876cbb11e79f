"""Links and switches: links by netem (cables), Open vSwitch, and the set-up of network interfaces."""

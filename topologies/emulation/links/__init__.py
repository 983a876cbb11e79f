"""Links and switches: netem cables, user-space wires, Open vSwitch, and the set-up of interfaces."""

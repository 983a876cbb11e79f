"""Links and switches: cables with netem, wires, Open vSwitch and their devices."""

"""What needs a kernel with netem and Open vSwitch, run in one that is started as a program: `make test-kernel`.

It is the kernel of virtual time (lab7.topologies.emulation.virtual), here with this machine's clock.
It boots with this machine's own root, which it can read but
not write, runs the jobs of this folder one after the other (see jobs) and leaves what they found in a folder of the
host, where the tests read it. Nothing of that needs rights or virtualisation. It has one processor, and system calls
are several times slower in it: so delays are long here and rates are low.
"""

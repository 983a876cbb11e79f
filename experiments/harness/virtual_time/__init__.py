"""Experiments in virtual time: runs inside a user-mode Linux kernel with a simulated clock, supervised from outside.

In virtual time (user-mode Linux in time-travel mode) a computation takes no time: when all programs wait, the clock of
the kernel jumps to the next timer.

`kernel_run` is the machine's own side (the host of the kernel): it creates the result folder, boots a kernel for the
run (see lab7.topologies.emulation.virtual), relays progress, ends a run that makes no progress, and saves the captures
of a failed run. `job` is the kernel's side: it parses the request, runs one experiment or one test matrix (all servers
against all clients), and writes an answer file. The request is passed in the environment. Both sides share folders
through hostfs: the result folder, mounted at the same path in every run so that no path differs between two runs, and
the job's folder for progress and answer.

Captures are evaluated in the kernel as well, so that verdicts and captures come from one run; this computation does not
advance the clock. Times, packets and verdicts depend on the seed only. A result is therefore repeatable to the octet
(`lab7 run --twice` checks this), and several runs in parallel, one kernel each, have no effect on each other's times.

A program that computes forever stops virtual time, so that no timeout inside the kernel can fire. The host's side
therefore limits three quantities (`ProgressLimits`): the CPU time without an advance of the clock, the CPU time without
a progress report, and the host time in which the kernel uses no CPU time.
"""

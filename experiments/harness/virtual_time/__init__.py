"""Experiments in virtual time: runs inside user-mode Linux in time-travel mode, supervised from the host.

`kernel_run` is the host's side: it creates the result folder, boots a kernel for the run (see
lab7.topologies.emulation.virtual), relays progress, bounds a run that makes none, and saves the captures of a failed
one. `job` is the kernel's side: it parses the request, runs one experiment or one matrix with the ordinary runner, and
writes an answer file. The request is passed in the environment. Both sides share folders through hostfs: the result
folder, mounted at the same path in every run so that no path differs between two runs, and the job's folder for
progress and answer.

The judge runs in the kernel, too, so that verdicts and captures come from one run; its computing does not advance the
clock. Times, packets and verdicts depend on the seed alone. So a result is repeatable to the octet (`lab7 run --twice`
checks it), and several runs go on in parallel, one kernel each, without an effect on each other's times.

A program that computes for ever stops virtual time, so that no time-out inside can fire. The host's side therefore
bounds processor time without an advance of the clock, processor time without a completed step, and host time without
any processor time (`ProgressLimits`).
"""

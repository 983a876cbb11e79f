"""Virtual time: a command line that runs in user-mode Linux in time-travel mode, whose clock moves only when nothing is
runnable.

kernel    which kernel that is, and where it is kept
building  how it is made from the distribution's kernel source
machine   the host's side: a kernel boots, runs one job and ends
guard     the process between the two, which leaves nothing behind
guest     process 1 inside
"""

"""Virtual time: a command runs in a user-mode Linux kernel, whose clock advances only when every process is idle.

Design. User-mode Linux (UML) is the Linux kernel compiled as a program. In time-travel mode (time-travel=inf-cpu;
arch/um of the kernel) it has a simulated clock: while any process is runnable the clock stands still, and when all
sleep it jumps to the next timer. Programs therefore take no time, netem's delays are exact, an idle hour passes at
once, and with fixed inputs two runs are identical to the octet. UML needs no privileges, since all its processes are
processes of the user.

Determinism. Everything that could differ between two runs is fixed from the seed: the random number pool (a patch reads
LAB7_ENTROPY in place of hardware entropy), the wall clock at boot, the kernel's command line (an input of the pool;
data that varies is in a file instead), addresses (no randomisation), the environment, and Python's hash seed. Reading
the clock advances it by 32 ns, so that a program that polls the clock ends. Failed system calls do not advance the
clock, since their number depends on search paths of the host; only after 100,000 failures in a row without an idle
moment they do (a patch).

One run. The host's side (machine) starts a guard process, which starts the kernel and removes its folder when either
side dies. The kernel boots with the host's root directory read-only through hostfs; its process 1 (guest) overlays it
with a file system in memory, mounts the folders that the job may write, and runs the job: the same lab7 command line,
which recognises that it is in a sandbox already. The host's side reads output, progress and results from files in these
folders while the kernel runs. A guest that computes for ever would stop the clock for ever, so the host's side limits
the CPU time that the kernel may use without an advance of the clock (harness.virtual_time.kernel_run).

    kernel    identity of the kernel: recipe hash, storage, discovery
    builder   build from the distribution's kernel source and the patches beside it
    machine   the host's side: boot a kernel, run one job, end
    guard     process between both sides, which cleans up
    job       the job and the kernel's command line
    guest     process 1 of the kernel
    alignment wait for a full step of the clock, in the kernel
"""

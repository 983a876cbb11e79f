#!/bin/sh
# Process 1 of the lane's kernel: a root that can be written, in memory, above the machine's own; then the jobs.
# The kernel hands its unknown parameters on as the environment: REPOSITORY and FINDINGS are folders of the host, PYTHON
# runs the JOBS, LIMIT_S is when the kernel gives up by itself, whoever still waits for it.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
MODULES=/usr/lib/uml/modules

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
end() { [ $# -eq 0 ] || echo "init: $1"; sync; echo o >/proc/sysrq-trigger; sleep 10; }
trap 'end "the jobs could not be started"' EXIT
(sleep "$LIMIT_S"; echo "init: after $LIMIT_S s this takes too long"; echo o >/proc/sysrq-trigger) &

mkdir -p /run/modprobe/lib /run/upper /run/work /run/root
ln -s $MODULES /run/modprobe/lib/modules
modprobe -d /run/modprobe overlay || end "no module overlay"
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay /run/root || end "no root that can be written"
for place in proc sys dev; do mount --move /$place /run/root/$place; done
mount -t tmpfs tmpfs /run/root/run
mkdir -p /run/root/run/machine "/run/root$FINDINGS" /run/root/lib/modules
mount -t hostfs -o "$FINDINGS" findings "/run/root$FINDINGS" || end "no folder for what is found"
cd /run/root || end "no root"
# Not chroot alone: the kernel gives no user namespace to who has been moved by it (user_namespaces(7)).
pivot_root . run/machine || end "no way to the new root"
cd /

# From here on as any machine after its start: modules are loaded when somebody asks, TAP is open to everybody.
[ -e "/lib/modules/$(uname -r)" ] || ln -s "$MODULES/$(uname -r)" /lib/modules/
modprobe ipv6
mkdir -p /dev/net /dev/pts /dev/shm
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
chmod 666 /dev/net/tun
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
chmod 1777 /dev/shm
ip link set lo up
hostname kernel-lane
# An ordinary user reads the project and its interpreter, wherever they lie; only this kernel sees the change.
for place in "$REPOSITORY" "$(readlink -f "$PYTHON")"; do
    while [ "$place" != / ]; do chmod o+rx "$place"; place=$(dirname "$place"); done
done

cd "$REPOSITORY" || end "no repository"
trap - EXIT
"$PYTHON" -m tests.kernel.guest "$FINDINGS" "$JOBS"
end

#!/bin/sh
# Run a command in a root of its own, in new mount and PID namespaces: what is written goes to DISK, the rest is BASE.
#     enter.sh BASE DISK COMMAND [ARG ...]
set -e
base=$1 disk=$2
shift 2
mount --make-rprivate /
mkdir -p "$disk/upper" "$disk/work" "$disk/root"
mount -t overlay -o "lowerdir=$base,upperdir=$disk/upper,workdir=$disk/work" overlay "$disk/root"
cd "$disk/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mkdir run/outside
[ ! -s /etc/resolv.conf ] || { touch etc/resolv.conf; mount --bind /etc/resolv.conf etc/resolv.conf; }
/sbin/pivot_root . run/outside
cd /
umount -l /run/outside
exec "$@"

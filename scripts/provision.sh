#!/usr/bin/env bash
# The one place that installs: system packages, the virtual environment, lab7 in it. Safe to run again at any time;
# with everything there it does nothing, and after an interruption it goes on. For Debian 12, Ubuntu 24.04 and their like.
#
#   scripts/provision.sh [--bench] [--peers] [--virtual] [--kernel] [--vm] [--test-vm]
#       --bench: also the Python peers that `make bench` compares with
#       --peers: also the real servers and clients that can take the place of lab7's services
#       --virtual: also the kernel of virtual time, built from the distribution's source and kept in the user's cache
#       --kernel: also what `make test-kernel` needs, that kernel and Open vSwitch
#       --test-vm: also what `make test-vm` makes a clean root with
#       --vm: all of a machine made for lab7: --peers, Wireshark, Open vSwitch, the kernel of virtual time and the command
#           lab7 for every user
#   LAB7_VENV: where the virtual environment is (.venv); LAB7_LOCK_WAIT_S: how long to wait for another package manager
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=${LAB7_VENV:-.venv}
EXTRAS=fast,sftp,crypto,handouts,dask,dev
WITH_PEERS='' WITH_VIRTUAL='' WITH_KERNEL='' WITH_VM='' WITH_TEST_VM=''
for option in "$@"; do
    case $option in
        --bench) EXTRAS=$EXTRAS,bench ;;
        --peers) WITH_PEERS=yes ;;
        --virtual) WITH_VIRTUAL=yes ;;
        --kernel) WITH_KERNEL=yes WITH_VIRTUAL=yes ;;
        --test-vm) WITH_TEST_VM=yes ;;
        --vm) WITH_VM=yes WITH_PEERS=yes WITH_VIRTUAL=yes ;;
        *)
            printf 'setup: there is no option %s: there are --bench, --peers, --virtual, --kernel, --vm and --test-vm\n' "$option" >&2
            exit 2
            ;;
    esac
done

# shellcheck source=topologies/emulation/provisioning/packages.sh
source topologies/emulation/provisioning/packages.sh
# shellcheck disable=SC2034
VENV_PYTHON=$PYTHON
[[ -z $WITH_PEERS ]] || want_group peers
[[ -z $WITH_VIRTUAL ]] || want_group virtual
[[ -z $WITH_KERNEL ]] || want_group kernel
[[ -z $WITH_VM ]] || want_group vm
[[ -z $WITH_TEST_VM ]] || want_group test-vm

# Their servers start in hosts of the lab, not with the machine.
keep_quiet() {
    [[ -n $WITH_VM && -d /run/systemd/system ]] || return 0
    local unit
    for unit in nginx apache2 nghttpx squid varnish varnishncsa trafficserver named nsd unbound gdnsd vsftpd dovecot fetchmail; do
        ! systemctl is-enabled --quiet "$unit" 2>/dev/null || $SUDO systemctl disable --quiet --now "$unit"
    done
    systemctl is-active --quiet openvswitch-switch || $SUDO systemctl enable --quiet --now openvswitch-switch
}

# Ubuntu gives user namespaces to nobody by default (see `lab7 doctor`); a machine made for lab7 does.
allow_sandboxes() {
    local switch=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
    [[ -n $WITH_VM && -e $switch && $(cat $switch) == 1 ]] || return 0
    printf 'kernel.apparmor_restrict_unprivileged_userns = 0\n' | $SUDO tee /etc/sysctl.d/60-lab7.conf >/dev/null
    $SUDO sysctl -q -p /etc/sysctl.d/60-lab7.conf
}

install_project() {
    # The stamp holds what was installed, so that a changed pyproject.toml or more extras install again.
    local stamp=$VENV/.lab7-setup wanted log clear=--clear
    wanted="$EXTRAS $(cksum <pyproject.toml) $PWD"
    [[ -x $VENV/bin/lab7 && -f $stamp ]] || rm -f "$stamp"
    if [[ -f $stamp ]]; then
        [[ $(cat "$stamp") == "$wanted" ]] && return
        # An environment with more extras than asked for is as good.
        [[ $(cat "$stamp") == "fast,sftp,crypto,handouts,dask,dev,bench ${wanted#* }" ]] && return
        clear=
    fi
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || fail "lab7 needs Python 3.11 or newer and $PYTHON is older; name a newer one by PYTHON=python3.12 make setup"
    printf 'setup: making the virtual environment %s (once; a minute or two)\n' "$VENV"
    log=$(mktemp) || fail "the disk is full; free some space and run this again"
    rm -f "$stamp"
    # Without its stamp an environment is half made, and what is in it cannot be relied on: it is made anew.
    # shellcheck disable=SC2086
    { "$PYTHON" -m venv $clear "$VENV" && "$VENV/bin/python" -m pip install -q --disable-pip-version-check -e ".[$EXTRAS]"; } \
        >"$log" 2>&1 || explain "$log" "the Python packages could not be installed"
    rm -f "$log"
    printf '%s' "$wanted" >"$stamp" || fail "the disk is full; free some space and run this again"
    printf 'setup: done; the command is %s/bin/lab7\n' "$VENV"
}

# The kernel of virtual time, once for each recipe. Nothing else needs it, so without it set-up goes on.
build_kernel() {
    [[ -n $WITH_VIRTUAL ]] || return 0
    # In the user's own cache, or for all users of a machine that is made for lab7.
    local words=("$VENV/bin/python" -m lab7.topologies.emulation.virtual.builder)
    # shellcheck disable=SC2086
    if [[ -n $WITH_VM ]]; then $SUDO "${words[@]}" --shared; else "${words[@]}"; fi && return
    printf 'setup: without its kernel there is no virtual time here; all else works\n' >&2
    [[ -n $WITH_VM || -n $WITH_KERNEL ]] || exit 3
}

offer_command() {
    [[ -n $WITH_VM && $(readlink /usr/local/bin/lab7 || true) != "$(realpath "$VENV")/bin/lab7" ]] || return 0
    $SUDO ln -sf "$(realpath "$VENV")/bin/lab7" /usr/local/bin/lab7
}

[[ $(id -u) -eq 0 || -z $WITH_VM ]] || SUDO=sudo
install_packages
keep_quiet
allow_sandboxes
install_project
[[ -z $WITH_PEERS ]] || exim_is_here "$VENV/peers" || unpack_exim "$VENV/peers"
build_kernel
offer_command

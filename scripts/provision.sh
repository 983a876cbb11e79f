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
# Where tc and many servers are; the PATH of an ordinary user of Debian lacks them, and so does that of root after `su`.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

PYTHON=${PYTHON:-python3}
VENV=${LAB7_VENV:-.venv}
LOCK_WAIT_S=${LAB7_LOCK_WAIT_S:-120}
EXTRAS=fast,sftp,crypto,handouts,dask,dev
WITH_PEERS= WITH_VIRTUAL= WITH_KERNEL= WITH_VM= WITH_TEST_VM=
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

fail() { printf 'setup: %s\n' "$1" >&2; exit 3; }

# program:package, for what the program is needed
PROGRAMS='
ip:iproute2            make interfaces and addresses
tc:iproute2            shape links
ethtool:ethtool        see that segmentation offload is off
nsenter:util-linux     run commands in hosts
mnexec:mininet         the helper of Mininet that enters namespaces
ifconfig:net-tools     needed by the command line of Mininet
brctl:bridge-utils     switches of stock Mininet (mn --switch lxbr)
tcpdump:tcpdump        read captures
ping:iputils-ping      try networks out
curl:curl              try services out
dig:bind9-dnsutils     try name servers out
swaks:swaks            send mail by hand
tshark:tshark          read captures in the terminal
sysctl:procps          needed by the command line of Mininet
killall:psmisc         needed by the command line of Mininet
newuidmap:uidmap       sandboxes of ordinary users
'

# Optional: none is needed to run lab7; `lab7 matrix` and --replace use those that are there.
PEERS='
nginx:nginx-light      an origin, and a cache
apache2:apache2        an origin, and a cache
nghttpd:nghttp2-server an origin that pushes
nghttp:nghttp2-client  an HTTP/2 client, and h2load
wget:wget              a client that loads what a page names
squid:squid            a cache
varnishd:varnish       a cache
traffic_server:trafficserver   a cache
named:bind9            authoritative name servers
nsd:nsd                authoritative name servers
unbound:unbound        a local name server
gdnsd:gdnsd            a name server that answers by region
named-checkzone:bind9-utils    check zone files
host:bind9-host        ask name servers
drill:ldnsutils        ask name servers
dnsperf:dnsperf        load name servers
rdate:rdate            ask time servers
chromium:chromium      a browser
vsftpd:vsftpd          an FTP server
lftp:lftp              an FTP client that mirrors trees
ncftpput:ncftp         an FTP client that copies trees
tnftp:tnftp            the FTP client of the BSDs
sshd:openssh-server    a server of SFTP
sftp:openssh-client    a client of SFTP
dovecot:dovecot-imapd  mailboxes by IMAP
/usr/lib/dovecot/pop3:dovecot-pop3d   maildrops by POP3
mbsync:isync           copy mailboxes
fetchmail:fetchmail    empty maildrops
mpop:mpop              empty maildrops
mutt:mutt              read mail
offlineimap:offlineimap3       copy mailboxes
postconf:postfix       a mail server
msmtp:msmtp            send mail
opendkim-testmsg:opendkim-tools        verify DKIM signatures
nft:nftables           NAT in a router
iptables:iptables      NAT in a router
dnsmasq:dnsmasq-base   a DHCP server
udhcpc:udhcpc          a DHCP client
iperf:iperf            the commands iperf and iperfudp of the command line of Mininet
'

# For tests in a kernel with netem and Open vSwitch.
KERNEL='
ovs-vsctl:openvswitch-switch   switches by Open vSwitch
'
# To build the kernel of virtual time, which exists for x86-64 alone.
VIRTUAL='
make:make              build the kernel of virtual time
gcc:gcc                build the kernel of virtual time
flex:flex              build the kernel of virtual time
bison:bison            build the kernel of virtual time
bc:bc                  build the kernel of virtual time
xz:xz-utils            build the kernel of virtual time
patch:patch            build the kernel of virtual time
'
[[ $(uname -m) == x86_64 ]] || VIRTUAL=
MACHINE='
ovs-vsctl:openvswitch-switch   switches by Open vSwitch
tshark:tshark          read captures in the terminal
'
TEST_VM='
debootstrap:debootstrap        make a clean root
podman:podman          run an autograder in a container
runc:runc              run an autograder in a container
vagrant:vagrant        check the Vagrantfile
'
OPTIONAL=
[[ -n $WITH_PEERS ]] && OPTIONAL+=$PEERS
[[ -n $WITH_VIRTUAL ]] && OPTIONAL+=$VIRTUAL
[[ -n $WITH_KERNEL ]] && OPTIONAL+=$KERNEL
[[ -n $WITH_VM ]] && OPTIONAL+=$MACHINE
[[ -n $WITH_TEST_VM ]] && OPTIONAL+=$TEST_VM
PROGRAMS+=$OPTIONAL
# Ubuntu keeps netem in a package of its own, by the kernel's version.
MODULES=linux-modules-extra-$(uname -r)
OPTIONAL+="sch_netem:$MODULES source:linux-source-6.1 source:linux-source "

kernel_source() {
    if ! command -v apt-cache >/dev/null || apt-cache show linux-source-6.1 >/dev/null 2>&1; then
        printf 'linux-source-6.1'
    else
        printf 'linux-source'
    fi
}

missing_packages() {
    local program package purpose
    while read -r program purpose; do
        [[ -z $program ]] && continue
        package=${program#*:} program=${program%%:*}
        command -v "$program" >/dev/null 2>&1 || printf '%s\t%s\n' "$package" "$purpose"
    done <<<"$PROGRAMS"
    # A module of the system's own Python, no program.
    [[ -z $WITH_PEERS ]] || /usr/bin/python3 -c 'import pyftpdlib' 2>/dev/null \
        || printf 'python3-pyftpdlib\tan FTP server\n'
    [[ -z $WITH_VM ]] || ! grep -q '^ID=ubuntu' /etc/os-release || /sbin/modinfo sch_netem >/dev/null 2>&1 \
        || printf '%s\tlinks by the kernel\n' "$MODULES"
    # Source, no program: the release that the patches are made for, else this distribution's own.
    [[ -z $WITH_VIRTUAL || -z $VIRTUAL ]] || compgen -G '/usr/src/linux-source-*.tar.*' >/dev/null \
        || printf '%s\tbuild the kernel of virtual time\n' "$(kernel_source)"
    [[ -z $WITH_VIRTUAL || -z $VIRTUAL || -e /usr/include/stdio.h ]] \
        || printf 'libc6-dev\tbuild the kernel of virtual time\n'
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || printf 'python3-venv\tmake the virtual environment\n'
}

# Of these packages those that can be had; an optional one that this distribution lacks is said and left out.
available() {
    local package
    for package in "$@"; do
        if [[ $OPTIONAL == *":$package "* ]] && ! apt-cache show "$package" >/dev/null 2>&1; then
            printf 'setup: this distribution has no package %s; what needs it is skipped\n' "$package" >&2
        else
            printf '%s ' "$package"
        fi
    done
}

# Of these packages those that take nothing away: a mail server that is here already stays.
harmless() {
    local package
    for package in "$@"; do
        if [[ $OPTIONAL != *":$package "* ]] || apt-get -q -s --no-remove install --no-install-recommends "$package" >/dev/null 2>&1; then
            printf '%s ' "$package"
        else
            printf 'setup: installing %s would remove another package; what needs it is skipped\n' "$package" >&2
        fi
    done
}

# Exim beside Postfix: Debian has one mail server at a time, so this one is unpacked and not installed.
unpack_exim() {
    local folder=$VENV/peers download
    [[ -n $WITH_PEERS ]] || return 0
    [[ -x $folder/usr/sbin/exim4 || -x /usr/sbin/exim4 ]] && return
    download=$(mktemp -d)
    if (cd "$download" && apt-get -q download exim4-daemon-light) >/dev/null 2>&1 \
        && dpkg -x "$download"/exim4-daemon-light_*.deb "$folder" >/dev/null 2>&1; then
        # It runs where root starts it; nobody else needs its rights.
        chmod u-s "$folder/usr/sbin/exim4"
    else
        printf 'setup: exim4-daemon-light could not be fetched; what needs it is skipped\n' >&2
    fi
    rm -rf "$download"
}

# Not every program says so when it cannot write.
disk_is_full() {
    local free_kb
    free_kb=$(df -k --output=avail / . "${TMPDIR:-/tmp}" | tail -n +2 | sort -n | head -n 1)
    [[ $free_kb -lt 20480 ]]
}

# Why a command failed, from its log, as one sentence.
explain() {
    local log=$1 what=$2 said
    said=$(grep -m 1 -E '^ *(E|ERROR):' "$log" | sed 's,^ *,,' || true)
    if grep -q 'No space left on device\|enough free space' "$log" || disk_is_full; then
        fail "$what: the disk is full; free some space and run this again"
    elif grep -q 'Could not get lock\|Unable to lock\|dpkg frontend lock' "$log"; then
        fail "$what: another package manager still runs after $LOCK_WAIT_S s; let it end and run this again"
    elif grep -q 'Temporary failure\|Could not resolve\|Could not connect\|Network is unreachable\|NewConnectionError' "$log"; then
        fail "$what: the network is away; check it and run this again"
    fi
    fail "$what (${said:-$(tail -n 1 "$log")}); mend that and run this again"
}

apt() { $SUDO env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout="$LOCK_WAIT_S" "$@"; }

# The lock of the lists is the one that apt-get does not wait for.
update_lists() {
    local deadline=$((SECONDS + LOCK_WAIT_S)) said
    until said=$(apt update 2>&1); do
        printf '%s\n' "$said"
        [[ $said == *'Could not get lock'* && $SECONDS -lt $deadline ]] || return 1
        sleep 2
    done
    printf '%s\n' "$said"
}

install_packages() {
    local missing packages
    missing=$(missing_packages)
    [[ -z $missing ]] && return
    packages=$(cut -f1 <<<"$missing" | sort -u | tr '\n' ' ')
    printf 'setup: system packages that lab7 needs and this machine lacks:\n'
    sort -u <<<"$missing" | sed 's/^/  /' | expand -t 24
    command -v apt-get >/dev/null || fail "this is not a Debian or Ubuntu; install these packages' programs by hand: $packages"
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || fail "installing needs root and sudo is not here; ask an administrator for: apt-get install $packages"
        SUDO=sudo
        printf 'setup: installing them with sudo\n'
    fi
    # A server that is installed for the lab must not start on the machine itself.
    if [[ ! -e $POLICY ]]; then
        printf '#!/bin/sh\nexit 101\n' | $SUDO tee "$POLICY" >/dev/null && $SUDO chmod +x "$POLICY" && trap '$SUDO rm -f "$POLICY"' EXIT
    fi
    apt_install "$packages"
}

apt_install() {
    local log packages
    log=$(mktemp) || fail "the disk is full; free some space and run this again"
    # What an interrupted run has left is finished first; a package manager that runs already is waited for.
    { update_lists && finish_interrupted; } >"$log" 2>&1 || explain "$log" "the package lists could not be fetched"
    # shellcheck disable=SC2046,SC2086
    packages=$(harmless $(available $1))
    [[ -z $packages ]] && return
    # The lists' own log stays: apt-get says of a network that is away only there why it finds no package.
    # shellcheck disable=SC2086
    apt -y install --no-install-recommends $packages >>"$log" 2>&1 || explain "$log" "the packages could not be installed"
    rm -f "$log"
}

finish_interrupted() {
    [[ -z $(dpkg --audit) ]] || { $SUDO dpkg --configure -a --force-confold; apt -y --fix-broken install; }
}

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

SUDO=
POLICY=/usr/sbin/policy-rc.d
[[ $(id -u) -eq 0 || -z $WITH_VM ]] || SUDO=sudo
install_packages
keep_quiet
allow_sandboxes
install_project
unpack_exim
build_kernel
offer_command

#!/usr/bin/env bash
# The one place that installs: system packages, the virtual environment, lab7 in it. Safe to run again at any time;
# with everything there it does nothing. For Debian 12, Ubuntu 24.04 and their like.
#
#   scripts/provision.sh [--bench] [--peers]
#       --bench: also the Python peers that `make bench` compares with
#       --peers: also the real servers and clients that can take the place of lab7's services
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
EXTRAS=plots,fast,dev
WITH_PEERS=
for option in "$@"; do
    case $option in
        --bench) EXTRAS=$EXTRAS,bench ;;
        --peers) WITH_PEERS=yes ;;
        *) printf 'setup: there is no option %s: there are --bench and --peers\n' "$option" >&2; exit 2 ;;
    esac
done

fail() { printf 'setup: %s\n' "$1" >&2; exit 3; }

# program:package, for what the program is needed
PROGRAMS='
ip:iproute2            make interfaces and addresses
tc:iproute2            shape links
ethtool:ethtool        switch segmentation offload off, so that captures show what a wire shows
nsenter:util-linux     run commands in hosts
mnexec:mininet         the helper of Mininet that enters namespaces
ifconfig:net-tools     needed by the command line of Mininet
brctl:bridge-utils     switches of stock Mininet (mn --switch lxbr)
tcpdump:tcpdump        read captures
ping:iputils-ping      try networks out
curl:curl              try services out
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
dig:bind9-dnsutils     ask name servers
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
swaks:swaks            send mail by hand
postconf:postfix       a mail server
msmtp:msmtp            send mail
'
[[ -n $WITH_PEERS ]] && PROGRAMS=$PROGRAMS$PEERS

missing_packages() {
    local program package purpose
    while read -r program purpose; do
        [[ -z $program ]] && continue
        package=${program#*:} program=${program%%:*}
        command -v "$program" >/dev/null 2>&1 || [[ -x /usr/sbin/$program || -x /sbin/$program ]] \
            || printf '%s\t%s\n' "$package" "$purpose"
    done <<<"$PROGRAMS"
    # A module of the system's own Python, no program.
    [[ -z $WITH_PEERS ]] || /usr/bin/python3 -c 'import pyftpdlib' 2>/dev/null \
        || printf 'python3-pyftpdlib\tan FTP server\n'
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || printf 'python3-venv\tmake the virtual environment\n'
}

# Of these packages those that can be had; a peer that this distribution lacks is said and left out.
available() {
    local package
    for package in "$@"; do
        if [[ $PEERS == *":$package "* ]] && ! apt-cache show "$package" >/dev/null 2>&1; then
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
        if apt-get -q -s --no-remove install --no-install-recommends "$package" >/dev/null 2>&1; then
            printf '%s ' "$package"
        else
            printf 'setup: installing %s would remove another package; what needs it is skipped\n' "$package" >&2
        fi
    done
}

# Exim beside Postfix: Debian has one mail server at a time, so this one is unpacked and not installed.
unpack_exim() {
    local folder=.venv/peers download
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

install_packages() {
    local missing packages sudo=
    missing=$(missing_packages)
    [[ -z $missing ]] && return
    packages=$(cut -f1 <<<"$missing" | sort -u | tr '\n' ' ')
    printf 'setup: system packages that lab7 needs and this machine lacks:\n'
    sort -u <<<"$missing" | sed 's/^/  /' | expand -t 24
    command -v apt-get >/dev/null || fail "this is not a Debian or Ubuntu; install these packages' programs by hand: $packages"
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || fail "installing needs root and sudo is not here; ask an administrator for: apt-get install $packages"
        sudo=sudo
        printf 'setup: installing them with sudo\n'
    fi
    export DEBIAN_FRONTEND=noninteractive
    # A server that is installed for the lab must not start on the machine itself.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [[ -n $WITH_PEERS && ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod +x "$policy" && made_policy=yes
    fi
    local log
    log=$(mktemp)
    # A package manager that runs already is waited for, two minutes at most.
    $sudo apt-get -q -o DPkg::Lock::Timeout=120 update >"$log" 2>&1 \
        || fail "the package lists could not be fetched ($(tail -n 1 "$log")); check the network and run this again"
    packages=$(harmless $(available $packages))
    [[ -z ${packages// /} ]] && { rm -f "$log"; return; }
    # shellcheck disable=SC2086
    $sudo apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends $packages >"$log" 2>&1 \
        || fail "the packages could not be installed ($(grep -m 1 '^E:' "$log" || tail -n 1 "$log")); mend that and run this again"
    [[ -n $made_policy ]] && $sudo rm -f "$policy"
    rm -f "$log"
}

install_project() {
    # The stamp holds what was installed, so that a changed pyproject.toml or more extras install again.
    local stamp=.venv/.lab7-setup wanted log
    wanted="$EXTRAS $(cksum <pyproject.toml) $PWD"
    [[ -x .venv/bin/lab7 && -f $stamp ]] || rm -f "$stamp"
    if [[ -f $stamp ]]; then
        [[ $(cat "$stamp") == "$wanted" ]] && return
        # An environment with more extras than asked for is as good.
        [[ $(cat "$stamp") == "plots,fast,dev,bench ${wanted#* }" ]] && return
    fi
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || fail "lab7 needs Python 3.11 or newer and $PYTHON is older; name a newer one by PYTHON=python3.12 make setup"
    printf 'setup: making the virtual environment .venv (once; a minute or two)\n'
    log=$(mktemp)
    { "$PYTHON" -m venv .venv && .venv/bin/python -m pip install -q --disable-pip-version-check -e ".[$EXTRAS]"; } \
        >"$log" 2>&1 || fail "the Python packages could not be installed ($(grep -m 1 '^ERROR' "$log" || tail -n 1 "$log")); mend that and run this again"
    rm -f "$log"
    printf '%s' "$wanted" >"$stamp"
    printf 'setup: done; the command is .venv/bin/lab7\n'
}

install_packages
install_project
unpack_exim

#!/usr/bin/env bash
# Installs the system packages of packages.txt that this machine lacks, with apt-get; for Debian 12, Ubuntu 24.04 and
# their like. Safe to run again at any time. scripts/provision.sh has its functions from here, `lab7 doctor --fix` runs it.
#
#   packages.sh [--list] [--exim FOLDER] [--peers] [--virtual] [--kernel] [--vm] [--test-vm]
#       --list: print what is missing, a line `package<TAB>purpose` each, and install nothing
#       --exim: also the mail server Exim, unpacked into this folder
#       the others: further groups of packages.txt
#   LAB7_LOCK_WAIT_S: how long to wait for another package manager
set -euo pipefail
# Where tc and many servers are; the PATH of an ordinary user of Debian lacks them, and so does that of root after `su`.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

PACKAGE_LIST=$(dirname "${BASH_SOURCE[0]}")/packages.txt
LOCK_WAIT_S=${LAB7_LOCK_WAIT_S:-120}
POLICY=/usr/sbin/policy-rc.d
SUDO=
# Groups that lab7 requires; packages of other groups are left out if the distribution lacks them.
REQUIRED_GROUPS=' needed network useful '
GROUPS_WANTED=$REQUIRED_GROUPS
# Ubuntu keeps netem in a package of its own, by the kernel's version.
MODULES=linux-modules-extra-$(uname -r)

fail() { printf 'setup: %s\n' "$1" >&2; exit 3; }

want_group() {
    # The kernel of virtual time exists for x86-64 alone.
    [[ $1 == virtual && $(uname -m) != x86_64 ]] || GROUPS_WANTED+="$1 "
}

wants() { [[ $GROUPS_WANTED == *" $1 "* ]]; }

is_here() {
    case $1 in
        # A module of the system's own Python, no program.
        python3:*) /usr/bin/python3 -c "import ${1#python3:}" 2>/dev/null ;;
        /*) [[ -e $1 ]] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

kernel_source() {
    if ! command -v apt-cache >/dev/null || apt-cache show linux-source-6.1 >/dev/null 2>&1; then
        printf 'linux-source-6.1'
    else
        printf 'linux-source'
    fi
}

# List of missing packages, a line `package<TAB>purpose` each.
missing_packages() {
    local group program package purpose
    while read -r group program package purpose; do
        # Comments and empty lines are no group.
        if wants "$group" && ! is_here "$program"; then printf '%s\t%s\n' "$package" "$purpose"; fi
    done <"$PACKAGE_LIST"
    ! wants vm || ! grep -q '^ID=ubuntu' /etc/os-release || modinfo sch_netem >/dev/null 2>&1 \
        || printf '%s\tlinks by the kernel\n' "$MODULES"
    # Source, no program: the release that the patches are made for, else this distribution's own.
    ! wants virtual || compgen -G '/usr/src/linux-source-*.tar.*' >/dev/null \
        || printf '%s\tbuild the kernel of virtual time\n' "$(kernel_source)"
    # Of the Python that a virtual environment is made with, if there is to be one.
    [[ -z ${VENV_PYTHON:-} ]] || "$VENV_PYTHON" -c 'import ensurepip, venv' 2>/dev/null \
        || printf 'python3-venv\tmake the virtual environment\n'
}

# True for a package of the list that is in none of the required groups.
is_optional() {
    case $1 in linux-source* | "$MODULES") return 0 ;; esac
    awk -v package="$1" -v groups="$REQUIRED_GROUPS" \
        '$3 == package { listed = 1; required += index(groups, " " $1 " ") > 0 } END { exit !listed || required }' "$PACKAGE_LIST"
}

# Filter: packages that this distribution has; an optional one that it lacks is reported and left out.
available() {
    local package
    for package in "$@"; do
        if is_optional "$package" && ! apt-cache show "$package" >/dev/null 2>&1; then
            printf 'setup: this distribution has no package %s; what needs it is skipped\n' "$package" >&2
        else
            printf '%s ' "$package"
        fi
    done
}

# Filter: packages whose installation removes no other, such as a mail server that is installed already.
harmless() {
    local package
    for package in "$@"; do
        if ! is_optional "$package" || apt-get -q -s --no-remove install --no-install-recommends "$package" >/dev/null 2>&1; then
            printf '%s ' "$package"
        else
            printf 'setup: installing %s would remove another package; what needs it is skipped\n' "$package" >&2
        fi
    done
}

# Some programs do not report that they cannot write.
disk_is_full() {
    local free_kb
    free_kb=$(df -k --output=avail / . "${TMPDIR:-/tmp}" | tail -n +2 | sort -n | head -n 1)
    [[ $free_kb -lt 20480 ]]
}

# Reason of a command's failure, from its log, as one sentence.
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
    # Leftovers of an interrupted run is finished first; a package manager that runs already is waited for.
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

exim_is_here() { [[ -x $1/usr/sbin/exim4 || -x /usr/sbin/exim4 ]]; }

# Exim beside Postfix: Debian has one mail server at a time, so this one is unpacked into a folder and not installed.
unpack_exim() {
    local folder=$1 download
    download=$(mktemp -d)
    if (cd "$download" && apt-get -q download exim4-daemon-light) >/dev/null 2>&1 \
        && dpkg -x "$download"/exim4-daemon-light_*.deb "$folder" >/dev/null 2>&1; then
        # It is started by root, so it needs no set-user-ID bit.
        chmod u-s "$folder/usr/sbin/exim4"
    else
        printf 'setup: exim4-daemon-light could not be fetched; what needs it is skipped\n' >&2
    fi
    rm -rf "$download"
}

main() {
    local list='' exim_folder=''
    while [[ $# -gt 0 ]]; do
        case $1 in
            --list) list=yes ;;
            --exim) shift && exim_folder=${1:?--exim needs a folder} ;;
            --peers | --virtual | --kernel | --vm | --test-vm) want_group "${1#--}" ;;
            *)
                printf 'setup: there is no option %s: there are --list, --exim FOLDER, --peers, --virtual, --kernel, --vm and --test-vm\n' "$1" >&2
                exit 2
                ;;
        esac
        shift
    done
    if [[ -n $list ]]; then
        missing_packages | sort -u
        [[ -z $exim_folder ]] || exim_is_here "$exim_folder" || printf 'exim4-daemon-light\ta mail server\n'
        return
    fi
    install_packages
    [[ -z $exim_folder ]] || exim_is_here "$exim_folder" || unpack_exim "$exim_folder"
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"

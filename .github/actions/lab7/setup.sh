#!/usr/bin/env bash
# Install lab7 from the action's own checkout into the virtual environment LAB7_VENV.
set -euo pipefail
cd "$(dirname "$0")/../../.."
options=()
[[ ${LAB7_TIME:-auto} == real ]] || options=(--virtual)
scripts/provision.sh "${options[@]}"
# Runners of Ubuntu 24.04 deny namespaces to ordinary users; a runner serves one job, so that the switch harms nobody.
switch=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
if [[ ${LAB7_TIME:-auto} != virtual && -e $switch && $(cat "$switch") == 1 ]]; then
    sudo sysctl -q kernel.apparmor_restrict_unprivileged_userns=0
fi

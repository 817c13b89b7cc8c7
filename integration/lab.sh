#!/bin/bash
# Runs a program in a network of its own, in which it may make sites (network namespaces), cut
# them off and kill what it likes: nothing of it is visible outside, and all of it is gone when
# the program ends, however that happens.
#
#   integration/lab.sh PROGRAM [ARGUMENT...]
#   integration/lab.sh --check      say whether this machine lets us, and why not
#
# Neither root nor a setting is needed where the kernel gives ordinary users namespaces.
# Exit codes: those of the program; 2 if namespaces cannot be had here.
set -euo pipefail

spaces=(--net --mount --pid --fork --kill-child --mount-proc)
# An ordinary user keeps name and number, and may do in these namespaces what root may.
[ "$(id -u)" = 0 ] || spaces+=(--user --map-current-user --keep-caps)

if [ "${1:-}" = --inside ]; then
    shift
    # `ip netns` keeps its names in /run/netns: in ours, not in the machine's.
    mount -t tmpfs none /run
    mkdir /run/netns
    ip link set lo up
    # The first process of its namespace is ended by no signal that it does not take: this shell is it.
    set -m
    "$@" &
    program=$!
    trap 'kill -INT "$program"' INT
    trap 'kill -TERM "$program"' TERM
    while code=0; wait "$program" || code=$?; kill -0 "$program" 2>/dev/null; do :; done
    exit "$code"
fi

PATH=$PATH:/usr/sbin:/sbin
if ! said=$(unshare "${spaces[@]}" -- "$0" --inside true 2>&1); then
    {
        echo "lab: network namespaces cannot be had on this machine: ${said:-unshare failed}"
        echo "lab: allow them to ordinary users (sysctl kernel.unprivileged_userns_clone=1 and"
        echo "lab: kernel.apparmor_restrict_unprivileged_userns=0, where these exist), or be root"
    } >&2
    exit 2
fi
[ "${1:-}" != --check ] || exit 0
exec unshare "${spaces[@]}" -- "$0" --inside "$@"

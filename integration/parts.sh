#!/bin/bash
# Gets the real parts that the demo and the tests run: PostgreSQL, etcd, HAProxy, BIND, OpenSSH, protoc,
# and a Python with grpcio.
#
#   integration/parts.sh          make sure they are there; print the name of a file to source
#   integration/parts.sh clean    remove what was fetched
#
# A program that the system has is used as it is. One that is missing is taken from the
# machine's own Debian or Ubuntu package sources, unpacked into a cache folder and run from
# there: nothing is installed, configured or started, and no root is needed. In order:
#
#   1. look for the programs; if all are there, only write the file to source
#   2. let apt work out, with its own lists and a simulated installation, which packages
#      the missing ones are made of, including libraries that this machine lacks
#   3. download those (apt checks signatures and sums), unpack them aside, rename: a tree
#      that exists is whole
#   4. write one wrapper for each program, which finds its libraries, and put them on PATH
#
# Settings:
#   PARTS_FOLDER  the cache folder. Otherwise /var/cache/standfast for root (whose PostgreSQL
#                 runs as `nobody`, who may not look into /root), and standfast in
#                 $XDG_CACHE_HOME or ~/.cache for others
#   PARTS_OWN=1   use nothing that the system has, fetch everything
#
# They do not begin with STANDFAST_: that would make them settings of the daemon.
#
# Exit codes: 0 ready; 1 fetching failed; 2 this system cannot fetch: put programs on PATH.
set -euo pipefail
umask 022
export LC_ALL=C

# What is needed: program, and the Debian package that has it.
needed='
postgres      postgresql
initdb        postgresql
pg_basebackup postgresql
pg_rewind     postgresql
etcd          etcd-server
etcdctl       etcd-client
haproxy       haproxy
named         bind9
nsupdate      bind9-dnsutils
dig           bind9-dnsutils
sshd          openssh-server
ssh           openssh-client
ssh-keygen    openssh-client
ip            iproute2
nft           nftables
protoc        protobuf-compiler
timestamp.proto libprotobuf-dev
standfast-python python3-grpcio
'
own=${PARTS_OWN:-}
dpkg_status=/var/lib/dpkg/status
system_lists=/var/lib/apt/lists
apparmor=/etc/apparmor.d

say() { echo "parts: $*" >&2; }
die() { local code=$1; shift; say "$@"; exit "$code"; }

cache_folder() {
    if [ -n "${PARTS_FOLDER:-}" ]; then echo "$PARTS_FOLDER"
    elif [ "$(id -u)" = 0 ]; then echo /var/cache/standfast
    else echo "${XDG_CACHE_HOME:-${HOME:?is not set: set PARTS_FOLDER to a cache folder}/.cache}/standfast"
    fi
}

# Only a folder that we made is removed, whatever PARTS_FOLDER says.
clean() {
    local folder; folder=$(cache_folder)
    [ -e "$folder" ] || return 0
    [ -e "$folder/.standfast-parts" ] || die 2 "$folder was not made by this script; remove it yourself"
    rm -rf -- "$folder"
    say "removed $folder"
}

# The folder of the system's newest PostgreSQL; Debian keeps its programs off PATH.
system_postgres() {
    local folder
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        [ -x "$folder/postgres" ] && [ -x "$folder/pg_basebackup" ] && { echo "$folder"; return; }
    done
}

# PATH as the programs will see it, without what was fetched.
system_path() {
    local postgres; postgres=$(system_postgres)
    echo "${postgres:+$postgres:}$PATH:/usr/sbin:/sbin"
}

# Ubuntu confines its own BIND to its own folders; a copy elsewhere is free to read ours.
confined() {
    [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && [ -e "${apparmor}/usr.sbin.named" ]
}

has() { # program
    [ -z "$own" ] || return 1
    case $1 in
    timestamp.proto)
        local include
        for include in "${PROTOC_INCLUDE:-}" "$(dirname "$(command -v protoc || echo /usr/bin/protoc)")/../include" /usr/include; do
            [ ! -e "$include/google/protobuf/timestamp.proto" ] || return 0
        done
        return 1 ;;
    # Of all Pythons only the system's own fits the system's packages.
    standfast-python) /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null ;;
    named) PATH=$(system_path) command -v named >/dev/null && ! confined ;;
    protoc) [ -x "${PROTOC:-}" ] || command -v protoc >/dev/null ;;
    *) PATH=$(system_path) command -v "$1" >/dev/null ;;
    esac
}

# Prints the lines of $needed whose program is missing.
missing() {
    local program package
    while read -r program package; do
        [ -z "$program" ] || has "$program" || echo "$program $package"
    done <<<"$needed"
}

cannot_fetch() { # reason, missing
    {
        echo "parts: these programs are missing, and $1:"
        echo
        sed 's/^timestamp.proto .*/google\/protobuf\/*.proto_(in_PROTOC_INCLUDE)/
            s/^standfast-python .*/\/usr\/bin\/python3_with_grpcio/
            s/ .*//; s/_/ /g; s/^pg /pg_/; s/PROTOC INCLUDE/PROTOC_INCLUDE/; s/^/    /' <<<"$2"
        echo
        echo "Put them on PATH (PostgreSQL 15 or later, etcd 3.4 or later, HAProxy 2.6 or later,"
        echo "BIND 9.18 or later, protoc 3.21 or later), or work in a debian:12 container."
    } >&2
    exit 2
}

# --- apt, with private state ---------------------------------------------------------------

# The machine's sources, keys and proxy, but none of its hooks, and no place of its own.
configure_apt() { # folder of the package lists
    unset APT_CONFIG
    {
        apt-config dump | grep -E '^(Acquire|APT::(Arch|Default))' | grep -v DEP-11
        cat <<CONF
Dir::State "$cache";
Dir::State::lists "$1";
Dir::State::status "$cache/installed";
Dir::Cache "$cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::Sandbox::User "root";
APT::Get::Upgrade-By-Source-Package "false";
CONF
    } >apt.conf
    export APT_CONFIG=$cache/apt.conf
}

fetch_lists() {
    say "fetching the package lists"
    mkdir -p lists/partial
    configure_apt "$cache/lists"
    apt-get -q update >&2 || say "some lists are missing"
}

has_lists() { compgen -G "$1/*Packages*" >/dev/null; }

# What is installed, apart from what is to be fetched; without dependencies, as a broken
# package elsewhere is not our business.
describe_system() { # packages
    if [ -n "$own" ]; then : >installed; return; fi
    awk -v RS= -v ORS='\n\n' -v asked=" $* " '
        /\nStatus: [a-z]+ ok installed\n/ {
            name = $2                        # Package: name
            if (!index(asked, " " name " ")) print
        }' "$dpkg_status" |
        grep -E '^((Package|Status|Multi-Arch|Architecture|Version|Provides):|$)' >installed
}

# Writes `need`, name=version a line: the packages asked for, what their servers are split
# into, and libraries. Not the C library (the machine's is used), not LLVM (PostgreSQL's
# compiler of expressions, 100 MB, which it works without), nothing that only builds or
# configures. A package that the machine has in the same version is not fetched again.
plan() { # packages
    apt-get -s --no-install-recommends --no-upgrade install "$@" >simulated 2>apt.log || return 1
    awk -v asked=" $* " '
        $1 != "Inst" { next }
        {
            name = $2; sub(/:.*/, "", name)
            version = $3
            if (version ~ /^\[/) {               # Inst name [installed] (candidate ...
                if (version == "[" substr($4, 2) "]") next
                version = $4
            }
            part = name ~ /^(lib|postgresql-(client-)?[0-9]|bind9|python3)/
            skipped = name ~ /-dev$|-perl$|^lib(perl|c6|c-(bin|dev|l10n)|llvm|z3)/
            if (index(asked, " " name " ") || (part && !skipped))
                print name "=" substr(version, 2)
        }' simulated | sort >need
    tree=$cache/$(cat "$script" need | sha256sum | cut -c1-12)
}

# From here on failures are passed on by hand: `set -e` is off in what a condition calls.

download() {
    say "downloading $(wc -l <need) packages into $cache (once)"
    rm -rf debs && mkdir debs || return 1     # apt trusts a file of the right size that is there
    (cd debs && xargs -r apt-get -q download <../need >&2)
}

unpack() {
    say "unpacking"
    rm -rf unpacking && mkdir unpacking || return 1
    local package
    while read -r package; do
        package=${package/=/_}
        dpkg-deb -x debs/"${package//:/%3a}"_*.deb unpacking || return 1
    done <need
    rm -rf debs
    (cd unpacking && chmod -R u+rwX,a+rX,a-s . && slim && write_wrappers) && mv unpacking "$tree"
}

# Half of the bytes are never read by a program that runs.
slim() {
    rm -rf usr/share/doc usr/share/man usr/share/locale usr/lib/postgresql/*/lib/bitcode &&
        find . \( -name '*.a' -o -name 'llvmjit*' \) -delete
}

# One for each program, so that only these programs see the unpacked libraries.
write_wrappers() {
    local file wrapper libraries
    libraries=$(find lib usr/lib -maxdepth 1 -name '*-linux-gnu*' 2>/dev/null | sed "s|^|$tree/|" | paste -sd:)
    mkdir run || return 1
    for file in bin/* sbin/* usr/bin/* usr/sbin/* usr/lib/postgresql/*/bin/*; do
        [ -f "$file" ] || continue
        case ${file##*/} in py* | pdb*) continue ;; esac     # nobody else's Python is ours to replace
        wrapper=run/${file##*/}
        printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$tree/$file" >"$wrapper" &&
            chmod 755 "$wrapper" || return 1
    done
    [ ! -d usr/lib/python3/dist-packages/grpc ] || write_python "$libraries"
}

# The packages' own Python where they came with one, the system's otherwise.
write_python() { # libraries
    local python=/usr/bin/python3
    [ ! -e usr/bin/python3 ] || python=$tree/usr/bin/python3
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" PYTHONPATH="%s" exec "%s" "$@"\n' \
        "$1" "$tree/usr/lib/python3/dist-packages" "$python" >run/standfast-python &&
        chmod 755 run/standfast-python
}

# Whether a tree has what is missing, though it answered another question.
covers() { # tree, missing
    local program package
    while read -r program package; do
        [ -e "$1/run/$program" ] || [ -e "$1/usr/include/google/protobuf/$program" ] || return 1
    done <<<"$2"
}

# Downloads and unpacks; with fresh lists if the ones at hand do not do. Fails with apt.log.
fetch() { # packages
    describe_system "$@"
    local lists=$cache/lists fresh=
    has_lists "$lists" || lists=$system_lists
    if has_lists "$lists"; then configure_apt "$lists"; else fetch_lists; fresh=1; fi
    until plan "$@" && { [ -d "$tree" ] || { download && unpack; }; }; do
        [ -z "$fresh" ] || return 1
        fetch_lists
        fresh=1
    done
}

# --- the file to source --------------------------------------------------------------------

quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

write_env() { # tree, or nothing
    local run='' include=''
    if [ -n "$1" ]; then
        run=$1/run
        [ ! -e "$1/usr/include/google/protobuf/timestamp.proto" ] || include=$1/usr/include
    fi
    {
        echo "# Written by integration/parts.sh."
        echo "PATH=$(quoted "${run:+$run:}$(system_postgres | sed 's/$/:/')")\$PATH:/usr/sbin:/sbin"
        echo "export PATH"
        # Only what differs from the system is set: a change makes cargo build again.
        [ ! -x "$run/protoc" ] || echo "export PROTOC=$(quoted "$run/protoc")"
        [ -z "$include" ] || echo "export PROTOC_INCLUDE=$(quoted "$include")"
    } >env.new
    mv env.new env
}

# PostgreSQL refuses root, so root's parts must be open to an ordinary user.
check_others_may_enter() {
    [ "$(id -u)" = 0 ] || return 0
    setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$cache" ||
        die 2 "PostgreSQL runs as nobody, who may not enter $cache: set PARTS_FOLDER to another folder"
}

main() {
    local lacking tool packages key tree=
    lacking=$(missing)
    if [ -n "$lacking" ]; then
        [ -r "$dpkg_status" ] || cannot_fetch "this is not Debian or Ubuntu" "$lacking"
        for tool in apt-get apt-config dpkg-deb flock setpriv; do
            command -v $tool >/dev/null || cannot_fetch "$tool is not here to fetch them" "$lacking"
        done
    fi
    script=$(realpath "$0")
    cache=$(cache_folder)
    mkdir -p "$cache" || die 2 "cannot make the cache folder: set PARTS_FOLDER to another"
    cache=$(cd "$cache" && pwd -P)
    cd "$cache"
    touch .standfast-parts
    check_others_may_enter
    exec 9>lock
    flock 9                          # two at once: the second one finds it done
    if [ -n "$lacking" ]; then
        # A known answer to the same question is taken, so that a second call takes no time.
        key=$({ echo "$cache $own $lacking"; cat "$script" "$dpkg_status"; } | sha256sum)
        if [ "$(cat answered 2>/dev/null)" = "$key" ] && [ -d "$(readlink now)" ]; then
            tree=$(readlink now)
        else
            say "fetching what this system lacks: $(awk '{print $1}' <<<"$lacking" | paste -sd' ')"
            readarray -t packages < <(awk '{print $2}' <<<"$lacking" | sort -u)
            if fetch "${packages[@]}"; then
                ln -sfn "$tree" now
                echo "$key" >answered
                say "ready: $tree"
            elif tree=$(readlink now) && covers "$tree" "$lacking"; then
                say "using the earlier copy: $tree"
            else
                cat apt.log >&2
                die 1 "cannot get these packages: ${packages[*]}"
            fi
        fi
    fi
    write_env "$tree"
    echo "$cache/env"
}

case ${1:-} in
'') main ;;
clean) clean ;;
*) die 2 "usage: $0 [clean]" ;;
esac

#!/usr/bin/env bash
# What the scripts beside it share: packages, Swift, and a private PostgreSQL cluster.
#
# Sourced:   . deploy/lib.sh; pg_start DIR
# Executed:  deploy/lib.sh pg_start DIR     prints the URL of the database
#            deploy/lib.sh pg_stop DIR
#
# The cluster lives in DIR/postgresql, listens on a unix socket only, and is run by an unprivileged user, since PostgreSQL
# refuses to run as root. Whoever can enter its socket directory (mode 0700: that user, and root) may connect.

# shellcheck disable=SC2034 # used by the scripts that source this
DECISIOND_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian packages to build and to run, and what the tests need besides.
# shellcheck disable=SC2034 # used by the scripts that source this
BUILD_PACKAGES=(
    libmicrohttpd-dev libpq-dev libsimdjson-dev libcurl4-openssl-dev libpcre2-dev libexpat1-dev libintelrdfpmath-dev
    zlib1g-dev libzstd-dev libsystemd-dev pkg-config curl
)
# shellcheck disable=SC2034 # used by the scripts that source this
TEST_PACKAGES=(shellcheck python3 python3-venv)

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those of the named packages that are missing, and PostgreSQL unless some version is there.
install_packages() {
    command -v dpkg-query >/dev/null || {
        say "not a Debian system: these are expected to be installed: $* postgresql"
        return 0
    }
    local missing=() package elevate=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    # pkgconf provides pkg-config under another package name.
    if command -v pkg-config >/dev/null; then
        local rest=()
        for package in "${missing[@]}"; do [ "$package" = pkg-config ] || rest+=("$package"); done
        missing=("${rest[@]}")
    fi
    local needs_postgres=0
    [ -n "$(pg_newest_bin)" ] || needs_postgres=1
    [ ${#missing[@]} -eq 0 ] && [ $needs_postgres -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            elevate=(sudo -n)
        else
            [ $needs_postgres -eq 0 ] || missing+=(postgresql)
            die "please install: apt-get install ${missing[*]}"
        fi
    fi
    "${elevate[@]}" apt-get update -q >&2
    if [ $needs_postgres -eq 1 ]; then
        if apt-cache show postgresql-15 >/dev/null 2>&1; then missing+=(postgresql-15); else missing+=(postgresql); fi
        # Without this the package would make and start a cluster of its own.
        "${elevate[@]}" mkdir -p /etc/postgresql-common/createcluster.d
        printf 'create_main_cluster = false\n' |
            "${elevate[@]}" tee /etc/postgresql-common/createcluster.d/decisiond.conf >/dev/null
    fi
    say "installing ${missing[*]}"
    "${elevate[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

# Puts `swift` on PATH.
find_swift() {
    local directory
    command -v swift >/dev/null && return 0
    for directory in /opt/swift/usr/bin /usr/local/swift/usr/bin "${HOME:-/}/.local/share/swiftly/bin"; do
        if [ -x "$directory/swift" ]; then
            PATH=$directory:$PATH
            export PATH
            return 0
        fi
    done
    die "swift is neither on PATH nor in /opt/swift/usr/bin; see https://www.swift.org/install/linux"
}

# The data directory when none is named: one that an unprivileged user can reach, wherever the repository is.
default_data() {
    if [ -n "${DECISIOND_DATA:-}" ]; then
        printf '%s\n' "$DECISIOND_DATA"
    elif [ "$(id -u)" -eq 0 ]; then
        printf '/var/lib/decisiond\n'
    else
        printf '%s\n' "${XDG_DATA_HOME:-$HOME/.local/share}/decisiond"
    fi
}

# Directory of the newest PostgreSQL server's programs; empty when there is none.
pg_newest_bin() {
    local path newest=""
    while read -r path; do
        [ -x "$path/initdb" ] && newest=$path
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    if [ -z "$newest" ] && command -v initdb >/dev/null; then newest=$(dirname "$(command -v initdb)"); fi
    printf '%s\n' "$newest"
}

# The user that runs PostgreSQL.
pg_user() {
    if [ "$(id -u)" -ne 0 ]; then
        id -un
    elif id postgres >/dev/null 2>&1; then
        printf 'postgres\n'
    else
        id decisiond >/dev/null 2>&1 || useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin decisiond
        printf 'decisiond\n'
    fi
}

# Runs a command as that user, in a directory that it can enter.
as_pg_user() {
    if [ "$(id -u)" -ne 0 ]; then
        (cd / && "$@")
    else
        (cd / && runuser -u "$(pg_user)" -- "$@")
    fi
}

absolute() {
    case $1 in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s\n' "$PWD/$1" ;;
    esac
}

# Where the socket of a cluster is. A socket's path holds 107 bytes at most, so a long one goes to /tmp.
pg_socket_directory() {
    local own="$1/postgresql/socket"
    if [ ${#own} -le 80 ]; then
        printf '%s\n' "$own"
    else
        printf '/tmp/decisiond-pg-%s\n' "$(printf '%s' "$own" | sha256sum | cut -c 1-16)"
    fi
}

pg_url() {
    local socket encoded="" index character
    socket=$(pg_socket_directory "$(absolute "$1")")
    for ((index = 0; index < ${#socket}; index++)); do
        character=${socket:index:1}
        case $character in
            [a-zA-Z0-9/._-]) encoded+=$character ;;
            *) encoded+=$(printf '%s' "$character" | od -An -v -tx1 | tr -d '\n' | tr ' ' '%') ;;
        esac
    done
    printf 'postgresql://decisiond@/decisiond?host=%s\n' "$encoded"
}

pg_write_settings() {
    local cluster=$1 socket=$2
    as_pg_user tee "$cluster/decisiond.conf" >/dev/null <<SETTINGS
listen_addresses = ''
unix_socket_directories = '${socket//\'/\'\'}'
unix_socket_permissions = 0700
shared_buffers = 128MB
shared_preload_libraries = 'pg_stat_statements'
max_connections = 60
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
jit = off
track_io_timing = on
log_min_duration_statement = 1s
log_line_prefix = '%m [%p] %a '
timezone = 'UTC'
log_timezone = 'UTC'
SETTINGS
}

# Makes the cluster of DIR unless it exists. An interrupted initdb leaves nothing that looks like a cluster.
pg_create() {
    local data=$1 cluster=$1/postgresql/data fresh=$1/postgresql/data.new bin
    bin=$(pg_newest_bin)
    [ -n "$bin" ] || die "PostgreSQL's server programs are not installed"
    mkdir -p "$data/postgresql"
    if [ "$(id -u)" -eq 0 ]; then chown "$(pg_user)" "$data/postgresql"; fi
    chmod 0700 "$data/postgresql"
    as_pg_user test -w "$data/postgresql" ||
        die "user $(pg_user) cannot reach $data; name another place with --data or DECISIOND_DATA"
    [ -e "$cluster/PG_VERSION" ] && return 0
    as_pg_user rm -rf "$fresh"
    as_pg_user "$bin/initdb" -D "$fresh" -U decisiond -E UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=reject \
        --data-checksums >/dev/null
    printf "include = 'decisiond.conf'\n" | as_pg_user tee -a "$fresh/postgresql.conf" >/dev/null
    as_pg_user mv "$fresh" "$cluster"
}

# Starts the private cluster of DIR, creating it and the database first where they are missing. Sets DATABASE_URL and
# DECISIOND_DATABASE_URL, and PG_STARTED to 1 if this call started it (0: it was running).
pg_start() {
    local data cluster socket bin url
    data=$(absolute "$1")
    cluster=$data/postgresql/data
    socket=$(pg_socket_directory "$data")
    mkdir -p "$data"
    pg_create "$data"
    # A cluster belongs to one major version; a newer server cannot open it.
    bin=/usr/lib/postgresql/$(as_pg_user cat "$cluster/PG_VERSION")/bin
    [ -x "$bin/pg_ctl" ] || bin=$(pg_newest_bin)
    PG_STARTED=0
    if ! as_pg_user "$bin/pg_ctl" -D "$cluster" status >/dev/null 2>&1; then
        as_pg_user mkdir -p -m 0700 "$socket"
        [ "$(stat -c %U "$socket")" = "$(pg_user)" ] || die "$socket belongs to somebody else"
        pg_write_settings "$cluster" "$socket"
        as_pg_user "$bin/pg_ctl" -D "$cluster" -w -t 120 -l "$data/postgresql/log" start >/dev/null </dev/null ||
            die "PostgreSQL did not start; see $data/postgresql/log"
        PG_STARTED=1
    fi
    local psql=("$bin/psql" -X -q -A -t -h "$socket" -U decisiond -v ON_ERROR_STOP=1)
    if [ -z "$(as_pg_user "${psql[@]}" -d postgres -c "SELECT 1 FROM pg_database WHERE datname = 'decisiond'")" ]; then
        as_pg_user "${psql[@]}" -d postgres -c 'CREATE DATABASE decisiond'
    fi
    as_pg_user "${psql[@]}" -d decisiond -c "SET client_min_messages = error" \
        -c 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements'
    url=$(pg_url "$data")
    export PG_STARTED DATABASE_URL=$url DECISIOND_DATABASE_URL=$url
}

# Stops the cluster of DIR. The second argument is pg_ctl's mode: fast (default), smart or immediate.
pg_stop() {
    local cluster bin
    cluster=$(absolute "$1")/postgresql/data
    as_pg_user test -e "$cluster/PG_VERSION" || return 0
    bin=/usr/lib/postgresql/$(as_pg_user cat "$cluster/PG_VERSION")/bin
    [ -x "$bin/pg_ctl" ] || bin=$(pg_newest_bin)
    as_pg_user "$bin/pg_ctl" -D "$cluster" status >/dev/null 2>&1 || return 0
    as_pg_user "$bin/pg_ctl" -D "$cluster" -w -t 120 -m "${2:-fast}" stop >/dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    case ${1:-} in
        pg_start)
            pg_start "${2:?directory}"
            printf '%s\n' "$DATABASE_URL"
            ;;
        pg_stop) pg_stop "${2:?directory}" "${3:-fast}" ;;
        *) die "usage: deploy/lib.sh pg_start DIR | pg_stop DIR [fast|smart|immediate]" ;;
    esac
fi

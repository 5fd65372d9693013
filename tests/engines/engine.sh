#!/bin/bash
# SPDX-License-Identifier: MIT
# engine.sh setup|cleanup MARK [docker|podman]: a Docker daemon, or podman's service, of our own for the tests, with folders,
# socket and images of its own. MARK is a file that names its folder while it runs, or says why there is none. Nothing of
# another daemon is touched.
set -u
here=$(cd "$(dirname "$0")" && pwd)
mark=$2
kind=${3:-docker}
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
START_SECONDS=60
LIFE_SECONDS=3600 # it ends by itself where nobody comes to end it

skip() {
    echo "none: $*" >"$mark"
    echo "SKIP: $*"
    exit 77
}

# end_process PID SECONDS: SIGTERM, then SIGKILL
end_process() {
    local i
    [ -n "$1" ] && kill -TERM "$1" 2>/dev/null || return 0
    for i in $(seq $(($2 * 10))); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null
}

cleanup() {
    local folder left
    folder=$(cat "$mark" 2>/dev/null)
    rm -f "$mark"
    case $folder in /tmp/sbx-engine-*) ;; *) return 0 ;; esac
    if [ -S "$folder/docker.sock" ]; then
        left=$(docker -H "unix://$folder/docker.sock" ps -aq 2>/dev/null)
        # shellcheck disable=SC2086 # ids hold no blanks
        [ -z "$left" ] || timeout 60 docker -H "unix://$folder/docker.sock" rm -f $left >/dev/null 2>&1
    fi
    end_process "$(cat "$folder/docker.pid" 2>/dev/null)" 30
    end_process "$(cat "$folder/exec/containerd/containerd.pid" 2>/dev/null)" 10
    for left in $(pgrep -f "^[^ ]*(conmon|podman) .*$folder/"); do # podman's, which stay for a while after each command
        kill -KILL "$left" 2>/dev/null
    done
    while read -r left; do
        umount -l "$left" 2>/dev/null
    done < <(cut -d' ' -f2 /proc/mounts | grep -F "$folder/" | sort -r)
    rm -rf "$folder"
}

# certificates FOLDER: an authority, a server of 127.0.0.1 and a client; `other` holds an authority that signed nothing here
certificates() {
    local name
    mkdir -p "$1/other"
    for name in . other; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=sbx test $name" \
            -keyout "$1/$name/ca-key.pem" -out "$1/$name/ca.pem" || return 1
    done
    printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >"$1/server.ext"
    printf 'extendedKeyUsage=clientAuth\n' >"$1/client.ext"
    for name in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$1/$name-key.pem" \
            -out "$1/$name.csr" || return 1
        openssl x509 -req -in "$1/$name.csr" -CA "$1/ca.pem" -CAkey "$1/ca-key.pem" -CAcreateserial -days 2 \
            -extfile "$1/$name.ext" -out "$1/$name.pem" || return 1
    done
    cp "$1/client.pem" "$1/cert.pem"
    cp "$1/client-key.pem" "$1/key.pem"
    cp "$1/cert.pem" "$1/key.pem" "$1/other/"
} >/dev/null 2>&1

start_docker() {
    local folder=$1 tls=()
    if command -v openssl >/dev/null && certificates "$folder/tls"; then
        echo "127.0.0.1:$((20000 + RANDOM % 10000))" >"$folder/tls/address"
        tls=(-H "tcp://$(cat "$folder/tls/address")" --tlsverify --tlscacert "$folder/tls/ca.pem"
            --tlscert "$folder/tls/server.pem" --tlskey "$folder/tls/server-key.pem")
    fi
    setsid timeout -k 20 "$LIFE_SECONDS" dockerd --data-root "$folder/data" --exec-root "$folder/exec" \
        --pidfile "$folder/docker.pid" -H "unix://$folder/docker.sock" --bridge=none --iptables=false --ip6tables=false \
        "${tls[@]}" \
        </dev/null >"$folder/log" 2>&1 &
}

# most OPTION: 20000, or less where this shell's own hard limit is lower; podman's default asks for more than many machines give
most() {
    local limit
    limit=$(ulimit "$1")
    [ "$limit" != unlimited ] && [ "$limit" -lt 20000 ] && echo "$limit" || echo 20000
}

start_podman() {
    local folder=$1 files processes
    files=$(most -Hn)
    processes=$(most -Hu)
    printf '%s\n' '[containers]' "default_ulimits = [\"nofile=$files:$files\", \"nproc=$processes:$processes\"]" '[engine]' \
        'runtime = "runc"' 'cgroup_manager = "cgroupfs"' 'events_logger = "file"' 'lock_type = "file"' \
        'exit_command_delay = 10' '[network]' "network_config_dir = \"$folder/net\"" >"$folder/containers.conf"
    printf '[storage]\ndriver = "overlay"\nrunroot = "%s/run"\ngraphroot = "%s/data"\n' "$folder" "$folder" >"$folder/storage.conf"
    echo 'unqualified-search-registries = []' >"$folder/registries.conf"
    echo "127.0.0.1:$((20000 + RANDOM % 10000))" >"$folder/tcp"
    CONTAINERS_CONF=$folder/containers.conf CONTAINERS_STORAGE_CONF=$folder/storage.conf \
        CONTAINERS_REGISTRIES_CONF=$folder/registries.conf TMPDIR=$folder \
        setsid timeout -k 20 "$LIFE_SECONDS" sh -c 'echo $$ >"$1/docker.pid"
            podman --tmpdir "$1/tmp" system service --time=0 "tcp://$(cat "$1/tcp")" &
            exec podman --tmpdir "$1/tmp" system service --time=0 "unix://$1/docker.sock"' sh "$folder" </dev/null >"$folder/log" 2>&1 &
}

start() {
    local folder=$1 i
    "start_$kind" "$folder"
    for i in $(seq $((START_SECONDS * 5))); do
        docker -H "unix://$folder/docker.sock" version >/dev/null 2>&1 && return 0
        kill -0 $! 2>/dev/null || return 1
        sleep 0.2
    done
    return 1
}

setup() {
    local folder
    cleanup
    mkdir -p "$(dirname "$mark")"
    [ "$(id -u)" = 0 ] || skip "only root can start a Docker daemon"
    if [ "$kind" = podman ]; then
        command -v podman >/dev/null || skip "podman is not installed (package podman)"
        command -v runc >/dev/null || skip "runc is not installed (package runc)"
    fi
    command -v dockerd >/dev/null || skip "dockerd is not installed (package docker.io)"
    command -v docker >/dev/null || skip "the docker command is not installed (package docker.io)"
    [ -x /bin/busybox ] || skip "busybox is not installed (package busybox-static)"
    folder=$(mktemp -d /tmp/sbx-engine-XXXXXX) || exit 1
    echo "$folder" >"$mark"
    if ! start "$folder"; then
        echo "the daemon's last words:"
        tail -n 5 "$folder/log"
        cleanup
        skip "a daemon of $kind cannot be started here"
    fi
    "$here/images.sh" "unix://$folder/docker.sock" "$folder/images" || {
        cleanup
        exit 1
    }
}

"$1"

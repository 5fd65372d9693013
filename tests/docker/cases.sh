# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# What is the docker provider's own. The library of the behaviour suite (tests/contracts/lib.sh) is there.

native() { printf '%s\n' "${BOX#docker/}"; }
asked() { docker inspect --format "$1" "$(native)"; }
ours() { docker ps -aq --filter "label=sbx-docker.scope=$(cut -c1-12 /etc/machine-id 2>/dev/null || echo local):$T/run/sbx/docker/docker"; }
no_container_is_left() {
    for _ in $(seq 50); do [ -n "$(ours)" ] && sleep 0.1 || return 0; done
    fail "containers are left: $(ours)"
}

the_container_has_what_create_asked_for() {
    new_box --memory 64M --cpus 0.5 --label team=red --env SECRET=hush --name "box-$$"
    try 0 asked '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}'
    output '67108864 67108864 500000000 4096'
    try 0 asked '{{.Config.NetworkDisabled}} {{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}} {{.Name}}'
    output "true none true /box-$$"
    try 0 asked '{{index .Config.Labels "team"}} {{len .HostConfig.Binds}} {{range .Mounts}}{{.Destination}}={{.RW}} {{end}}'
    tr ' ' '\n' <"$T/out" | sort | xargs >"$T/sorted"
    mv "$T/sorted" "$T/out"
    output '/.sbx/guest=false /.sbx/run=false 0 red'
    docker inspect "$(native)" | grep -q hush && fail "a variable stands in the container's definition"
    try 0 sh_box 'echo $SECRET'
    output hush
}

commands_act_as_the_images_user_with_its_variables() {
    BOX=$(sbx create --provider docker --image sbx-test/user) || fail "create"
    try 0 sh_box 'id -un; id -g; id -G; echo $COLOUR $HOME; pwd; touch mine && stat -c %U mine .'
    printf 'app\n1000\n1000 2000\nblue /home/app\n/workspace\napp\napp\n' | exact
    try 0 sbx exec --user root "$BOX" -- sh -c 'id -u; grep -c "CapEff:.0000000000000000" /proc/self/status; true'
    printf '0\n0\n' | exact
    try 0 sh_box 'grep -c "CapEff:.0000000000000000" /proc/self/status'
    output 1
    try 1 sh_box 'echo x >/etc/new'
}

root_of_a_container_may_change_owners() {
    new_box
    try 0 sh_box 'touch f && chown 1000:1000 f && stat -c %u f && cat /proc/1/environ >/dev/null 2>&1 || echo closed'
    printf '1000\nclosed\n' | exact
}

an_empty_image_works() {
    BOX=$(sbx create --provider docker --image sbx-test/empty) || fail "create"
    try 0 sbx cp "$SBX_TEST_BUILD/bin/sbx-guest" "$BOX:/program"
    try 0 in_box /program version
    output "$("$SBX_TEST_BUILD/bin/sbx-guest" version)"
    try 127 sh_box true
}

an_image_that_is_not_there_is_named() {
    try 125 sbx create --provider docker --image sbx-test/none:7
    one_error_line
    errors_with 'sbx-test/none:7'
    no_container_is_left
    printf '[provider docker]\nplugin = docker\npull = never\n' >"$T/my.ini"
    try 125 sbx --config "$T/my.ini" create --provider docker --image sbx-test/none:7
    errors_with 'No such image'
}

an_unknown_user_of_create_is_told() {
    try 125 sbx create --provider docker --image sbx-test/busy --user nobody-here
    one_error_line
    errors_with nobody-here
    no_container_is_left
}

what_the_guest_is_given_cannot_be_changed_inside() {
    new_box
    try 1 sh_box 'echo x >/.sbx/guest'
    try 1 sh_box 'rm -f /.sbx/run/sock || exit 1'
    try 1 sh_box 'mount -o remount,rw /.sbx/run'
    try 0 sh_box 'ls /.sbx/run'
    output sock
}

nobody_inside_is_served_by_the_guest() {
    BOX=$(sbx create --provider docker --image sbx-test/user --user root) || fail "create"
    need_in_box perl
    try 0 in_box perl -e 'use Socket; $SIG{PIPE} = "IGNORE"; socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, pack_sockaddr_un("/.sbx/run/sock")) or die;
        syswrite S, "x" x 64; print sysread(S, $_, 10) // "reset", "\n"'
    grep -qxE '0|reset' "$T/out" || fail "it was answered: $(cat "$T/out")"
    try 0 in_box true
}

the_daemon_removes_what_ended() {
    new_box
    docker kill "$(native)" >/dev/null || fail "kill"
    no_container_is_left
    try 125 in_box true
    errors_with 'no such sandbox'
    try 0 sbx ls -q
    [ ! -s "$T/out" ] || fail "it is listed"
    [ -z "$(find "$T/run" -type f)" ] || fail "files are left: $(find "$T/run" -type f)"
}

# killed ROUNDS DECOYS: as many clients are killed at random moments; then gc leaves nothing of ours and all of theirs
killed() {
    local i decoys=()
    for i in $(seq "$2"); do
        decoys+=("$(docker create --network none --label "sbx-docker.instance=docker" --name "decoy-$$-$i" sbx-test/busy true)")
    done
    for i in $(seq "$1"); do
        "$SBXCTL" run --provider docker -- sh -c 'sleep 60 & sleep 60' >/dev/null 2>&1 &
        sleep "0.$(printf '%03d' $((RANDOM % 500)))"
        kill -KILL $!
        wait $! 2>/dev/null
    done
    for i in $(seq 100); do # what the daemon was asked for last may only come now
        sbx gc >/dev/null 2>&1
        [ -n "$(ours)" ] || break
        sleep 0.2
    done
    try 0 sbx gc
    no_container_is_left
    [ "$(docker ps -aq --filter "name=decoy-$$-" | wc -l)" = "$2" ] || fail "a container of others is gone"
    docker rm -f "${decoys[@]}" >/dev/null
    [ -z "$(find "$T/run" -type f -o -type s)" ] || fail "files are left: $(find "$T/run" -type f -o -type s)"
}

twenty_killed_clients_leave_nothing() {
    killed 20 20
}

three_hundred_killed_clients_leave_nothing() {
    killed 300 20
}

suspended_is_a_state_of_its_own() {
    new_box
    try 0 sbx suspend "$BOX"
    try 0 sbx suspend "$BOX"
    try 0 sbx inspect --json "$BOX"
    json_has state '"suspended"'
    START=$(now_ms)
    try 125 in_box true
    took_between 0 3000
    errors_with 'not running'
    try 0 sbx ls --state suspended -q
    output "$BOX"
    try 0 sbx resume "$BOX"
    try 0 sbx resume "$BOX"
    try 0 in_box true
    try 0 sbx suspend "$BOX"
    try 0 sbx rm "$BOX"
    no_container_is_left
}

what_somebody_else_paused_is_resumed() {
    new_box
    docker pause "$(native)" >/dev/null
    try 0 sbx inspect --json "$BOX"
    json_has state '"suspended"'
    try 125 in_box true
    errors_with 'paused by the daemon; resume it'
    try 0 sbx resume "$BOX"
    try 0 in_box true
    try 0 sbx suspend "$BOX"
    docker pause "$(native)" >/dev/null
    try 0 sbx resume "$BOX"
    try 0 sbx inspect --json "$BOX"
    json_has state '"running"'
    try 0 in_box true
}

what_the_configuration_says_holds_for_what_is_made_without() {
    mkdir -m 700 "$T/elsewhere"
    printf '%s\n' '[provider docker]' 'plugin = docker' 'image = sbx-test/user' 'network = full' 'network_name = host' \
        'workdir = /process' 'timeout = 1s' 'max_processes = 77' 'runtime = runc' "runtime_dir = $T/elsewhere" >"$T/my.ini"
    export SBX_CONFIG=$T/my.ini
    BOX=$(env -u SANDBOX_IMAGE "$SBXCTL" create --provider docker) || fail "create"
    try 0 asked '{{.Config.Image}} {{.HostConfig.NetworkMode}} {{.HostConfig.PidsLimit}} {{.HostConfig.Runtime}}'
    output 'sbx-test/user host 77 runc'
    try 0 sh_box pwd
    output /process
    [ -n "$(ls "$T/elsewhere/sbx/docker/docker")" ] || fail "nothing is in runtime_dir"
    START=$(now_ms)
    try 124 in_box sleep 60
    took_between 900 30000
    try 0 sbx rm "$BOX"
    [ -z "$(ls "$T/elsewhere/sbx/docker/docker")" ] || fail "something is left in runtime_dir"
    for line in 'pull = often' 'guest = some' 'network = half' 'max_processes = -1' 'workdir = /proc/x' 'runtime_dir = here'; do
        printf '[provider docker]\nplugin = docker\n%s\n' "$line" >"$T/my.ini"
        try 125 sbx create --provider docker --image sbx-test/busy
        one_error_line
        [ "${line%% *}" = workdir ] || errors_with "$T/my.ini:3: ${line%% *}"
        errors_with "${line##* }"
    done
}

every_key_is_in_the_manual_and_the_example() {
    local plugin key
    for plugin in local docker runloop; do
        printf '[provider p]\nplugin = %s\n' "$plugin" >"$T/my.ini"
        try 0 sbx config show --config "$T/my.ini"
        sed -n 's/^# \([a-z_]*\) (.*/\1/p' "$T/out" >"$T/keys"
        [ -s "$T/keys" ] || fail "no keys of $plugin are shown"
        while read -r key; do
            grep -qE "^\.BR? .*\b$key\b" "$SBX_TEST_SOURCE/docs/man/sbx-$plugin.7" || fail "sbx-$plugin(7) lacks $key"
            [ "$plugin" = local ] || grep -qE "(^#|\`)${key}(_file|_env)? = " "$SBX_TEST_SOURCE/conf/$plugin.ini.example" ||
                fail "conf/$plugin.ini.example lacks $key"
        done <"$T/keys"
    done
}

a_longer_life_is_told_and_kept() {
    new_box --lifetime 3
    try 0 sbx keep-alive --for 60 "$BOX"
    sleep 3.5
    try 0 in_box true
    try 0 sbx inspect --json "$BOX"
    [ "$(tr -d ' \n' <"$T/out" | sed -n 's/.*"expires_ms":\([0-9]*\).*/\1/p')" -gt "$(($(now_ms) + 40000))" ] || fail "the end is told wrong"
}

a_taken_name_is_told() {
    new_box --name "same-$$"
    try 125 sbx create --provider docker --name "same-$$"
    errors_with "same-$$"
    try 0 sbx exec "docker/same-$$" -- true
    try 0 sbx exec "docker/$(native | cut -c1-12)" -- true
}

# theirs [OPTION...]: a container that sbx did not make; its id is in THEIRS, what sbx calls it in BOX
theirs() {
    THEIRS=$(docker run -d --network none --name "theirs-$$" --entrypoint /bin/sleep "$@" sbx-test/user 600) ||
        fail "docker run"
    BOX=docker/theirs-$$
}

other_peoples_containers_are_left_alone() {
    theirs
    try 0 sbx ls -q
    [ ! -s "$T/out" ] || fail "it is listed"
    try 0 sbx gc --all
    try 0 sbx inspect --json "$BOX"
    json_has state '"running"'
    [ -z "$(docker diff "$THEIRS" | grep -vx 'C /etc')" ] || fail "something was put into it" # podman's files are in /etc
    [ "$(docker inspect --format '{{.State.Running}}' "$THEIRS")" = true ] || fail "it was ended"
    docker rm -f "$THEIRS" >/dev/null
}

commands_and_files_work_in_other_peoples_containers() {
    theirs -e MINE=yes
    try 7 sh_box 'id -un; pwd; echo $MINE $COLOUR $HOME; echo problem >&2; exit 7'
    printf 'app\n/home/app\nyes blue /home/app\n' | exact
    printf 'problem\n' | exact err
    head -c 3000000 /dev/urandom >bytes
    try 0 sbx cp bytes "$BOX:/tmp/bytes"
    try 0 sbx cp "$BOX:/tmp/bytes" -
    cmp -s bytes "$T/out" || fail "other bytes came back"
    try 0 sh_box 'stat -c "%U %a" /tmp/bytes'
    output 'app 644'
    try 125 sbx cp bytes "$BOX:/etc/bytes"
    errors_with permission_denied
    try 0 sbx cp -r "$PWD" "$BOX:/tmp/tree"
    try 0 sh_box 'ls /tmp/tree'
    output bytes
    try 0 sbx exec -i "$BOX" -- md5sum <bytes
    output "$(md5sum <bytes)"
    try 127 in_box no-such-program
    docker exec -u 0 "$THEIRS" mkdir -m 777 /workspace
    try 0 sh_box pwd
    output /workspace
    [ "$(docker diff "$THEIRS" | grep -c '/.sbx-guest-')" = 1 ] || fail "not one program was put into it"
    docker rm -f "$THEIRS" >/dev/null
    try 125 in_box true
    errors_with 'no such sandbox'
}

nothing_runs_on_in_other_peoples_containers() {
    theirs
    new_marker
    START=$(now_ms)
    try 124 sbx exec --timeout 1 "$BOX" -- sh -c "sleep $MARK & setsid sleep $MARK & (trap '' TERM; sleep $MARK) & wait"
    took_between 900 8000
    marker_gone "$MARK" 5
    new_marker
    "$SBXCTL" exec "$BOX" -- sh -c "setsid sleep $MARK & sleep $MARK" >/dev/null 2>&1 &
    marker_seen "$MARK" 2
    kill -KILL $!
    wait $! 2>/dev/null
    marker_gone "$MARK" 5
    try 0 in_box true
    docker rm -f "$THEIRS" >/dev/null
}

other_peoples_containers_can_be_suspended_and_are_told_apart_when_they_do_not_run() {
    theirs
    try 0 in_box true
    try 0 sbx suspend "$BOX"
    START=$(now_ms)
    try 125 in_box true
    took_between 0 3000
    errors_with 'not running'
    try 0 sbx resume "$BOX"
    try 0 in_box true
    docker kill "$THEIRS" >/dev/null
    try 125 in_box true
    one_error_line
    errors_with 'not running'
    try 125 sbx job start "$BOX" -- true
    docker rm -f "$THEIRS" >/dev/null
}

a_read_only_container_of_others_takes_no_guest() {
    theirs --read-only --tmpfs /tmp:mode=1777
    try 3 sh_box 'id -un; exit 3'
    output app
    echo data >file
    try 0 sbx cp file "$BOX:/tmp/file"
    try 0 sbx cp "$BOX:/tmp/file" -
    output data
    [ -z "$(docker diff "$THEIRS" | grep guest)" ] || fail "something was put into it"
    try 125 sbx job start "$BOX" -- true
    printf '[provider docker]\nplugin = docker\nguest = always\n' >"$T/my.ini"
    chmod 600 "$T/my.ini"
    try 125 sbx --config "$T/my.ini" exec "$BOX" -- true
    one_error_line
    errors_match 'read-only'
    docker rm -f "$THEIRS" >/dev/null
}

# capabilities WORD: what providers says without a guest and not otherwise
capabilities() {
    printf '[provider docker]\nplugin = docker\nguest = %s\n' "$1" >"$T/my.ini"
    chmod 600 "$T/my.ini"
    try 0 sbx --config "$T/my.ini" providers
    sed -n 's/^\(sbx[^ ]*\) *none$/\1/p' "$T/out" | sort
}

what_is_not_offered_without_a_guest_is_what_the_manual_says() {
    capabilities auto >"$T/with"
    capabilities never >"$T/without"
    comm -13 "$T/with" "$T/without" >"$T/declared"
    sed -n '/without a guest: begin/,/without a guest: end/p' "$SBX_TEST_SOURCE/docs/man/sbx-docker.7" |
        grep -o 'sbx[.a-z]*/1' | sort >"$T/told"
    [ -s "$T/told" ] || fail "the manual has no list"
    diff "$T/told" "$T/declared" || fail "the manual says otherwise"
}

what_is_not_offered_on_podman_is_what_the_manual_says() {
    local host
    host=$(cat "$SBX_TEST_PODMAN" 2>/dev/null)
    [ -S "$host/docker.sock" ] || skip "no podman service for tests: ${host#none: }"
    capabilities auto >"$T/with"
    DOCKER_HOST=unix://$host/docker.sock capabilities auto >"$T/without"
    comm -13 "$T/with" "$T/without" >"$T/declared"
    sed -n '/on podman: begin/,/on podman: end/p' "$SBX_TEST_SOURCE/docs/man/sbx-docker.7" |
        grep -o 'sbx[.a-z]*/1' | sort >"$T/told"
    [ -s "$T/told" ] || fail "the manual has no list"
    diff "$T/told" "$T/declared" || fail "the manual says otherwise"
}

nothing_of_ours_is_in_a_container_without_a_guest() {
    printf '[provider docker]\nplugin = docker\nguest = never\n' >"$T/my.ini"
    chmod 600 "$T/my.ini"
    export SBX_CONFIG=$T/my.ini
    new_box
    try 5 sh_box 'pwd; exit 5'
    output /workspace
    try 0 asked '{{len .Mounts}}'
    output 0
    docker diff "$(native)" | grep -F sbx && fail "something is in it"
    try 0 sbx suspend "$BOX"
    try 125 in_box true
    errors_with 'not running'
    try 0 sbx resume "$BOX"
    try 0 in_box true
    docker kill "$(native)" >/dev/null
    no_container_is_left
    try 125 in_box true
    errors_with 'no such sandbox'
}


a_read_only_sandbox_can_write_to_tmp_alone() {
    printf '[provider docker]\nplugin = docker\nread_only = yes\n' >"$T/my.ini"
    BOX=$(sbx --config "$T/my.ini" create --provider docker) || fail "create"
    try 1 sh_box 'echo x >/etc/x'
    try 0 sh_box 'echo x >/tmp/x; pwd'
    output /workspace
}

paths_that_the_configuration_names_are_shown_read_only() {
    mkdir -m 755 "$T/shown"
    echo seen >"$T/shown/file"
    printf '[provider docker]\nplugin = docker\nbind_ro = %s\nbind_ro = /etc/debian_version\n' "$T/shown" >"$T/my.ini"
    chmod 711 "$T"
    BOX=$(sbx --config "$T/my.ini" create --provider docker) || fail "create"
    try 0 sh_box "cat $T/shown/file"
    output seen
    try 0 sbx exec --user root "$BOX" -- sh -c "echo x >$T/shown/file || cat /etc/debian_version"
    output "$(cat /etc/debian_version)"
    [ "$(cat "$T/shown/file")" = seen ] || fail "written through"
    printf '[provider docker]\nplugin = docker\nbind_ro = /\n' >"$T/my.ini"
    try 125 sbx --config "$T/my.ini" run --provider docker -- true
    errors_with "bind_ro: '/' is no absolute path"
}

a_missing_daemon_is_one_clear_error() {
    export DOCKER_HOST=unix://$T/none.sock
    START=$(now_ms)
    try 125 sbx run --provider docker -- true
    took_between 0 2000
    one_error_line
    errors_with "cannot reach '$T/none.sock'"
    try 0 sbx providers
    grep -qE '^docker .*cannot reach' "$T/out" || fail "the problem is not shown"
    grep -qE '^CAPABILITY +local$' "$T/out" || fail "a provider of no use has a column"
    try 0 sbx ls
    no_errors
    try 0 sbx gc
    no_errors
}

without_a_word_local_stays_the_default_and_docker_is_not_loaded() {
    command -v strace >/dev/null || skip "strace is not installed"
    strace -f -e trace=openat -o "$T/trace" "$SBXCTL" run -- true || fail "run"
    grep -q 'local\.so' "$T/trace" || fail "local was not used"
    grep -E 'docker\.so|libcurl' "$T/trace" && fail "it was loaded"
    return 0
}

snapshots_hold_the_files_and_nothing_else_of_the_sandbox() {
    local image
    try 0 "$SBX_TEST_BUILD/tests/docker/docker_snapshot"
    image=$(cat "$T/out")
    image=${image#docker/}
    try 0 docker inspect --format '{{.Config.User}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.WorkingDir}}' "$image"
    output 'app [/bin/false] [never] /home/app'
    try 0 docker inspect --format '{{index .Config.Labels "made.by"}}{{index .Config.Labels "team"}}' "$image"
    output image
    docker inspect "$image" | grep hush && fail "a variable of create is in it"
    try 0 docker inspect --format '{{json .Config}}' "$image"
    grep -E 'sbx/guest|"sbx.managed":"1"' "$T/out" && fail "something of the sandbox is in it"
    docker rmi "$image" >/dev/null
    no_container_is_left
}

a_daemon_over_tls_is_checked_and_checks_us() {
    local tls
    tls=$(cat "$SBX_TEST_ENGINE")/tls
    [ -s "$tls/address" ] || skip "openssl is not installed, so the daemon has no certificates"
    DOCKER_HOST=tcp://$(cat "$tls/address")
    export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$tls
    try 0 run_box -- echo over TLS
    output 'over TLS'
    export DOCKER_CERT_PATH=$tls/other # its authority did not sign the daemon's certificate
    try 125 run_box -- true
    one_error_line
    errors_with certificate
    cp "$tls/ca.pem" "$T/"
    cp "$tls/server.pem" "$T/cert.pem"
    cp "$tls/server-key.pem" "$T/key.pem"
    export DOCKER_CERT_PATH=$T # signed, but not for a client
    try 125 run_box -- true
    one_error_line
    errors_with certificate
    rm "$T/key.pem"
    try 125 run_box -- true
    errors_with "$T/key.pem"
    printf '[provider docker]\nplugin = docker\nhost = tcp://%s\ncert_path = %s\ntls_verify = no\n' \
        "$(cat "$tls/address")" "$tls/other" >"$T/my.ini"
    try 0 sbx --config "$T/my.ini" run --provider docker -- true
    errors_with 'is not checked'
}

# far: the daemon, as one of another machine
far() {
    local tls
    tls=$(cat "$SBX_TEST_ENGINE")/tls
    [ -s "$tls/address" ] || skip "openssl is not installed, so the daemon has no certificates"
    DOCKER_HOST=tcp://$(cat "$tls/address")
    export DOCKER_HOST DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$tls
}

a_container_far_away_has_the_guest_in_a_volume_that_goes_with_it() {
    local volume
    far
    new_box --env SECRET=hush
    try 0 asked '{{range .Mounts}}{{.Type}} {{.Destination}} {{end}}{{.HostConfig.AutoRemove}}'
    output 'volume /.sbx true'
    volume=$(asked '{{range .Mounts}}{{.Name}}{{end}}')
    docker inspect "$(native)" | grep -q hush && fail "a variable stands in the container's definition"
    try 0 sh_box 'echo $SECRET; ls -A /.sbx; stat -c "%a %u" /.sbx/sock'
    printf 'hush\nguest\nsock\n600 0\n' | exact
    try 0 sbx rm "$BOX"
    no_container_is_left
    for _ in $(seq 50); do
        [ -n "$(docker volume ls -q --filter "name=$volume")" ] || return 0
        sleep 0.1
    done
    fail "the volume is left"
}

nobody_inside_is_served_by_a_guest_far_away() {
    far
    BOX=$(sbx create --provider docker --image sbx-test/user --user root) || fail "create"
    need_in_box perl
    try 0 in_box perl -e 'use Socket; $SIG{PIPE} = "IGNORE"; socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, pack_sockaddr_un("/.sbx/sock")) or die;
        syswrite S, "x" x 64; print sysread(S, $_, 10) // "reset", "\n"'
    grep -qxE '0|reset' "$T/out" || fail "it was answered: $(cat "$T/out")"
    try 1 in_box sh -c '/.sbx/guest relay /.sbx/sock </dev/zero | grep -q .'
    try 0 in_box true
}

an_image_far_away_may_be_empty_and_read_only() {
    far
    printf '[provider docker]\nplugin = docker\nread_only = yes\n' >"$T/my.ini"
    chmod 600 "$T/my.ini"
    BOX=$(sbx --config "$T/my.ini" create --provider docker --image sbx-test/empty) || fail "create"
    try 0 in_box /.sbx/guest version
    try 127 sh_box true
}

an_unknown_user_far_away_is_told() {
    far
    try 125 sbx create --provider docker --image sbx-test/busy --user nobody-here
    one_error_line
    errors_with nobody-here
    no_container_is_left
}

twenty_killed_clients_far_away_leave_nothing() {
    far
    killed 20 20
}

a_connection_that_ends_takes_bound_containers_far_away_with_it() {
    local with
    far
    for with in auto never; do
        printf '[provider docker]\nplugin = docker\nguest = %s\n' "$with" >"$T/my.ini"
        chmod 600 "$T/my.ini"
        new_marker
        "$SBXCTL" --config "$T/my.ini" run --provider docker -- sleep "$MARK" >/dev/null 2>&1 &
        marker_seen "$MARK" 1
        kill -KILL $!
        wait $! 2>/dev/null
        marker_gone "$MARK" 10
        no_container_is_left
    done
}

podmans_service_far_away_works() {
    local folder
    folder=$(cat "$SBX_TEST_ENGINE")
    DOCKER_HOST=tcp://$(cat "$folder/tcp")
    export DOCKER_HOST
    new_box --env SECRET=hush
    try 0 sh_box 'echo $SECRET; pwd; ls -A /.sbx'
    printf 'hush\n/workspace\nguest\nsock\n' | exact
    echo data >file
    try 0 sbx cp file "$BOX:file"
    try 0 sbx job start "$BOX" -- sleep 50
    try 0 sbx rm "$BOX"
    new_marker
    "$SBXCTL" run --provider docker -- sleep "$MARK" >/dev/null 2>&1 &
    marker_seen "$MARK" 1
    kill -KILL $!
    wait $! 2>/dev/null
    marker_gone "$MARK" 10
    no_container_is_left
    printf '[provider docker]\nplugin = docker\nread_only = yes\n' >"$T/my.ini"
    chmod 600 "$T/my.ini"
    try 125 sbx --config "$T/my.ini" create --provider docker
    one_error_line
    errors_with 'read-only'
    no_container_is_left
}

a_daemon_that_sees_other_files_gets_the_guest_over_its_api() {
    command -v unshare >/dev/null || skip "unshare is not installed"
    try 0 unshare --mount --propagation private sh -c 'mount -t tmpfs none "$T/run" && chmod 700 "$T/run" && "$@"' sh \
        "$SBXCTL" run --provider docker --image sbx-test/user -- sh -c 'id -un; ls -A /.sbx'
    printf 'app\nguest\nsock\n' | exact
    no_container_is_left
}

a_route_chooses_between_docker_and_local() {
    printf '[sbx]\ndefault = local\n[provider local]\nplugin = local\n[provider docker]\nplugin = docker\n%s\n%s\n%s\n' \
        '[provider away]' 'plugin = docker' "host = unix://$T/nobody.sock" >"$T/my.ini"
    printf '%s\n' '[route images]' 'image = sbx-test/*' 'use = away docker local' '[route all]' 'use = away local docker' >>"$T/my.ini"
    export SBX_CONFIG=$T/my.ini
    BOX=$(sbx create --image sbx-test/busy 2>"$T/err") || fail "create with an image"
    case $BOX in docker/*) ;; *) fail "$BOX is not of docker" ;; esac
    errors_with 'trying docker'
    try 0 in_box true
    try 0 sbx rm "$BOX"
    BOX=$(sbx create 2>"$T/err") || fail "create without an image"
    case $BOX in local/*) ;; *) fail "$BOX is not of local" ;; esac
    try 0 in_box true
    try 0 sbx rm "$BOX"
    try 125 sbx create --image sbx-test/none # docker refuses, and that is that
    errors_with "image 'sbx-test/none'"
    ! grep -q 'trying local' "$T/err" || fail "another provider was tried"
}

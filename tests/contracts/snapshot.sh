# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Snapshots, and tars as images: what a sandbox begins with.

need_snapshots() { offers sbx.snapshot/1 || skip "the provider has no snapshots"; }

# new_snapshot [OPTION...]: of BOX; its id is in SNAP
new_snapshot() {
    try 0 sbx snapshot create "$@" "$BOX"
    no_errors
    SNAP=$(cat "$T/out")
    [ -n "$SNAP" ] || fail "snapshot create printed nothing"
}

# box_of_snapshot [OPTION...]
box_of_snapshot() {
    try 0 sbx create --snapshot "$SNAP" "$@"
    BOX=$(cat "$T/out")
}

# What a tree is: one line for each entry
look='cd "$1" && find . -printf "%p %y %m %u %s %l %n\n" | LC_ALL=C sort; find . -type f -perm -400 -exec md5sum {} + | LC_ALL=C sort'

snapshot_keeps_files_modes_links_and_holes() {
    need_snapshots
    new_box
    try 0 sh_box 'mkdir -p a/b/.c ~/deep/er "odd name
of two lines" && echo one >a/b/.c/f && ln a/b/.c/f a/hard && ln a/hard ~/other || ln a/hard a/hard2
        ln -s /etc/passwd abs && ln -s a/b rel && ln -s nowhere dangling && mkfifo fifo && chmod 600 fifo
        echo x >~/deep/er/x && echo t >/tmp/t && chmod 4711 a/hard && chmod 0700 ~/deep && chmod 1777 a && : >empty
        head -c 3000000 /dev/urandom >bytes && touch -d "2001-02-03 04:05:06" bytes a/b
        truncate -s 64M holes && echo end >>holes && mkdir closed && echo in >closed/f && chmod 0 closed/f closed'
    for dir in /workspace /home/sandbox /tmp; do
        try 0 in_box sh -c "$look" sh "$dir"
        cp "$T/out" "$T/before${dir////-}"
    done
    new_snapshot
    try 0 sbx rm "$BOX"
    box_of_snapshot
    for dir in /workspace /home/sandbox /tmp; do
        try 0 in_box sh -c "$look" sh "$dir"
        exact <"$T/before${dir////-}"
    done
    try 0 sh_box 'stat -c %Y bytes a/b; tail -c 4 holes; [ a/hard -ef a/b/.c/f ] && echo linked'
    printf '%s\n%s\nend\nlinked\n' "$(date -d '2001-02-03 04:05:06' +%s)" "$(date -d '2001-02-03 04:05:06' +%s)" | exact
    if [ "$PROVIDER" = docker ]; then # its layers keep no holes, and a write to a layer's file parts it from its links
        try 0 sh_box 'chmod 700 closed closed/f && cat closed/f'
        output in
        return 0
    fi
    try 0 sh_box '[ "$(stat -c %b holes)" -lt 100 ]'
    try 0 sh_box 'chmod 700 closed closed/f && cat closed/f && echo more >>a/hard && cat a/b/.c/f'
    printf 'in\none\nmore\n' | exact
}

snapshot_outlives_its_sandbox_and_serves_many() {
    need_snapshots
    new_box
    try 0 sh_box 'echo first >file'
    new_snapshot
    try 0 sh_box 'echo second >file'
    try 0 sbx rm "$BOX"
    box_of_snapshot
    local one=$BOX
    box_of_snapshot
    try 0 sbx exec "$one" -- sh -c 'cat file; echo changed >file'
    output first
    try 0 in_box cat file
    output first
    try 0 sbx snapshot rm "$SNAP"
    try 0 in_box cat file
    output first
    try 0 sbx snapshot rm "$SNAP"
    no_errors
    try 125 sbx create --snapshot "$SNAP"
    one_error_line
    errors_with "${SNAP#*/}"
    try 125 sbx snapshot info "$SNAP"
    errors_with 'no such snapshot'
}

snapshots_are_listed_by_label_and_named() {
    need_snapshots
    new_box --label of=box
    new_snapshot --name base --label kind=good --comment 'what it is for'
    local first=$SNAP
    new_snapshot --label kind=bad
    try 0 sbx snapshot ls -q
    [ "$(sort "$T/out")" = "$(printf '%s\n' "$first" "$SNAP" | sort)" ] || fail "snapshot ls shows $(cat "$T/out")"
    try 0 sbx snapshot ls -q --label kind=good
    output "$first"
    try 0 sbx snapshot info --json "$first"
    json_has name '"base"'
    json_has state '"done"'
    json_has kind '"good"'
    ! grep -q '"of"' "$T/out" || fail "the sandbox's labels are the snapshot's"
    try 0 sbx snapshot ls
    grep -q "^$first *base *done " "$T/out" || fail "no row for it"
    try 0 sbx snapshot rm "$first" "$SNAP"
    try 0 sbx snapshot ls -q
    [ ! -s "$T/out" ] || fail "something is left"
}

snapshot_holds_no_environment_and_no_secret() {
    need_snapshots
    new_box --env SECRET=very-secret-word
    try 0 sh_box 'echo $SECRET'
    output very-secret-word
    new_snapshot
    box_of_snapshot
    try 0 sh_box 'echo ${SECRET-none}'
    output none
    [ "$PROVIDER" = local ] || return 0
    ! grep -rqsa very-secret-word "$T/state" || fail "it is in $(grep -rlsa very-secret-word "$T/state")"
}

snapshot_keeps_image_directory_and_user() {
    need_snapshots
    new_box --cwd /srv/app
    try 0 sh_box 'pwd; echo data >kept'
    new_snapshot
    box_of_snapshot
    try 0 sh_box 'pwd; cat kept'
    printf '/srv/app\ndata\n' | exact
    [ "$PROVIDER" = local ] || return 0
    try 125 sbx create --snapshot "$SNAP" --cwd /workspace
    one_error_line
    errors_with /srv/app
}

snapshot_of_a_sandbox_with_a_disk_limit() {
    need_snapshots
    sbx create --provider "$PROVIDER" --disk 32M >"$T/out" 2>"$T/err" || skip "no disk limit here: $(cat "$T/err")"
    BOX=$(cat "$T/out")
    try 0 sh_box 'echo w >file; echo h >~/file; echo t >/tmp/file; head -c 8388608 /dev/urandom >big; md5sum big >sum'
    new_snapshot
    box_of_snapshot
    try 0 sh_box 'cat file ~/file /tmp/file; md5sum -c sum'
    printf 'w\nh\nt\nbig: OK\n' | exact
    box_of_snapshot --disk 32M
    try 0 sh_box 'cat file ~/file /tmp/file; md5sum -c sum; echo more >>file'
    printf 'w\nh\nt\nbig: OK\n' | exact
    try 125 sbx create --snapshot "$SNAP" --disk 4M
    one_error_line
    try 0 sbx ls -q
    [ "$(wc -l <"$T/out")" = 3 ] || fail "a sandbox was left"
}

snapshot_shows_one_moment() {
    need_snapshots
    new_box
    try 0 sh_box 'i=0; (while :; do i=$((i + 1)); echo $i >first; echo $i >second; done) >/dev/null 2>&1 &'
    local i
    for i in 1 2 3 4; do
        new_snapshot
        try 0 sbx exec "$BOX" -- true
        local running=$BOX
        box_of_snapshot
        try 0 sh_box 'a=$(cat first); b=$(cat second); d=$(( ${a:-0} - ${b:-0} )); case $d in 0 | 1) echo one ;; *) [ -z "$a$b" ] && echo one || echo "$a $b" ;; esac'
        [ "$(cat "$T/out")" = one ] || [ -z "$(sh_box 'cat first')" ] || [ -z "$(sh_box 'cat second')" ] || fail "two moments"
        BOX=$running
    done
    try 0 sbx inspect --json "$BOX"
    json_has state '"running"'
}

snapshot_of_a_suspended_sandbox_leaves_it_so() {
    need_snapshots
    new_box
    try 0 sh_box 'echo kept >file'
    try 0 sbx suspend "$BOX"
    new_snapshot
    try 0 sbx inspect --json "$BOX"
    json_has state '"suspended"'
    try 0 sbx resume "$BOX"
    try 0 in_box cat file
    output kept
}

interrupted_snapshot_counts_for_nothing() {
    need_snapshots
    new_box
    try 0 sh_box 'head -c 125829120 /dev/zero >big; i=0; while [ $i -lt 400 ]; do echo $i >f$i; i=$((i + 1)); done
        (while :; do echo x >>grows; sleep 0.01; done) >/dev/null 2>&1 &'
    local i wait
    for i in 1 2 3 4 5 6; do
        "$SBXCTL" snapshot create "$BOX" >"$T/out2" 2>"$T/err2" &
        wait=0.0$((i * 13 % 60))
        sleep "$wait"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        try 0 sh_box 'a=$(wc -c <grows); sleep 0.2; b=$(wc -c <grows); [ "$b" -gt "$a" ] && echo goes on'
        output 'goes on'
    done
    try 0 sbx snapshot ls -q
    for i in $(cat "$T/out"); do
        try 0 sbx snapshot rm "$i" # one that was done before the kill
    done
    try 0 sbx rm "$BOX"
    try 0 sbx gc
    [ "$PROVIDER" = local ] || return 0
    local end=$(($(now_ms) + 5000))
    while [ -n "$(find "$T/state" -path '*/snapshots/*' -print -quit)" ] && [ "$(now_ms)" -lt "$end" ]; do
        sleep 0.1
        sbx gc
    done
    [ -z "$(find "$T/state" -path '*/snapshots/*' -print -quit)" ] || fail "left: $(find "$T/state" -path '*/snapshots/*' | head)"
}

removed_while_it_is_copied_is_no_snapshot() {
    need_snapshots
    new_box
    try 0 sh_box 'i=0; while [ $i -lt 3000 ]; do echo $i >f$i; i=$((i + 1)); done; head -c 62914560 /dev/zero >big'
    sbx snapshot create "$BOX" >"$T/out2" 2>"$T/err2" &
    local client=$! code
    sleep 0.02
    START=$(now_ms)
    try 0 sbx rm "$BOX"
    took_between 0 10000
    wait "$client"
    code=$?
    cp "$T/err2" "$T/err"
    [ "$code" = 0 ] || errors_with 'no such sandbox'
    try 0 sbx snapshot ls -q
    [ "$code" = 0 ] || [ ! -s "$T/out" ] || fail "a snapshot of what was being removed"
    [ "$code" = 0 ] || return 0
    SNAP=$(cat "$T/out2")
    box_of_snapshot
    try 0 sh_box 'ls | wc -l; wc -c <big'
    printf '3001\n62914560\n' | exact
}

hostile_trees_are_copied_and_never_followed() {
    need_snapshots
    new_box
    local size=4E
    [ "$PROVIDER" = local ] || size=1048576 # a layer is a tar: holes count
    try 0 sh_box 'ln -s / root; ln -s ../../../../../../etc/shadow up; ln -s /proc/self/fd/0 fd; ln -s loop loop
        mkfifo p; p=$(printf "d/%.0s" $(seq 900)); mkdir -p $p; echo bottom >${p}f; truncate -s '$size' huge 2>/dev/null || truncate -s 1T huge; printf x >"$(printf "a\nb\001")"
        i=0; while [ $i -lt 60 ]; do ln huge l$i; i=$((i + 1)); done; mkdir 0; chmod 0 0'
    new_snapshot
    box_of_snapshot
    try 0 sh_box 'for l in root up fd loop; do readlink $l; done; [ l59 -ef huge ] && find d -name f | wc -l'
    printf '/\n../../../../../../etc/shadow\n/proc/self/fd/0\nloop\n1\n' | exact
    [ "$PROVIDER" = local ] || return 0
    try 0 sh_box 'rm -rf d; p=$(printf "d/%.0s" $(seq 900)); mkdir -p t0/$p
        for k in 1 2 3 4; do mkdir -p t$k/$p && mv t$((k - 1)) t$k/$p || exit 1; done'
    try 125 sbx snapshot create "$BOX"
    one_error_line
    errors_with 'directories deep'
    try 0 sbx snapshot ls -q
    output "$SNAP"
    try 0 in_box true
}

# --- tars as images ---------------------------------------------------------------------------------------------------

need_local() { [ "$PROVIDER" = local ] || skip "an image of local"; }

tar_is_an_image() {
    need_local
    mkdir -p tree/bin tree/etc tree/data/deep tree/home/other
    chmod -R 755 tree
    cp "$SBX_TEST_BUILD/bin/sbx-guest" tree/bin/static-program
    echo 'root:x:0:0::/:/bin/sh' >tree/etc/passwd
    echo hello >tree/data/deep/file
    ln -s deep/file tree/data/link
    ln tree/data/deep/file tree/data/hard
    tar -cf image.tar -C tree .
    try 0 sbx create --image "$PWD/image.tar"
    BOX=$(cat "$T/out")
    try 0 in_box /bin/static-program version
    try 127 in_box /bin/sh -c true
    try 0 sbx cp "$BOX:/data/link" -
    output hello
    try 125 sbx cp image.tar "$BOX:/data/new"
    errors_with permission_denied
    echo word >word
    try 0 sbx cp word "$BOX:/workspace/word"
    new_snapshot
    try 0 sbx rm "$BOX"
    box_of_snapshot
    try 0 sbx cp "$BOX:/workspace/word" -
    output word
    try 0 sbx cp "$BOX:/data/hard" -
    output hello
    try 0 sbx rm "$BOX"
    [ -z "$(find "$T/state" -name static-program)" ] || fail "an unpacked image is left"
}

tar_that_is_none_is_refused() {
    need_local
    mkdir -p tree/data
    head -c 200000 /dev/urandom >tree/data/file
    tar -cf good.tar -C tree .
    head -c 100000 good.tar >cut.tar
    gzip -k good.tar
    echo text >text
    : >empty
    mkfifo fifo
    for name in cut.tar good.tar.gz text empty fifo no-such; do
        try 125 sbx create --image "$PWD/$name"
        one_error_line
        [ "$name" = cut.tar ] || errors_with "$name"
    done
    try 125 sbx create --image "$PWD/good.tar.gz"
    errors_with gunzip
    [ -z "$(sbx ls -q)" ] || fail "a sandbox was made"
    [ -z "$(find "$T/state" "$T/run" -type f)" ] || fail "left: $(find "$T/state" "$T/run" -type f)"
}

# hostile NAME: a tar of that name with one entry of it, written by its fields
hostile_tar() {
    python3 - "$@" <<'PY'
import io, sys, tarfile
kind, out, victim = sys.argv[1:4]
with tarfile.open(out, "w") as tar:
    def add(name, type_=tarfile.REGTYPE, link="", data=b"evil\n", mode=0o777):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = type_, link, mode
        info.size = len(data) if type_ == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(data))
    if kind == "absolute":
        add(victim)
    elif kind == "dots":
        add("../" * 12 + victim[1:])
    elif kind == "symlink":
        add("a", tarfile.SYMTYPE, victim)
        add("a")
    elif kind == "symlinked_directory":
        add("d", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
        add("d/" + victim.rsplit("/", 1)[1])
    elif kind == "hard_link":
        add("h", tarfile.LNKTYPE, victim)
        add("h")
    elif kind == "hard_link_dots":
        add("h", tarfile.LNKTYPE, "../" * 12 + victim[1:])
    elif kind == "device":
        add("dev/x", tarfile.CHRTYPE)
    elif kind == "fifo":
        add("f", tarfile.FIFOTYPE)
    elif kind == "own_names":
        add("proc", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
        add("tmp", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
        add(".sbx", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
        add("workspace", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
        add("home", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
        add("etc", tarfile.SYMTYPE, victim.rsplit("/", 1)[0])
    elif kind == "setuid":
        add("s", mode=0o6777)
PY
}

hostile_tars_change_nothing_outside() {
    need_local
    command -v python3 >/dev/null || skip "no python3 to write tars with"
    local kind
    mkdir victims
    chmod 777 victims
    echo untouched >victims/file
    find victims -printf '%p %y %m %s %l %n\n' | sort >"$T/before"
    for kind in absolute dots symlink symlinked_directory hard_link hard_link_dots device fifo own_names setuid; do
        hostile_tar "$kind" "$kind.tar" "$PWD/victims/file"
        if sbx create --image "$PWD/$kind.tar" >"$T/out" 2>"$T/err"; then
            BOX=$(cat "$T/out")
            echo word >word
            sbx cp word "$BOX:/workspace/word" >/dev/null 2>"$T/err" || fail "$kind: no file can be put"
            sbx cp word "$BOX:/tmp/word" >/dev/null 2>"$T/err" || fail "$kind: no file can be put into /tmp"
            try 0 sbx rm "$BOX"
        else
            one_error_line
        fi
        find victims -printf '%p %y %m %s %l %n\n' | sort | cmp -s "$T/before" || fail "$kind: changed outside"
        [ "$(cat victims/file)" = untouched ] || fail "$kind: changed a file"
    done
    [ -z "$(sbx ls -q)" ] || fail "a sandbox is left"
}

# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2016
# sbxctl cp of what wants to write where it was not told to: archives that lie, and trees that change under the reader.

# What is in a folder, dest aside: kind, mode, links, owner; of files also size, times and content.
LISTING='cd "$0" && find . -path ./dest -prune -o -type f -printf "%p %m %n %U %s %T@ %i\n" -o -printf "%y %p %m %U %l\n" |
    LC_ALL=C sort && find . -path ./dest -prune -o -type f -exec cksum {} + | LC_ALL=C sort'

# A folder with things that must not change.
make_world() {
    mkdir -p "$1/canary/sub"
    (cd "$1" && echo alive >canary/f && echo more >canary/sub/g && ln -s canary/f link && echo x >x && chmod 640 x &&
        mkdir -m 700 shut && echo top >top && echo f >f)
}

corpus() {
    mkdir "$T/corpus"
    "$BUILD/tests/cli/tar_corpus" "$T/corpus" >"$T/cases" || fail "no corpus"
    [ "$(grep -c 'refused' "$T/cases")" -ge 60 ] || fail "only $(grep -c refused "$T/cases") hostile archives"
}

hostile_archives_out_of_a_sandbox_change_nothing_outside() {
    local name verdict check code count=0
    fixture direct "tar_file = $T/hostile.tar"
    corpus
    make_world "$T/world"
    mkdir "$T/boxes/standing/any"
    sh -c "$LISTING" "$T/world" >"$T/before"
    : >"$T/.top-before"
    find "$T" -maxdepth 1 | sort >"$T/.top-before"
    while IFS=$'\t' read -r name verdict check; do
        count=$((count + 1))
        cp "$T/corpus/$name.tar" "$T/hostile.tar"
        code=0
        sbx cp d/standing:any "$T/world/dest" >"$T/out" 2>"$T/err" </dev/null || code=$?
        if [ "$verdict" = fine ]; then
            [ "$code" = 0 ] || fail "$name: exit status $code"
            (cd "$T/world" && sh -c "$check") || fail "$name: $check"
        else
            [ "$code" = 125 ] || fail "$name: exit status $code"
            [ "$(wc -l <"$T/err")" = 1 ] || fail "$name: not one line"
            [ -z "$(find "$T/world" -path "$T/world/dest")" ] || fail "$name: something was left"
        fi
        sh -c "$LISTING" "$T/world" >"$T/after"
        cmp -s "$T/before" "$T/after" || fail "$name: $(diff "$T/before" "$T/after" | head -5)"
        [ ! -e /tmp/sbx-evil ] || fail "$name: /tmp/sbx-evil"
        chmod -R u+rwx "$T/world/dest" 2>/dev/null
        rm -rf "$T/world/dest"
    done <"$T/cases"
    [ "$count" -ge 80 ] || fail "only $count archives"
    rm -f "$T/hostile.tar" "$T/out" "$T/err" "$T/after"
    find "$T" -maxdepth 1 | sort | diff "$T/.top-before" - | grep '^>' && fail "something new lies beside the target"
    # The same onto a directory that is there: it keeps what it had, and nothing else changes.
    mkdir "$T/world/dest"
    echo mine >"$T/world/dest/mine"
    while IFS=$'\t' read -r name verdict check; do
        [ "$verdict" = refused ] || continue
        cp "$T/corpus/$name.tar" "$T/hostile.tar"
        sbx cp d/standing:any/. "$T/world/dest" >"$T/out" 2>"$T/err" </dev/null && fail "$name: taken"
        [ "$(ls -A "$T/world/dest")" = mine ] || fail "$name: something was added"
        sh -c "$LISTING" "$T/world" >"$T/after"
        cmp -s "$T/before" "$T/after" || fail "$name: $(diff "$T/before" "$T/after" | head -5)"
    done <"$T/cases"
}

hostile_archives_into_a_sandbox_change_nothing_outside() {
    local name verdict check code taken=0 count=0
    corpus
    make_world "$T/world"
    new_box
    tar c -C "$T/world" . | sbx cp -r - "$BOX:/tmp/world" || fail "no world in the sandbox"
    in_box sh -c 'command -v cksum find sort' >/dev/null || skip "no programs in the sandbox to look with"
    sh -c "$LISTING" "$T/world" >"$T/host-before"
    # Of the rest of the sandbox what its user may write, and what the archives name.
    local elsewhere='find /workspace /home /tmp /dev/shm /etc/passwd -path /tmp/world -prune -o -type f -printf "%p %m %s %T@ %i\n" \
        -o -printf "%y %p %m %l\n" | LC_ALL=C sort'
    try 0 in_box sh -c 'echo kept >/workspace/kept; echo kept >/tmp/f'
    in_box sh -c "$LISTING" /tmp/world >"$T/before" </dev/null
    in_box sh -c "$elsewhere" >"$T/elsewhere" </dev/null
    grep -q '^/workspace/kept 644 5 ' "$T/elsewhere" || fail "nothing to compare elsewhere"
    [ "$(wc -l <"$T/before")" -ge 12 ] || fail "nothing to compare"
    while IFS=$'\t' read -r name verdict check; do
        count=$((count + 1))
        code=0
        sbx cp -r - "$BOX:/tmp/world/dest" <"$T/corpus/$name.tar" >"$T/out" 2>"$T/err" || code=$?
        [ "$code" = 0 ] || [ "$code" = 125 ] || fail "$name: exit status $code"
        [ "$verdict" = refused ] || [ "$code" = 0 ] || fail "$name: refused"
        [ "$code" = 0 ] || [ "$(wc -l <"$T/err")" = 1 ] || fail "$name: not one line"
        [ "$code" != 0 ] || taken=$((taken + 1))
        in_box sh -c "$LISTING" /tmp/world >"$T/after" </dev/null
        cmp -s "$T/before" "$T/after" || fail "$name: $(diff "$T/before" "$T/after" | head -5)"
        in_box sh -c 'chmod -R u+rwx /tmp/world/dest 2>/dev/null; rm -rf /tmp/world/dest' </dev/null
    done <"$T/cases"
    echo "$taken of $count archives were taken"
    [ "$count" -ge 80 ] || fail "only $count archives"
    in_box sh -c "$elsewhere" </dev/null | diff "$T/elsewhere" - || fail "something else changed in the sandbox"
    sh -c "$LISTING" "$T/world" | cmp - "$T/host-before" || fail "something changed on this machine"
    [ ! -e /tmp/sbx-evil ] || fail "/tmp/sbx-evil"
    try 0 in_box true
}

# Keeps changing what it was given until the file `stop` is there: a directory that becomes a link and back, a file that
# grows and shrinks, names that come and go.
MUTATOR='cd "$0" && n=0 && while [ ! -e ../stop ]; do n=$((n + 1))
    mv d was; ln -s "$1" d; echo "$n" >>grows; mv comes goes 2>/dev/null || echo x >comes; rm d; mv was d
    : >grows; head -c "$((n % 7 * 9000))" /dev/zero >>grows; rm -f goes; ln -sf "$1/secret" f; rm -f f; echo plain >f; done'
make_source() {
    mkdir -p "$1/d/deep" "$1/still"
    (cd "$1" && echo inside >d/in && seq 2000 >still/lines && head -c 200000 /dev/urandom >still/bytes && echo plain >f &&
        for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"d/deep/$i"; done)
}

a_tree_that_changes_while_it_goes_up_brings_nothing_from_outside() {
    local i code taken=0 mutator
    new_box
    mkdir -p "$T/w/outside"
    echo TOP-SECRET >"$T/w/outside/secret"
    make_source "$T/w/src"
    sh -c "$MUTATOR" "$T/w/src" "$T/w/outside" 2>/dev/null &
    mutator=$!
    for i in $(seq 40); do
        code=0
        sbx cp "$T/w/src" "$BOX:/tmp/up$i" >"$T/out" 2>"$T/err" </dev/null || code=$?
        [ "$code" = 0 ] || [ "$code" = 125 ] || fail "exit status $code"
        [ "$code" = 0 ] || [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
        [ "$code" != 0 ] || in_box sh -c "cksum <'/tmp/up$i/still/bytes'" >>"$T/sums" </dev/null
        [ "$code" != 0 ] || taken=$((taken + 1))
    done
    : >"$T/w/stop"
    wait "$mutator"
    echo "$taken of 40 copies were whole"
    try 1 in_box grep -rlE TOP-SECRET /tmp
    [ "$taken" = 0 ] || [ "$(sort -u "$T/sums")" = "$(cksum <"$T/w/src/still/bytes")" ] || fail "a file that stood still changed"
    [ "$(ls -A "$T/w/outside")" = secret ] || fail "something came to the outside"
    # Now that nothing changes, the copy is exact.
    try 0 sbx cp "$T/w/src" "$BOX:/tmp/last"
    try 0 sbx cp "$BOX:/tmp/last" "$T/last"
    diff -r --no-dereference "$T/w/src" "$T/last" || fail "the last copy differs"
}

a_tree_that_changes_while_it_comes_down_changes_nothing_outside() {
    local i code taken=0
    new_box
    make_world "$T/world"
    make_source "$T/src"
    try 0 sbx cp "$T/src" "$BOX:/tmp/w/src"
    try 0 sbx job start "$BOX" sh -c "$MUTATOR" /tmp/w/src "$T/world"
    local job
    job=$(cat "$T/out")
    sh -c "$LISTING" "$T/world" >"$T/before"
    for i in $(seq 40); do
        code=0
        sbx cp "$BOX:/tmp/w/src" "$T/world/dest" >"$T/out" 2>"$T/err" </dev/null || code=$?
        [ "$code" = 0 ] || [ "$code" = 125 ] || fail "exit status $code"
        [ "$code" = 0 ] || [ "$(wc -l <"$T/err")" = 1 ] || fail "not one line"
        if [ "$code" = 0 ]; then
            taken=$((taken + 1))
            cmp "$T/src/still/bytes" "$T/world/dest/still/bytes" || fail "a file that stood still changed"
        else
            [ ! -e "$T/world/dest" ] || fail "a part was left"
        fi
        sh -c "$LISTING" "$T/world" >"$T/after"
        cmp -s "$T/before" "$T/after" || fail "$(diff "$T/before" "$T/after" | head -5)"
        rm -rf "$T/world/dest"
    done
    echo "$taken of 40 copies were whole"
    try 0 in_box touch /tmp/w/stop
    try 0 sbx wait "$BOX" "$job"
    try 0 sbx cp "$BOX:/tmp/w/src" "$T/world/dest"
    cmp "$T/src/still/bytes" "$T/world/dest/still/bytes" || fail "the last copy differs"
}

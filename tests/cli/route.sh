# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Which instance makes a sandbox: routes over two instances of local, and what happens when one is away.

# configure [LINE...]: "quick" and "roomy" are instances of local, and these lines follow
configure() {
    {
        printf '[sbx]\ndefault = quick\nplugin_path = %s\n' "$BUILD/tests/unit/direct"
        printf '[provider quick]\nplugin = local\n[provider roomy]\nplugin = local\n'
        printf '%s\n' "$@"
    } >"$T/sbx.ini"
    export SBX_CONFIG=$T/sbx.ini
}

# broken HOW: the lines of an instance "away" of the fixture provider, which fails in that way
broken() {
    [ -e "$BUILD/tests/unit/direct/direct.so" ] || skip "no fixture provider"
    mkdir -p "$T/boxes"
    printf '[provider away]\nplugin = direct\nroot = %s\nbad = %s' "$T/boxes" "$1"
}

# made_by INSTANCE OPTION...: create goes there, and the sandbox works
made_by() {
    local instance=$1
    shift
    new_box "$@"
    case $BOX in
    "$instance"/*) ;;
    *) fail "$BOX is not of $instance" ;;
    esac
    try 0 in_box true
}

a_route_leads_a_sandbox_to_its_instance() {
    configure '[route tagged]' 'label = size=big' 'label = team=a' 'use = roomy' \
        '[route able]' 'require = sbx.tty/1' 'use = roomy' '[route later]' 'label = size=big' 'use = quick'
    made_by quick
    made_by quick --label size=small --label team=a
    made_by quick --label size=big
    made_by roomy --label team=a --label size=big
    made_by roomy --require sbx.tty/1
    made_by quick --require sbx.tty/1 --provider quick
    try 0 sbx ls -q --label size=big
    [ "$(sort "$T/out" | cut -d/ -f1 | tr '\n' ' ')" = "quick roomy " ] || fail "not one of each"
    try 0 sbx run --label team=a --label size=big -- echo ran
    output ran
    try 0 sbx ls -q
    [ "$(wc -l <"$T/out")" = 6 ] || fail "not the six that were made"
}

a_sandbox_is_found_whatever_the_routes_say_now() {
    configure '[route all]' 'use = roomy'
    made_by roomy
    configure '[route all]' 'use = quick'
    try 0 in_box true
    try 0 sbx inspect "$BOX"
    try 0 sbx rm "$BOX"
    try 0 sbx ls -q
    output ''
}

the_next_instance_is_tried_when_one_is_away() {
    for how in open-fails create-unavailable; do
        configure "$(broken "$how")" '[route all]' 'use = away, roomy'
        made_by roomy
        try 0 sbx create
        errors_with "; trying roomy"
        try 0 sbx run -- echo ran
        output ran
    done
    configure "$(broken open-fails)" '[route all]' 'use = away'
    try 125 sbx create
    errors_with "create away: "
    try 125 sbx create --provider away
    errors_with "create away: "
    made_by roomy --provider roomy
}

an_engine_that_is_not_there_leaves_the_sandbox_to_local() {
    [ -e "$BUILD/lib/sbx/docker.so" ] || skip "no docker provider"
    configure '[provider engine]' 'plugin = docker' "host = unix://$T/nobody.sock" '[route all]' 'use = engine quick'
    made_by quick
    try 125 sbx create --provider engine
    errors_with "create engine: "
    try 0 sbx ls -q
    output "$BOX"
}

no_other_instance_is_tried_after_an_unknown_create() {
    for how in create-unknown create-maybe; do
        configure "$(broken "$how")" '[route all]' 'use = away roomy quick'
        try 125 sbx create
        errors_with "create away: "
        try 125 sbx create --json
        json_is false ok
        [ "$(json error resource_id)" != null ] || fail "nothing to ask about"
        try 125 sbx run -- echo ran
        [ ! -s "$T/out" ] || fail "it ran"
    done
    configure
    try 0 sbx ls -q
    output ''
}

routes_are_shown_and_checked() {
    configure '[route py]' 'image = python*' 'label = a=b' 'require = sbx.tty/1, sbx.fs/1' 'use = roomy, quick' \
        '[route rest]' 'use = quick'
    try 0 sbx providers
    grep -qE '^ROUTE +WHEN +USE$' "$T/out" || fail "no table of routes"
    grep -qE '^py +image python\*, label a=b, require sbx.tty/1, require sbx.fs/1 +roomy, quick$' "$T/out" || fail "py is not shown"
    grep -qE '^rest +always +quick$' "$T/out" || fail "rest is not shown"
    try 0 sbx config show
    grep -qxF '[route py]' "$T/out" || fail "py is not shown"
    grep -qxF "# $T/sbx.ini:8" "$T/out" || fail "no place"
    sed -n '/^\[route py\]/,$p' "$T/out" >"$T/shown"
    grep -qxF 'require = sbx.tty/1 sbx.fs/1' "$T/shown" || fail "require is not shown"
    configure "$(cat "$T/shown")"
    try 0 sbx providers --json
    routes_json
    try 0 sbx config show --json
    routes_json
    configure '[route py]' 'use = romy' 'imge = x'
    try 125 sbx config check
    errors_with "$T/sbx.ini:9: use names 'romy', which is no provider"
    errors_with "did you mean 'roomy'?"
    errors_with "$T/sbx.ini:10: unknown key 'imge' in [route]; did you mean 'image'?"
    configure
    try 0 sbx providers
    ! grep -q ROUTE "$T/out" || fail "a table without routes"
}

routes_json() {
    json_is '"py"' routes 0 name
    json_is '"python*"' routes 0 image
    json_is '["a=b"]' routes 0 labels
    json_is '["sbx.tty/1", "sbx.fs/1"]' routes 0 require
    json_is '["roomy", "quick"]' routes 0 use
    json_is "\"$T/sbx.ini\"" routes 0 file
    json_is null routes 1 image
    json_is '[]' routes 1 labels
}

# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2013
# The manual page says what the tables say.

# The page as plain words, one line of it a line.
plain_page() { sed -e 's/\\f[BIR]//g' -e 's/\\-/-/g' "$SOURCE/docs/man/sbxctl.1"; }
table_commands() { sbx help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }
# The options that help lists for a command, as "-e, --env NAME[=VALUE]".
table_options() { sbx help "$1" | sed -n 's/^ *\(\(-[a-z], \)\{0,1\}--[a-z-]*\( [^ ]\{1,\}\)\{0,1\}\)  *[^ ].*/\1/p'; }
# Those that the page lists for it.
page_options() {
    plain_page | awk -v command="$1" '
        /^\.SS Options of every command/ { on = 1; next }
        /^\.SS Options of / {
            sub(/^\.SS Options of /, ""); on = 0
            n = split($0, names, ", ")
            for (i = 1; i <= n; i++) on = on || names[i] == command
            next
        }
        /^\.SH/ { on = 0 }
        on && /^(-[a-z], )?--[a-z]/'
}

manual_lists_every_command() {
    local command count=0
    for command in $(table_commands); do
        count=$((count + 1))
        sbx help "$command" | sed -n '1s/^usage: sbxctl \([a-z-]*\) \[OPTION...\]/\1/p' >"$T/usage"
        plain_page | grep -qxF -- "$(cat "$T/usage")" || fail "no line '$(cat "$T/usage")' in the page"
    done
    [ "$count" -ge 12 ] || fail "only $count commands"
}

manual_lists_exactly_the_options_of_each_command() {
    local command
    for command in $(table_commands); do
        table_options "$command" | sort >"$T/table"
        page_options "$command" | sort >"$T/page"
        [ -s "$T/table" ] || fail "no options of $command"
        diff "$T/table" "$T/page" || fail "help and page differ for $command"
    done
}

# listed FROM TO: the words between two lines of sbx.ini(5)
listed() {
    sed -n "/^$1/,/^$2/p" "$SOURCE/docs/man/sbx.ini.5" | sed -n 's/^\.BR\{0,1\} //p' | sed 's/\\-/-/g; s/[",]/ /g' | tr -s ' ' '\n' |
        grep -x '[a-z-]*' | grep -vx and
}

manual_lists_the_operations_and_codes_of_faults() {
    local one
    listed 'The operations are' 'Calls that' | sort >"$T/page"
    # Each is one that a call of a provider goes by.
    sed -n 's/.*\(tap_begin\|begin_job\)(.*, "\([a-z-]*\)".*/\2/p' "$SOURCE"/host/tap*.c | sort >"$T/calls"
    diff "$T/page" "$T/calls" || fail "the page does not list the calls"
    while read -r one; do
        printf '[provider local]\nplugin = local\nfault = %s error=busy\n' "$one"
    done <"$T/page" | sed '4,${/^\[/d;/^plugin/d}' >"$T/my.ini"
    [ "$(grep -c fault "$T/my.ini")" -ge 38 ] || fail "operations are missing"
    listed 'The codes are' '\.TP' >"$T/codes"
    [ "$(wc -l <"$T/codes")" -ge 17 ] || fail "codes are missing"
    sed 's/.*/fault = * error=&/' "$T/codes" >>"$T/my.ini"
    try 0 sbx --config "$T/my.ini" config check
}

manual_lists_the_exit_codes() {
    local code
    for code in 0 124 125 126 127; do
        plain_page | sed -n '/^\.SH EXIT STATUS/,/^\.SH JSON/p' | grep -qx "\.B $code" || fail "no $code"
    done
    plain_page | grep -q '^\.BI 128+ N' || fail "no 128+N"
    plain_page | grep -q 'no such sandbox' || fail "no fixed words"
}

completion_knows_every_command_and_option() {
    local command word
    try 0 sbx completion fish
    for command in $(table_commands); do
        grep -q -- "-a $command -d" "$T/out" || fail "fish does not know $command"
        for word in $(table_options "$command" | grep -o -- '--[a-z-]*'); do
            grep -qE -- "from $command' .*-l ${word#--} " "$T/out" || fail "fish does not know $command $word"
        done
    done
    try 0 sbx completion zsh
    grep -q bashcompinit "$T/out" || fail "zsh is not told how"
    cp "$T/out" "$T/out.zsh"
    try 0 sbx completion bash
    bash -n "$T/out" || fail "bash does not read it"
    # shellcheck source=/dev/null
    . "$T/out"
    COMP_WORDS=(sbxctl exe) COMP_CWORD=1
    _sbxctl
    [ "${COMPREPLY[*]}" = exec ] || fail "exe became '${COMPREPLY[*]}'"
    COMP_WORDS=(sbxctl --json run --net) COMP_CWORD=3
    _sbxctl
    [ "${COMPREPLY[*]}" = "--network --network-allow" ] || fail "--net became '${COMPREPLY[*]}'"
    # The value of an option is none of the words.
    COMP_WORDS=(sbxctl --config a.ini exe) COMP_CWORD=3
    _sbxctl
    [ "${COMPREPLY[*]}" = exec ] || fail "exe behind a value became '${COMPREPLY[*]}'"
    COMP_WORDS=(sbxctl --config "=" a.ini job -e A "=" B st) COMP_CWORD=9
    _sbxctl
    [ "${COMPREPLY[*]}" = start ] || fail "st behind A=B became '${COMPREPLY[*]}'"
    COMP_WORDS=(sbxctl --config "=" a.ini job --deadline 5 st) COMP_CWORD=7
    _sbxctl
    [ "${COMPREPLY[*]}" = start ] || fail "st behind values became '${COMPREPLY[*]}'"
    COMP_WORDS=(sbxctl run --image r) COMP_CWORD=3
    _sbxctl
    [ "${COMPREPLY[*]}" = "" ] || fail "a value became '${COMPREPLY[*]}'"
    COMP_WORDS=(sbxctl files g) COMP_CWORD=2
    _sbxctl
    [ "${COMPREPLY[*]}" = "grep glob" ] || fail "files g became '${COMPREPLY[*]}'"
    # zsh is not everywhere; what it would stumble over is known.
    ! grep -q mapfile "$T/out" || fail "zsh has no mapfile"
    if command -v zsh >/dev/null; then
        try 0 zsh -fc 'autoload -U compinit && compinit -D -u; . "$0"; emulate sh; COMP_WORDS=(sbxctl exe); COMP_CWORD=1
            _sbxctl; printf "%s\n" "${COMPREPLY[@]}"' "$T/out.zsh"
        grep -qx exec "$T/out" || fail "zsh does not complete exe"
    fi
    bad "completion: 'tcsh' is none of bash, zsh and fish" completion tcsh
}

manual_and_completion_know_every_action() {
    local command action count=0
    try 0 sbx completion fish
    for command in job files tunnel; do
        for action in $(sed -n "s/.*-n '__fish_seen_subcommand_from $command' -a '\(.*\)'$/\1/p" "$T/out"); do
            count=$((count + 1))
            plain_page | grep -q "^$command $action ID" || fail "no '$command $action' in the page"
            sbx help "$command" | grep -q "^$command $action ID" || fail "no '$command $action' in the help"
        done
    done
    [ "$count" -ge 18 ] || fail "only $count actions"
}

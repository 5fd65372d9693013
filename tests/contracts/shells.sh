# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 111-117: named shells.

in_shell() { sbx shell "$BOX" "$@"; }

named_shell_keeps_directory_variables_and_functions() {
    new_box
    try 0 in_shell work 'cd /tmp; A="two  words"; export B=seen; greet() { echo "hello $1"; }; set -- x y'
    try 0 in_shell work 'pwd; echo "$A"; sh -c "echo \$B"; greet you; echo "$#"'
    exact <<'END'
/tmp
two  words
seen
hello you
2
END
    try 0 in_shell work 'umask 077; alias_file=$PWD/f; : >"$alias_file"'
    try 0 in_shell work 'stat -c %a "$alias_file"'
    output 600
}

shell_runs_one_command_at_a_time_in_the_order_asked() { lib_case shell_order; }

command_given_up_while_it_waits_for_its_shell_never_runs() { lib_case shell_queue_is_left; }

shell_of_a_name_is_one_and_other_names_are_others() {
    new_box
    try 0 in_shell one 'A=1; cd /tmp'
    try 0 in_shell two 'A=2'
    try 0 in_shell one 'echo "$A $PWD $$"'
    local first
    first=$(cat "$T/out")
    try 0 in_shell one 'echo "$A $PWD $$"'
    output "$first"
    [ "${first% *}" = "1 /tmp" ] || fail "the shell has '$first'"
    try 0 in_shell two 'echo "$A $PWD"'
    output "2 /workspace"
    [ "$(sbx shell "$BOX" two 'echo $$')" != "${first##* }" ] || fail "two names, one shell"
    lib_case shell_names
}

command_of_a_shell_has_its_own_exit_code_and_streams() {
    new_box
    try 0 in_shell s 'true'
    try 3 in_shell s '(exit 3)'
    try 127 in_shell s 'no-such-program-here'
    try 1 in_shell s 'false'
    try 0 in_shell s 'echo out; echo err >&2'
    output out
    exact err <<<err
    try 139 in_shell s 'sh -c "kill -SEGV \$\$"'
    try 0 in_shell s 'printf "a\000\377b"'
    printf 'a\000\377b' | exact
}

exit_and_death_of_a_shell_are_told_and_the_next_use_is_fresh() {
    new_box
    try 0 in_shell s 'A=1'
    try 125 in_shell s 'echo before; exit 7'
    output before
    one_error_line
    errors_with "'s'"
    try 0 in_shell s 'echo "<$A>"'
    output '<>'
    try 0 in_shell s 'A=2'
    try 125 in_shell s 'kill -9 $$'
    one_error_line
    try 0 in_shell s 'echo "<$A>"'
    output '<>'
    # Another shell has noticed nothing.
    try 0 in_shell t 'B=3'
    try 125 in_shell s 'exec true'
    try 0 in_shell t 'echo $B'
    output 3
}

closing_an_unknown_or_closed_shell_is_an_error_of_its_own() {
    new_box
    try 125 sbx shell --close "$BOX" never
    errors_with never
    try 125 sbx shell --close --json "$BOX" never
    json_has code '"file_not_found"'
    try 0 in_shell s 'A=1'
    try 0 sbx shell --close "$BOX" s
    no_errors
    try 125 sbx shell --close --json "$BOX" s
    json_has code '"file_not_found"'
    try 0 in_shell s 'echo "<$A>"'
    output '<>'
    try 125 sbx shell --close "$PROVIDER/000000000000" s
    errors_with "no such sandbox"
}

output_of_a_shell_is_exact() {
    new_box
    try 0 in_shell s 'printf "\n\n  lead\n\ttab\r\n\n"'
    printf '\n\n  lead\n\ttab\r\n\n' | exact
    try 0 in_shell s 'printf x'
    printf x | exact
    try 0 in_shell s ':'
    [ ! -s "$T/out" ] && [ ! -s "$T/err" ] || fail "something was printed by nothing"
    try 0 in_shell s '# a comment'
    [ ! -s "$T/out" ] || fail "something was printed by a comment"
    try 0 in_shell s 'PS1="prompt> "; set -o | head -0; echo "$ "'
    printf '$ \n' | exact
    no_errors
    # What another command is not: two lines, quotes, a here-document.
    try 0 in_shell s $'cat <<E\n  it\'s "so" $((1+1))\n\nE\necho end'
    exact <<'END'
  it's "so" 2

end
END
    try 0 in_shell s 'head -c 500000 /dev/zero'
    [ "$(wc -c <"$T/out")" = 500000 ] || fail "$(wc -c <"$T/out") of 500000 bytes"
}

# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2154
# Contracts 122-126: streaming, cancelling, concurrency.

streaming_pieces_come_in_order_as_they_are_written() { lib_case streaming; }
failing_callback_does_not_break_the_sandbox() { lib_case callback_stops; }

cancelling_the_caller_kills_the_command() {
    local way
    new_box
    for way in op fd free; do
        new_marker
        lib_case cancel "$BOX" "$way" "$MARK"
        marker_gone "$MARK" 3
        box_clean "$MARK"
    done
    try 0 in_box true
}

several_sandboxes_at_once_are_independent() { lib_case many_boxes; }
several_execs_at_once_in_one_sandbox() { lib_case many_execs; }
library_works_from_several_threads() { lib_case many_threads; }
event_loop_is_never_blocked() { lib_case event_loop; }

cli_execs_in_parallel_do_not_mix() {
    new_box
    local i pids=()
    for i in $(seq 16); do
        sh_box "for k in 1 2 3 4 5; do echo $i; done; exit $i" >"$T/o$i" 2>"$T/e$i" &
        pids+=($!)
    done
    for i in $(seq 16); do
        wait "${pids[$((i - 1))]}"
        [ $? = "$i" ] || fail "exec $i has another exit status"
        [ "$(sort -u "$T/o$i")" = "$i" ] && [ "$(wc -l <"$T/o$i")" = 5 ] || fail "exec $i has another output"
    done
}

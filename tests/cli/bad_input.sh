# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What sbxctl refuses before it does anything: one line that names the thing and says what to do, exit code 125.

bad_words_of_the_command_line() {
    bad "no command given; 'sbxctl help' lists them"
    bad "no such command 'frobnicate'; 'sbxctl help' lists them" frobnicate
    bad "no such command 'exce'; did you mean 'exec'?" exce x -- true
    bad "no such command 'craete'; did you mean 'create'?" craete
    bad "no such command 'prov'; did you mean 'providers'?" prov
    bad "unknown option '--frobnicate'; 'sbxctl help' lists them" --frobnicate ls
    bad "option '--image' belongs behind its command" --image x run true
    bad "ls: unknown option '--lable'; did you mean '--label'?" ls --lable a=b
    bad "ls: unknown option '--frobnicate'; 'sbxctl help ls' lists them" ls --frobnicate
    bad "ls: unknown option '-z'; 'sbxctl help ls' lists them" ls -z
    bad "exec: unknown option '-x'; 'sbxctl help exec' lists them" exec -itx local/a true
    bad "rm: unknown option '--timeout'; 'sbxctl help rm' lists them" rm --timeout 3 x
    bad "ls: option '--label' wants a value: --label KEY[=VALUE]" ls --label
    bad "run: option '--cwd' wants a value: --cwd DIRECTORY" run -w
    bad "run: option '--name' wants a value: --name NAME" run --name --quiet true
    bad "run: option '--name' wants a value: --name NAME" run --name -- true
    bad "ls: option '--json' takes no value" ls --json=yes
    bad "help: no such command 'exce'; did you mean 'exec'?" help exce
    bad "help: no such command 'frobnicate'; 'sbxctl help' lists them" help frobnicate
}

bad_numbers_of_arguments() {
    bad "run: missing argument; usage: sbxctl run [OPTION...] [--] COMMAND [ARG...]" run
    bad "run: missing argument; usage: sbxctl run [OPTION...] [--] COMMAND [ARG...]" run --
    bad "exec: missing argument; usage: sbxctl exec [OPTION...] ID [--] COMMAND [ARG...]" exec local/a
    bad "exec: missing argument; usage: sbxctl exec [OPTION...] ID [--] COMMAND [ARG...]" exec local/a --
    bad "cp: missing argument; usage: sbxctl cp [OPTION...] SOURCE TARGET" cp x
    bad "cp: too many arguments, beginning with 'c'; usage: sbxctl cp [OPTION...] SOURCE TARGET" cp a b c
    bad "create: too many arguments, beginning with 'x'; usage: sbxctl create [OPTION...]" create x
    bad "ls: too many arguments, beginning with 'x'; usage: sbxctl ls [OPTION...]" ls x
    bad "rm: missing argument; usage: sbxctl rm [OPTION...] ID..." rm
    bad "inspect: missing argument; usage: sbxctl inspect [OPTION...] ID..." inspect
    bad "version: too many arguments, beginning with 'x'; usage: sbxctl version [OPTION...]" version x
    bad "config: 'frob' is none of check, files and show" config frob
}

bad_words_for_jobs() {
    bad "job: missing argument; usage: sbxctl job [OPTION...] ACTION ID [ARG...]" job start
    bad "job: 'stop' is none of start, ls, info, wait, logs, kill, signal, feed and forget" job stop local/a
    bad "job: missing argument; usage: sbxctl job [OPTION...] start ID [--] COMMAND [ARG...]" job start local/a --
    bad "job: missing argument; usage: sbxctl job [OPTION...] info ID JOB" job info local/a
    bad "job: too many arguments, beginning with 'c'; usage: sbxctl job [OPTION...] kill ID JOB" job kill local/a b c
    bad "job: option '--follow' has no meaning for 'ls'" job ls local/a --follow
    bad "job: option '--keep-stdin' has no meaning for 'wait'" job wait --keep-stdin local/a b
    bad "job: 'STOPP' is not a signal; write such as TERM or 15" job signal local/a b STOPP
    bad "job: '65' is not a signal; write such as TERM or 15" job signal local/a b 65
    bad "job: '' is not a signal; write such as TERM or 15" job signal local/a b ''
    bad "job: --keep: '0' keeps nothing; write such as 1M" job start --keep 0 local/a true
    bad "job: --keep: 'x' is not a size; write 1048576, 64K, 512M or 4G" job start --keep x local/a true
    bad "job: the command's name is empty" job start local/a ''
    bad "logs: --from needs --stream: each stream has bytes of its own" logs local/a b --from 3
    bad "logs: --from: '-3' is not a number of bytes" logs local/a b --stream stdout --from=-3
    bad "logs: --from: '99999999999999999999' is not a number of bytes" \
        logs local/a b --stream stdout --from 99999999999999999999
    bad "logs: --from: '' is not a number of bytes" logs local/a b --stream stdout --from=
    bad "logs: --stream: 'both' is neither stdout nor stderr" logs local/a b --stream both
    try 125 sbx logs local/a b --follow --json
    errors "sbxctl: logs: --follow and --json exclude each other; give one"
    bad "wait: nothing to wait for; name a job, or a state with --state" wait local/a
    bad "wait: a job and --state exclude each other; give one" wait local/a b --state running
    bad "wait: --state: no such state 'x'; write running, suspended, stopped or failed" wait local/a --state x
    try 125 sbx logs '' b
    errors "sbxctl: logs: the id is empty; 'sbxctl ls' lists sandboxes"
}

bad_words_for_files() {
    bad "files: 'rm' is none of ls, cat, write, edit, grep and glob" files rm local/a
    bad "files: missing argument; usage: sbxctl files [OPTION...] ACTION ID [ARG...]" files ls
    bad "files: missing argument; usage: sbxctl files [OPTION...] cat ID PATH" files cat local/a
    bad "files: missing argument; usage: sbxctl files [OPTION...] grep ID TEXT [PATH]" files grep local/a
    bad "files: too many arguments, beginning with 'c'; usage: sbxctl files [OPTION...] ls ID [DIRECTORY]" \
        files ls local/a b c
    bad "files: option '--old' has no meaning for 'cat'" files cat local/a b --old x
    bad "files: option '--limit' has no meaning for 'grep'" files grep --limit 3 local/a b
    bad "files: --offset: '-1' is not a number of lines" files cat --offset=-1 local/a b
    bad "files: --limit: 'all' is not a number of lines" files cat --limit all local/a b
    bad "files: --max-count: '0' finds nothing; write at least 1" files grep --max-count 0 local/a b
    bad "files: edit wants --old TEXT or --old-file FILE" files edit local/a b --new x
    bad "files: edit wants --new TEXT or --new-file FILE" files edit local/a b --old x
    bad "files: --old and --old-file exclude each other; give one" files edit local/a b --old x --old-file y --new z
    bad "files: --new-file: an empty value" files edit local/a b --old x --new-file=
    bad "files: --old-file and --new-file both want standard input; give one" \
        files edit local/a b --old-file - --new-file -
}

bad_words_for_shells_and_life() {
    bad "shell: missing argument; usage: sbxctl shell [OPTION...] ID [NAME [[--] COMMAND [ARG...]]]" shell
    try 125 sbx shell local/a
    errors "sbxctl: shell: no command for the shell; only from a terminal are commands read"
    try 125 sbx shell local/a b
    errors "sbxctl: shell: no command for the shell; only from a terminal are commands read"
    try 125 sbx shell --json local/a b
    errors "sbxctl: shell: --json needs a command"
    bad "shell: --close wants the name of a shell" shell --close local/a
    bad "shell: --close and a command exclude each other; give one" shell --close local/a b true
    bad "shell: the shell's name is empty" shell local/a '' true
    bad "keep-alive: --for: '0' is out of range; write a duration of at least 1s" keep-alive --for 0 local/a
    bad "keep-alive: --for: '4294967295.5' is out of range; write a duration of at least 1s" keep-alive --for 4294967295.5 local/a
    bad "suspend: too many arguments, beginning with 'b'; usage: sbxctl suspend [OPTION...] ID" suspend local/a b
}

bad_ports_and_sweeps() {
    bad "tunnel: '0' is not a port; write a number from 1 to 65535" tunnel local/a 0
    bad "tunnel: '65536' is not a port; write a number from 1 to 65535" tunnel local/a 65536
    bad "tunnel: '' is not a port; write a number from 1 to 65535" tunnel local/a ''
    bad "tunnel: 'x' is not a port; write a number from 0 to 65535" tunnel local/a 80 x
    bad "tunnel: '0' is not a port; write a number from 1 to 65535" tunnel create local/a 0
    bad "tunnel: missing argument; usage: sbxctl tunnel [OPTION...] create ID PORT" tunnel create local/a
    bad "tunnel: option '--public' has no meaning for 'ls'" tunnel ls --public local/a
    bad "tunnel: option '--public' has meaning for 'create' alone" tunnel --public local/a 80
    bad "ssh: option '--key' names no file" ssh --key= local/a
    # shellcheck disable=SC2016 # as it stands there
    for name in '/x/a"b' '/x/a\b' '/x/${HOME}'; do
        bad "ssh: --key: ssh takes no name with \", \\, \$ or a control character in it: '$name'" ssh --key "$name" local/a
    done
    bad "gc: too many arguments, beginning with 'x'; usage: sbxctl gc [OPTION...]" gc x
}

bad_durations() {
    local hint="is not a duration; write 30, 500ms, 1.5s, 5m, 1h or 2d"
    local word
    for word in '' x 5x 1.s .5 1e3 inf nan 0x10 '1 s' ' 1' +1 99999999999999999999 1.5.5 s 18446744073709551615d; do
        bad "exec: --timeout: '$word' $hint" exec --timeout "$word" local/a true
    done
    bad "exec: --timeout: '-1' is negative; give 0 or more" exec --timeout -1 local/a true
    bad "exec: --timeout: '-0.5s' is negative; give 0 or more" exec --timeout=-0.5s local/a true
    bad "exec: --timeout: '50d' is more than 49d; give 0 for no limit" exec --timeout 50d local/a true
    bad "create: --lifetime: '0' is out of range; write a duration of at least 1s" create --lifetime 0
    bad "create: --lifetime: '5000000d' is out of range; write a duration of at least 1s" create --lifetime 5000000d
    bad "create: --idle-timeout: 'soon' $hint" create --idle-timeout soon
    bad "ls: --deadline: 'x' $hint" ls --deadline x
}

bad_sizes_and_limits() {
    bad "run: --memory: 'lots' is not a size; write 1048576, 64K, 512M or 4G" run --memory lots true
    bad "run: --memory: '-1' is not a size; write 1048576, 64K, 512M or 4G" run -m -1 true
    bad "run: --memory: '512' is out of range; a bare number is bytes, write such as 512M" run -m 512 true
    bad "run: --disk: '5X' is not a size; write 1048576, 64K, 512M or 4G" run --disk 5X true
    bad "run: --cpus: '0' is not a number of processors; write 0.5, 1 or 2" run --cpus 0 true
    bad "run: --cpus: 'two' is not a number of processors; write 0.5, 1 or 2" run --cpus two true
    bad "run: --cpus: '-1' is not a number of processors; write 0.5, 1 or 2" run --cpus -1 true
    bad "run: --network: 'some' is neither none nor full" run --network some true
    bad "run: --network and --network-allow exclude each other; give one" run --network full --network-allow a true
}

bad_origins_and_empty_values() {
    bad "create: --image, --blueprint and --snapshot exclude each other; give one" create --image a --snapshot b
    bad "create: --image, --blueprint and --snapshot exclude each other; give one" create --image a --blueprint b
    bad "create: --image: an empty value" create --image ''
    bad "create: --provider: an empty value" create --provider=
    bad "create: --name: an empty value" create --name ''
    bad "create: --require: an empty value" create --require ''
    bad "exec: --cwd: an empty value" exec -w '' local/a true
    bad "exec: --user: an empty value" exec -u '' local/a true
    bad "exec: the command's name is empty" exec local/a ''
    bad "run: the command's name is empty" run -- ''
    bad "rm: an id is empty; 'sbxctl ls' lists sandboxes" rm a ''
    bad "ls: option '--config' names no file" ls --config ''
}

bad_environments() {
    bad "exec: --env: '=x' has no name; write NAME=VALUE" exec -e =x local/a true
    bad "exec: --env: '' has no name; write NAME=VALUE" exec -e '' local/a true
    bad "exec: --env: 'SBX_NOT_SET' is not set here; write SBX_NOT_SET=VALUE" exec -e SBX_NOT_SET local/a true
    bad "exec: --env-file: '$T/none': No such file or directory" exec --env-file "$T/none" local/a true
    bad "exec: --env-file: '$T': Is a directory" exec --env-file "$T" local/a true
    printf 'A=1\n\n# fine\n=x\n' >"$T/env"
    bad "exec: --env-file: $T/env:4: '=x' has no name; write NAME=VALUE" exec --env-file "$T/env" local/a true
    printf 'A B=1\n' >"$T/env"
    bad "exec: --env-file: $T/env:1: white space in a name; write NAME=VALUE" exec --env-file "$T/env" local/a true
    printf 'SBX_NOT_SET\n' >"$T/env"
    bad "exec: --env-file: $T/env:1: 'SBX_NOT_SET' is not set here; write SBX_NOT_SET=VALUE" \
        exec --env-file "$T/env" local/a true
    printf 'A=\0001\n' >"$T/env"
    bad "exec: --env-file: '$T/env' holds a NUL byte; write text, one NAME=VALUE a line" exec --env-file "$T/env" local/a true
    head -c 1100000 /dev/zero | tr '\0' x >"$T/env"
    bad "exec: --env-file: '$T/env' is larger than 1 MiB" exec --env-file "$T/env" local/a true
    if [ "$(id -u)" != 0 ]; then
        chmod 000 "$T/env"
        bad "exec: --env-file: '$T/env': Permission denied" exec --env-file "$T/env" local/a true
    fi
}

bad_labels_options_and_states() {
    bad "create: --label: '=x' has no key; write KEY=VALUE" create -l =x
    bad "create: --option: 'x' has no value; write x=VALUE" create -o x
    bad "create: --option: '=1' has no key; write KEY=VALUE" create -o =1
    bad "ls: --state: no such state 'dead'; write running, suspended, stopped, failed, pending, suspending, resuming or unknown" \
        ls --state dead
}

bad_places_to_copy() {
    bad "cp: neither 'a' nor 'b' is in a sandbox; write ID:PATH for one of them" cp a b
    bad "cp: neither './a:b' nor '/c:d' is in a sandbox; write ID:PATH for one of them" cp ./a:b /c:d
    bad "cp: both 'x:/a' and 'y:/b' are in a sandbox; one of them has to be a local path or -" cp x:/a y:/b
    bad "cp: ':/a' names no sandbox; write ID:PATH" cp :/a b
    bad "cp: 'x:' names no path; write ID:PATH" cp x: b
    bad "cp: the local path is empty; write . for this directory" cp '' x:/a
    try 125 sbx --json cp x:/a -
    errors "sbxctl: cp: --json and - both want standard output; give one"
}

bad_pairs_of_options() {
    try 125 sbx exec --json -t local/a true
    errors "sbxctl: exec: --tty and --json exclude each other; give one"
    try 125 sbx exec --max-output 1M local/a true
    errors "sbxctl: exec: --max-output needs --json: without it nothing is kept"
    try 125 sbx exec --json --max-output 0 local/a true
    errors "sbxctl: exec: --max-output: '0' keeps nothing; write such as 1M"
}

a_steering_byte_in_a_message_is_shown_as_a_question_mark() {
    try 125 sbx $'fro\033[31mb\nx'
    errors "sbxctl: no such command 'fro?[31mb?x'; 'sbxctl help' lists them"
}

help_and_version_need_nothing() {
    local one word
    printf '[sbx\n' >"$T/broken.ini"
    export SBX_CONFIG=$T/broken.ini
    try 0 sbx version
    no_errors
    grep -qE '^sbxctl [0-9]+\.[0-9]+\.[0-9]+$' "$T/out" || fail "not a version"
    one=$(cat "$T/out")
    try 0 sbx --version
    output "$one"
    try 0 sbx version --json
    json_is true ok
    json_is "\"${one#sbxctl }\"" version
    for one in "help" "--help" "-h" "help run" "run --help" "exec -h" "help help"; do
        # shellcheck disable=SC2086 # words are meant
        try 0 sbx $one
        no_errors
        grep -q '^usage: sbxctl' "$T/out" || fail "no usage in '$one'"
    done
    try 0 sbx help
    one=$(cat "$T/out")
    for word in --help -h; do
        try 0 sbx "$word"
        output "$one"
    done
    try 0 sbx --help --json
    json_is '"run"' commands 0 name
    try 0 sbx help exec --json
    json_is '"exec"' commands 0 name
}

output_that_cannot_be_written_is_a_failure() {
    [ -c /dev/full ] || skip "no /dev/full"
    local code=0
    sbx help >/dev/full 2>"$T/err" || code=$?
    [ "$code" = 125 ] || fail "exit status $code"
    errors "sbxctl: help: standard output: No space left on device"
    code=0
    sbx version >&- 2>"$T/err" || code=$?
    [ "$code" = 125 ] || fail "exit status $code with a closed output"
}

an_error_line_is_one_write() {
    # A socket of messages keeps writes apart.
    python3 -c '
import socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
subprocess.call(sys.argv[1:], stderr=theirs)
theirs.close()
first, second = ours.recv(4096), ours.recv(4096)
print(first, second)
sys.exit(first[-1:] != b"\n" or second != b"")' "$SBXCTL" frobnicate >"$T/out" || fail "the line is several writes"
}

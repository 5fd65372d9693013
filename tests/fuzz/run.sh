#!/usr/bin/env bash
# run.sh PROGRAM SEEDS - lets a fuzz target search for SBX_FUZZ_SECONDS (20), beginning with the committed inputs. What
# it finds is printed, to be committed beside them.
set -u
program=$1 seeds=$2
folder=$(mktemp -d) || exit 1
[ ! -w /dev/shm ] || memory=$(mktemp -d /dev/shm/sbx-fuzz-XXXXXX) || memory=
trap 'rm -rf "$folder" ${memory:+"$memory"}' EXIT
export TMPDIR=${memory:-$folder}
export ASAN_OPTIONS=detect_leaks=1:handle_abort=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
mkdir "$folder/found" || exit 1
"$program" -max_total_time="${SBX_FUZZ_SECONDS:-20}" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$folder/" "$folder/found" "$seeds" 2>&1 | grep -v '^#[0-9]*[[:space:]]*\(NEW\|REDUCE\|pulse\|RELOAD\)'
code=${PIPESTATUS[0]}
for input in "$folder"/crash-* "$folder"/leak-* "$folder"/timeout-* "$folder"/oom-*; do
    [ ! -f "$input" ] || { echo "the input, in base64:"; base64 "$input"; }
done
exit "$code"

# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2013,SC2016
# docs/coverage.md names calls, commands and tests that are there, and leaves no method out.

# The methods that programs bring along; each has one row.
METHODS='SandboxBackend.create SandboxHandle.sandbox_id SandboxHandle.exec SandboxHandle.start_bg SandboxHandle.write_text
    SandboxHandle.read_text SandboxHandle.exists SandboxHandle.kill BgJob.pid BgJob.wait BgJob.kill ExecResult.exit_code
    ExecResult.stdout ExecResult.stderr
    Devbox.shell AsyncDevbox.shell NamedShell.exec NamedShell.exec_async AsyncNamedShell.exec AsyncNamedShell.exec_async
    Execution.result ExecutionResult.stdout ExecutionResult.success Devbox.net
    AsyncDevbox.id AsyncDevbox.get_info AsyncDevbox.await_running AsyncDevbox.await_suspended AsyncDevbox.shutdown
    AsyncDevbox.close AsyncDevbox.suspend AsyncDevbox.resume AsyncDevbox.keep_alive AsyncDevbox.snapshot_disk
    AsyncDevbox.snapshot_disk_async AsyncCommandInterface.exec AsyncCommandInterface.exec_async AsyncFileInterface.read
    AsyncFileInterface.write AsyncFileInterface.download AsyncFileInterface.upload
    AsyncNetworkInterface.create_ssh_key AsyncNetworkInterface.create_tunnel AsyncNetworkInterface.remove_tunnel
    SandboxBackendProtocol.id SandboxBackendProtocol.execute BackendProtocol.ls BackendProtocol.read BackendProtocol.write
    BackendProtocol.edit BackendProtocol.delete BackendProtocol.grep BackendProtocol.glob BackendProtocol.upload_files
    BackendProtocol.download_files'

# words TEXT: what stands between backticks
words() { grep -o '`[^`]*`' <<<"$1" | tr -d '`'; }

coverage_names_what_is_there_and_leaves_no_method_out() {
    local method calls command tests word count=0
    ctest --test-dir "$BUILD" -N | sed -n 's/^ *Test *#[0-9]*: //p' >"$T/tests"
    [ "$(wc -l <"$T/tests")" -gt 100 ] || fail "ctest knows no tests"
    cat "$SOURCE"/include/{sbx,sbx_access,sbx_tools}.h >"$T/headers"
    grep '^| `' "$SOURCE/docs/coverage.md" >"$T/rows"
    while IFS='|' read -r _ method calls command tests _; do
        count=$((count + 1))
        method=$(words "$method")
        grep -qwF -- "$method" <<<"$METHODS" || fail "'$method' is no method that this test knows"
        [ -n "$(words "$calls")" ] || fail "$method: no calls"
        [ -n "$(words "$tests")" ] || fail "$method: no tests"
        for word in $(words "$calls"); do
            grep -qE "^SBX_API .*[ *]$word\(" "$T/headers" || fail "$method: no function '$word'"
        done
        command=$(words "$command")
        sbx help "${command%% *}" >"$T/help" 2>&1 || fail "$method: no command '$command'"
        [ "$command" = "${command%% *}" ] || grep -q "^$command ID" "$T/help" || fail "$method: no action '$command'"
        for word in $(words "$tests"); do
            grep -qE "^([a-z0-9-]+\.)?$word\$" "$T/tests" || fail "$method: no test '$word'"
        done
    done <"$T/rows"
    for method in $METHODS; do
        [ "$(grep -cF "| \`$method\` |" "$T/rows")" = 1 ] || fail "not one row of $method"
    done
    [ "$count" = "$(wc -w <<<"$METHODS")" ] || fail "$count rows"
}

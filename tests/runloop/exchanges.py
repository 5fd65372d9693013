#!/usr/bin/env python3
"""exchanges.py FILE SEEDS - asks the double what the provider asks, and keeps the answers as fixtures: one object of
JSON a line, as record.py writes them, without headers, and each one as a seed for the fuzz targets. What the provider
makes of them stands in exchanges.said, which test_exchanges prints where it differs and somebody has to read."""
import json
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
import double  # noqa: E402  pylint: disable=wrong-import-position

KEPT = ("method", "target", "status", "type", "reply")
# What the provider asks for, by target, and the kinds of mapping.h that read it.
READ = ((r"/v1/devboxes\?", "devboxes", 1), (r"/v1/devboxes/disk_snapshots\?", "snapshots", 4),
        (r"/v1/devboxes/disk_snapshots/[^/]+/status$", "snapshot", 3), (r"/v1/devboxes/[^/]+$", "devbox", 0),
        (r"/v1/devboxes/[^/]+/executions/[^/]+$", "execution", 2), (r"/v1/devboxes/[^/]+/create_ssh_key$", "key", 5),
        (r"/v1/devboxes/[^/]+/executions/[^/]+/stream", "stream", None))
KEY = re.compile(r"(BEGIN EC PRIVATE KEY-----\\n).*(\\n-----END)")
OUTPUT = "printf 'gr\u00f6\u00dfe\\n'; sleep 0.3; printf 'a\\000b\\377'; echo problem >&2; exit 3"


def ask(service):
    """Every kind of answer that the provider reads."""
    def ok(method, path, body=None):
        answer = service.call(method, path, body)
        assert answer.status < 300 or answer.status == 408, answer.body
        return answer.json if "json" in answer.headers["content-type"] else None
    made = ok("POST", "/v1/devboxes", {"name": "mine", "metadata": {"sbx-instance": "runloop", "sbx-token": "t",
                                                                    "colour": "red"}})
    box = "/v1/devboxes/" + made["id"]
    ok("POST", box + "/wait_for_status", {"statuses": ["running"]})
    ok("GET", box)
    run = ok("POST", box + "/execute_async", {"command": OUTPUT})
    run = f"{box}/executions/{run['execution_id']}"
    ok("GET", run)
    ok("POST", run + "/wait_for_status", {"statuses": ["completed"]})
    ok("GET", run)
    ok("GET", run + "/stream_stdout_updates?offset=0")
    ok("GET", run + "/stream_stderr_updates?offset=0")
    killed = f"{box}/executions/" + ok("POST", box + "/execute_async", {"command": "sleep 60"})["execution_id"]
    service.turn(stream_idle_seconds=0.2)
    ok("GET", killed + "/stream_stdout_updates?offset=0")
    ok("POST", killed + "/kill", {"kill_process_group": True})
    ok("POST", killed + "/wait_for_status", {"statuses": ["completed"]})
    ok("GET", killed)
    ok("POST", box + "/create_ssh_key", {})
    ok("POST", box + "/enable_tunnel", {"auth_mode": "authenticated"})
    ok("GET", box)
    snapshot = ok("POST", box + "/snapshot_disk_async", {"name": "first", "metadata": {"sbx-instance": "runloop"}})
    snapshot = f"/v1/devboxes/disk_snapshots/{snapshot['id']}"
    while ok("GET", snapshot + "/status")["status"] != "complete":
        pass
    ok("GET", "/v1/devboxes/disk_snapshots?limit=100")
    ok("POST", box + "/suspend", {})
    ok("POST", box + "/wait_for_status", {"statuses": ["suspended"]})
    ok("GET", "/v1/devboxes?limit=100")
    ok("POST", box + "/shutdown", {})
    ok("GET", box)


def seed_of(kind, number, text):
    """(the target's name, its input). The first byte is the kind of a view, or the size of a stream's pieces."""
    if kind == "stream":
        return "events", b"\x0b" + text.encode()
    return "views", bytes([number]) + text.encode()


def main():
    with tempfile.TemporaryDirectory() as folder:
        record = os.path.join(folder, "record")
        service = double.Double(*double.TestCase.options, "--record", record, "--boxes", "directory", folder=folder)
        try:
            ask(service)
        finally:
            service.stop()
        with open(record, encoding="utf-8") as file:
            exchanges = [json.loads(line) for line in file]
    seen = set()
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        for one in exchanges:
            found = [(kind, number) for pattern, kind, number in READ if re.match(pattern, one["target"])]
            text = KEY.sub(r"\1AAAA\2", one["reply"].get("text", ""))
            if not found or one["status"] != 200 or one["method"] != "GET" and found[0][0] != "key" or (str(found), text) in seen:
                continue
            seen.add((str(found), text))
            one["reply"] = {"text": text}
            file.write(json.dumps({name: one[name] for name in KEPT}, ensure_ascii=False) + "\n")
            topic, seed = seed_of(*found[0], text)
            with open(os.path.join(sys.argv[2], topic, f"captured_{found[0][0]}_{len(seen)}"), "wb") as seeds:
                seeds.write(seed)


if __name__ == "__main__":
    main()

"""For tests: a double of the Runloop service that runs as long as the test, and calls to it."""
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "ak_test"


class Answer:
    """A reply as it came: json is what the body says, where it says something."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Double:
    """options: of its command line. folder: where it makes its own one."""

    def __init__(self, *options, folder=None):
        # Its stdin is our pipe, so that it ends with us whatever happens.
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "runloop"), "--key", KEY, "--lifetime", "300", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": folder} if folder else None)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        self.port = int(self.url.rpartition(":")[2])

    def stop(self):
        """Its exit code."""
        if self.process.stdin.closed:
            return self.process.returncode
        self.process.stdin.close()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(self, method, path, body=None, headers=None, key=KEY, connection=None, timeout=60):
        """One request. body: an object, bytes, or None for no body at all."""
        one = connection or self.connect(timeout)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, indent=2).encode()
        words = {"authorization": f"Bearer {key}", "content-type": "application/json", **(headers or {})}
        try:
            one.request(method, path, body, {name: value for name, value in words.items() if value is not None})
            reply = one.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            if connection is None:
                one.close()

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def turn(self, **settings):
        answer = self.post("/_double/settings", settings)
        assert answer.status == 200, answer.body

    def fault(self, **rule):
        answer = self.post("/_double/faults", rule)
        assert answer.status == 200, answer.body


class TestCase(unittest.TestCase):
    """A test with a double of its own. options: of its command line."""

    options = ("--set", "provisioning_seconds=0", "--set", "initializing_seconds=0", "--set", "suspending_seconds=0",
               "--set", "resuming_seconds=0", "--set", "snapshot_seconds=0", "--set", "build_seconds=0")
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="runloop-test.")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.double = Double(*self.options, folder=self.folder)
        self.addCleanup(self.double.stop)

    def ok(self, method, path, body=None, **more):
        answer = self.double.call(method, path, body, **more)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json if "json" in answer.headers.get("content-type", "") else answer.body

    def refused(self, status, method, path, body=None, **more):
        """The message of an error reply with that status."""
        answer = self.double.call(method, path, body, **more)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json["message"]

    def await_status(self, id, *statuses):
        return self.ok("POST", f"/v1/devboxes/{id}/wait_for_status",
                       {"statuses": list(statuses), "timeout_seconds": 30.0})

    def running(self, **wish):
        """The path of a devbox that runs."""
        made = self.ok("POST", "/v1/devboxes", wish)
        self.assertEqual(self.await_status(made["id"], "running", "failure")["status"], "running")
        return "/v1/devboxes/" + made["id"]

    def start(self, box, command, **more):
        """The path of a command that was started."""
        view = self.ok("POST", box + "/execute_async", {"command": command, **more})
        return f"{box}/executions/{view['execution_id']}"

    def home(self, box):
        return self.sync(box, "echo $HOME")["stdout"].strip()

    def completed(self, run, query=""):
        return self.ok("POST", f"{run}/wait_for_status{query}", {"statuses": ["completed"]})

    def sync(self, box, command, **more):
        return self.ok("POST", box + "/execute_sync", {"command": command, **more})

    def eventually(self, true, seconds=10):
        until = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), until, "it did not come true")
            time.sleep(0.02)


def events_of(text):
    """The events of a stream's text: [(name, data as JSON or as it is)]."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n")[:-1]:
        name, data = "", []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            if field == "event":
                name = value.strip()
            if field == "data":
                data.append(value[1:] if value.startswith(" ") else value)
        if data:
            joined = "\n".join(data)
            try:
                found.append((name, json.loads(joined)))
            except ValueError:
                found.append((name, joined))
    return found

"""The live checks, asked of the double: they find what the double is known to do, and leave nothing behind."""
import json
import os
import signal
import subprocess
import sys
import unittest

import live_questions
import provider
from provider import double

LIVE = os.path.join(provider.HERE, "live.py")
# What the double does unless it is told otherwise, each as a regular expression.
FOUND = {
    "await_running": "HTTP 200, running after [0-9.]+ s",
    "error_body": "HTTP 404, JSON with message",
    "request_id": "carried out again",
    "command_id": r"another one; again: the same run, output 'one\\n'",
    "execute_over_time": "HTTP 200, running",
    "offsets": "start; from offset 4 on comes 'bbbbcccc'",
    "utf8_edges": "never",
    "invalid_bytes": r"'a\\ufffdb\\x00c' in the stream, 'a\\ufffdb\\x00c' in the view",
    "silent_stream": "after [0-9]+ s by the event error .*408.*; [0-9]+ comments",
    "killed_run": r"completed, exit status 137, output 'begun\\n'",
    "own_signal": "exit status 139",
    "killed_in_queue": "HTTP 200, exit status 137, output ''",
    "background": "not within 3 s",
    "view_bytes": "262144 of 1980098 bytes, flagged",
    "stdin": r"text: HTTP 200, EOF: HTTP 200, exit status 0, output 'hello\\nend\\n'",
    "missing_parents": "write: HTTP 200 with exit status 1, upload: HTTP 400, 0 of 2 are there",
    "file_modes": "write [0-7]+, upload [0-7]+",
    "absolute_download": "HTTP 200",
    "command_length": "100000: exit status 0, 200000: exit status 126, 1000000: exit status 126",
    "unknown_property": "ignored",
    "idle_timer": "not asked: .*",
    "over_suspend": r"asleep: HTTP 400, then suspended; the run afterwards: 'kept\\n'",
    "after_shutdown": "shutdown; a command: HTTP 400, a shutdown: HTTP 200",
    "rate_headers": "x-should-retry|none seen",
    "sbx_create": "yes", "sbx_commands": "yes", "sbx_limits": "yes", "sbx_shells": "yes", "sbx_jobs": "yes",
    "sbx_files": "yes", "sbx_ways_in": "yes", "sbx_remove": "yes",
}
# The same, where the double is told otherwise.
OTHERWISE = {
    "request_id": ({"dedupe": True}, "the first answer again"),
    "command_id": ({"execution_id": "command_id"}, r"the command_id; again: the same run, output 'one\\n'"),
    "offsets": ({"offsets": "end"}, "end; from offset 4 on comes 'bbbbcccc'"),
    "silent_stream": ({"stream_idle_seconds": 0.0}, "not within 1 s; [0-9]+ comments"),
    "killed_run": ({"killed_exit_status": -1}, r"completed, exit status -1, output 'begun\\n'"),
    "background": ({"background_holds": False}, "yes"),
    "view_bytes": ({"view_bytes": 1000}, "1000 of 1980098 bytes, flagged"),
    "missing_parents": ({"make_parents": True}, "write: HTTP 200 with exit status 0, upload: HTTP 200, 2 of 2 are there"),
    "absolute_download": ({"absolute_downloads": False}, "HTTP 400"),
    "unknown_property": ({"closed_bodies": True}, "HTTP 400"),
    "after_shutdown": ({"second_shutdown": 404}, "shutdown; a command: HTTP 400, a shutdown: HTTP 404"),
}


class Live(provider.TestCase):
    def live(self, *words, **environment):
        return subprocess.run([sys.executable, "-B", LIVE, "--sbxctl", provider.SBXCTL, *words], check=False,
                              capture_output=True, text=True, timeout=100, env={**self.environment, **environment})

    def found(self, wanted, *words):
        done = self.live("--json", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        found = json.loads(done.stdout)["found"]
        self.assertEqual(sorted(found), sorted(wanted))
        for name, finding in wanted.items():
            self.assertRegex(found[name], f"^({finding})$", name)
        self.assertEqual(self.living(), [])

    def test_live_checks_find_what_the_double_does(self):
        self.double.turn(stream_idle_seconds=1, comment_seconds=0.4)
        self.found(FOUND, "--silent", "60")

    def test_live_checks_find_what_the_double_was_told_to_do(self):
        for _, (settings, _) in OTHERWISE.items():
            self.double.turn(**settings)
        words = [word for name in OTHERWISE for word in ("--only", name)]
        record = os.path.join(self.folder, "record")
        self.found({name: finding for name, (_, finding) in OTHERWISE.items()}, "--silent", "1", "--record", record,
                   *words)
        with open(record, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertIn("text/event-stream", {one["type"] for one in lines})
        self.assertTrue(all(sorted(one) == ["method", "reply", "status", "target", "type"] for one in lines))
        self.assertNotIn(double.KEY, json.dumps(lines))

    def test_live_checks_ask_nothing_without_a_key(self):
        done = self.live(RUNLOOP_API_KEY="")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("RUNLOOP_API_KEY is not set", done.stderr)
        self.assertEqual(self.requests(), [])

    def test_live_checks_that_are_interrupted_leave_nothing(self):
        client = subprocess.Popen([sys.executable, "-B", LIVE, "--sbxctl", provider.SBXCTL, "--only", "silent_stream"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        self.eventually(lambda: any("stream_stdout" in one["path"] for one in self.requests()), 60)
        client.send_signal(signal.SIGTERM)
        client.communicate(timeout=60)
        self.assertNotEqual(client.returncode, 0)
        self.assertEqual(self.living(), [])

    def test_live_checks_say_what_they_could_not_learn(self):
        self.double.turn(failing_creates=1)
        done = self.live("--only", "offsets")
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not run", done.stdout)
        self.double.fault(do="reply", status=500, path="*/download_file")
        done = self.live("--only", "killed_run", "--only", "absolute_download")
        self.assertEqual(done.returncode, 0)
        self.assertIn("HTTP 500", done.stdout)
        self.assertEqual([one for one in self.living() if one["status"] != "failure"], [])

    def test_live_checks_ask_every_question_once(self):
        names = [one.__name__ for one in live_questions.QUESTIONS]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(names) | {name for name in FOUND if name.startswith("sbx_")}, set(FOUND))


if __name__ == "__main__":
    unittest.main()

"""Every setting of the double in turn, and every kind of rule on every request that the provider makes: nothing ends in a
false success, nothing runs twice, nobody is late, and nobody asks in a hurry."""
import os
import sys
import time
import unittest

import provider

sys.path.insert(0, os.path.join(provider.HERE, "..", "servers", "runloop"))
import knobs  # noqa: E402  pylint: disable=wrong-import-position

DEADLINE_SECONDS = 20
GRACE_SECONDS = 6  # one is promised; the rest is for machines that do much else
LINES = "".join(f"line {n} \u00e4\n" for n in range(300)).encode()
PRINT = "i=0; while [ $i -lt 300 ]; do echo \"line $i \u00e4\"; i=$((i+1)); done"
DATA = bytes(range(256)) * 100
FAILS, LATE, MAY = {125}, {124}, {0, 125}
# Setting: the steps that are tried with it, and [(value, {step: how it may end, if not well})].
STATES = ("create", "run", "suspend", "resume", "snapshot", "remove")
RUNS = ("run", "code", "job")
FILES = ("write", "read")
SETTINGS = {
    "queued_seconds": (STATES, [(0.4, {})]),
    "provisioning_seconds": (STATES, [(0.4, {})]),
    "initializing_seconds": (STATES, [(0.4, {})]),
    "suspending_seconds": (STATES, [(0.4, {})]),
    "resuming_seconds": (STATES, [(0.4, {})]),
    "snapshot_seconds": (STATES, [(0.4, {})]),
    "build_seconds": (("create", "remove"), [(0.4, {})]),
    "await_running_seconds": (("create", "remove"), [(0.0, {})]),
    "stuck": (("create",), [("provisioning", {"create": LATE}), ("initializing", {"create": LATE})]),
    "failing_creates": (("create",), [(1, {"create": FAILS})]),
    "failure_reason": (("create", "remove"), [("out_of_disk", {})]),
    "failing_snapshots": (("snapshot",), [(1, {"snapshot": FAILS})]),
    "odd_status": (("create",), [("dreaming", {"create": LATE})]),
    "max_running": (("create",), [(1, {"create": FAILS | LATE})]),
    "hold_scale": (STATES, [(0.0, {})]),
    "second_shutdown": (("create", "remove", "remove"), [(404, {}), (400, {})]),
    "wait_should_retry": (RUNS, [(False, {})]),
    "last_n": (RUNS, [(1, {}), (0, {})]),
    "view_bytes": (RUNS, [(1, {})]),
    "output_bytes": (("run",), [(1000, {"run": LATE | FAILS})]),
    "offsets": (RUNS, [("end", {}), ("absent", {})]),
    "chunk_bytes": (RUNS, [(7, {})]),
    "comment_seconds": (RUNS, [(0.05, {}), (0.0, {})]),
    "stream_idle_seconds": (RUNS, [(0.1, {}), (0.0, {})]),
    "stream_form": (RUNS, [(form, {}) for form in knobs.CHOICES["stream_form"]]),
    "background_holds": (RUNS, [(False, {})]),
    "killed_exit_status": (("kill",), [(-1, {}), (None, {}), (0, {})]),
    "execution_id": (RUNS, [("command_id", {})]),
    "command_id_reuse": (RUNS, [(False, {})]),
    "exec_when_stopped": (("suspend", "asleep", "resume"), [(404, {}), (0, {"asleep": MAY, "resume": MAY})]),
    "retention_seconds": (RUNS, [(0.2, {"run": MAY, "code": MAY | {7}, "job": MAY})]),
    "keep_runs": (("suspend", "resume", *RUNS), [(False, {})]),
    "stdin_ends_run": (RUNS, [(True, {})]),
    "write_exit_status": (FILES, [(1, {})]),
    "make_parents": (FILES, [(True, {})]),
    "absolute_downloads": (FILES, [(False, {})]),
    "upload_idle_seconds": (FILES, [(0.5, {})]),
    "page_max": (("list",), [(100, {}), (1, {"list": FAILS})]),  # it may ask for more than one page holds
    "total_count": (("list",), [(False, {})]),
    "dedupe": (RUNS, [(True, {})]),
    "closed_bodies": ((*FILES, *STATES), [(True, {})]),
    "close_after": (RUNS, [(1, {})]),
    "close_silently_after": (RUNS, [(3, {"run": MAY, "code": {7, 125}, "job": MAY})]),
}
# What the provider asks for, and the step that does.
REQUESTS = (("POST", "/v1/devboxes", "create"), ("POST", "/v1/devboxes/*/wait_for_status", "create"),
            ("POST", "*/execute_async", "run"), ("GET", "*/stream_stdout_updates", "run"),
            ("GET", "*/stream_stderr_updates", "run"), ("GET", "/v1/devboxes/*/executions/*", "job"),
            ("POST", "*/executions/*/wait_for_status", "job"), ("POST", "*/upload_file", "write"),
            ("POST", "*/download_file", "read"), ("POST", "*/shutdown", "remove"), ("POST", "*/suspend", "suspend"),
            ("POST", "*/snapshot_disk_async", "snapshot"), ("GET", "/v1/devboxes", "list"))
RULES = {
    "reply": [{"status": 429, "headers": {"retry-after-ms": "50"}}, {"status": 503, "headers": {"retry-after-ms": "100"}},
              {"status": 500, "when": "after", "headers": {"x-should-retry": "false"}}, {"status": 200, "body": "{}"},
              {"status": 403}],
    "drop": [{"when": "before"}, {"when": "after"}, {"when": "after", "how": "reset"}],
    "cut": [{"bytes": 7}, {"bytes": 1, "how": "reset"}],
    "delay": [{"seconds": 0.3}, {"seconds": 0.3, "when": "after"}],
    "trickle": [{"bytes": 20, "seconds": 0.01}],
    "hang": [{}],
    "twice": [{}],
    "stream": [{"what": what, "at_byte": 500} for what in knobs.WORDS["what"]],
}


class Case(provider.TestCase):
    """Steps, each of which ends well only where all of it is so."""

    def setUp(self):
        super().setUp()
        self.box, self.count, self.there = self.devbox(), 0, set()

    def look(self, steps):
        """At what there is before anything is spoiled; a list has something to list."""
        if "list" in steps:
            for _ in range(2):
                self.devbox()
        self.there = {one["id"] for one in self.living()}

    def tried(self, name, allowed, why, seconds=DEADLINE_SECONDS):
        """Runs one step."""
        self.forget_requests()
        begin = time.monotonic()
        code, told = getattr(self, "step_" + name)("--deadline", str(seconds))
        took = time.monotonic() - begin
        wanted = {"code": {7}, "asleep": FAILS}.get(name, {0}) if allowed is None else allowed
        self.assertIn(code, wanted, (why, name, told))
        self.assertNotIn("sbxctl: option", told)
        self.assertLess(took, seconds + 1 + GRACE_SECONDS, (why, name))
        asked = len(self.requests())
        self.assertLess(asked, 4 * took + 16, (why, name))

    def step_create(self, *words):
        done = self.sbx("create", *words, "--provider", "runloop")
        if done.code == 0:
            self.box = done.out.decode().strip()
            self.assertEqual(self.ok("GET", self.native(self.box))["status"], "running")
        return done.code, done.err

    def step_run(self, *words):
        """It runs once at most, and its output is whole."""
        self.count += 1
        done = self.sbx("exec", *words, self.box, "--", "sh", "-c", f"echo x >>count{self.count}; {PRINT}")
        if done.code == 0:
            self.assertEqual((done.out, done.err), (LINES, ""))
        self.assertTrue(LINES.startswith(done.out), done.out)
        return done.code, done.err

    def step_code(self, *words):
        done = self.sbx("exec", *words, self.box, "--", "sh", "-c", "echo problem >&2; exit 7")
        if done.code == 7:
            self.assertEqual((done.out, done.err), (b"", "problem\n"))
        return done.code, done.err

    def step_job(self, *words):
        """A job, from its start to its output."""
        done = self.sbx("job", "start", *words, self.box, "--", "sh", "-c", f"{PRINT}; exit 5")
        if done.code != 0:
            return done.code, done.err
        job = done.out.decode().strip()
        done = self.sbx("wait", *words, self.box, job)
        if done.code != 5:
            self.assertNotEqual(done.code, 0, done.err)
            return done.code, done.err
        done = self.sbx("logs", *words, self.box, job)
        if done.code == 0:
            self.assertEqual(done.out, LINES)
        return done.code, done.err

    def step_kill(self, *words):
        done = self.sbx("exec", *words, "--timeout", "0.5", self.box, "--", "sleep", "60")
        return (0, "") if done.code == 124 and "timed out" in done.err else (done.code or 1, done.err)

    def step_asleep(self, *words):
        done = self.sbx("exec", *words, self.box, "--", "echo", "x")
        if done.code == 0:
            self.assertEqual(done.out, b"x\n")
        return done.code, done.err

    def step_write(self, *words):
        done = self.sbx("files", *words, "write", self.box, "a/b/f", data=DATA)
        if done.code == 0:
            self.assertEqual(self.must("files", "cat", self.box, "a/b/f"), DATA)
        return done.code, done.err

    def step_read(self, *words):
        self.must("files", "write", self.box, "a/b/g", data=DATA)
        done = self.sbx("files", *words, "cat", self.box, "a/b/g")
        if done.code == 0:
            self.assertEqual(done.out, DATA)
        return done.code, done.err

    def step_suspend(self, *words):
        done = self.sbx("suspend", *words, self.box)
        if done.code == 0:
            self.assertEqual(self.ok("GET", self.native(self.box))["status"], "suspended")
        return done.code, done.err

    def step_resume(self, *words):
        done = self.sbx("resume", *words, self.box)
        if done.code == 0:
            self.assertEqual(self.ok("GET", self.native(self.box))["status"], "running")
        return done.code, done.err

    def step_snapshot(self, *words):
        done = self.sbx("snapshot", *words, "create", self.box)
        if done.code == 0:
            name = done.out.decode().strip().partition("/")[2]
            self.assertEqual(self.ok("GET", f"/v1/devboxes/disk_snapshots/{name}/status")["status"], "complete")
        return done.code, done.err

    def step_remove(self, *words):
        done = self.sbx("rm", *words, self.box)
        if done.code == 0:
            self.assertEqual(self.ok("GET", self.native(self.box))["status"], "shutdown")
        return done.code, done.err

    def step_list(self, *words):
        """All, or a failure."""
        done = self.sbx("ls", *words, "-q", "--provider", "runloop")
        if done.code == 0:
            self.assertEqual({one.partition("/")[2] for one in done.out.decode().split()}, self.there)
        return done.code, done.err

    def ran_twice(self):
        """Whether some command ran more than once."""
        counts = self.must("exec", self.box, "--", "sh", "-c", "cat count* 2>/dev/null | wc -l").decode()
        return int(counts) > self.count


class Settings(Case):
    def turned(self, *steps):
        """Each setting of which those are the steps, at each of its other values."""
        for name, (tried, values) in SETTINGS.items():
            for value, ends in values if tried in steps else ():
                if "remove" in tried or "create" in tried:
                    self.box = self.devbox()
                self.look(tried)
                self.double.turn(**{name: value})
                late = any(LATE & how for how in ends.values())
                for step in tried:
                    self.tried(step, ends.get(step), (name, value), 2 if late else DEADLINE_SECONDS)
                self.double.turn(**{name: self.usual(name)})

    def usual(self, name):
        return 0.0 if name in ("provisioning_seconds", "initializing_seconds", "suspending_seconds",
                               "resuming_seconds", "snapshot_seconds", "build_seconds") else knobs.SETTINGS[name][0]

    def test_settings_of_states(self):
        self.turned(STATES, ("create", "remove"), ("create", "remove", "remove"))

    def test_settings_that_keep_a_devbox_from_running(self):
        self.turned(("create",), ("snapshot",), ("list",))

    def test_settings_of_commands(self):
        self.turned(RUNS, ("run",), ("kill",))
        self.assertFalse(self.ran_twice())

    def test_settings_of_files_and_sleep(self):
        self.turned(FILES, (*FILES, *STATES), ("suspend", "asleep", "resume"), ("suspend", "resume", *RUNS))


class Rules(Case):
    def spoiled(self, *steps):
        """Every rule on every request of those steps."""
        for method, path, step in REQUESTS:
            for do, variants in RULES.items() if step in steps else ():
                for rule in variants if do != "stream" or "stream" in path else ():
                    self.one(step, {"method": method, "path": path, "do": do, **rule})

    def one(self, step, rule):
        if step in ("remove", "suspend"):
            self.box = self.devbox()
        self.look((step,))
        self.double.fault(**rule)
        # What never comes, or comes to nothing, is waited for to the end.
        late = rule["do"] == "hang" or "body" in rule
        self.tried(step, {0, 124, 125}, rule, 2 if late else DEADLINE_SECONDS)
        self.ok("DELETE", "/_double/faults")
        if step == "run" and rule["do"] != "twice":
            self.assertFalse(self.ran_twice(), rule)
        if step in ("create", "remove", "suspend", "list"):
            for view in self.living():
                self.ok("POST", f"/v1/devboxes/{view['id']}/shutdown?force=true")

    def test_rules_on_create(self):
        self.spoiled("create", "list")

    def test_rules_on_commands(self):
        self.spoiled("run")

    def test_rules_on_jobs(self):
        self.spoiled("job")

    def test_rules_on_files(self):
        self.spoiled("write", "read")

    def test_rules_on_life(self):
        self.spoiled("suspend", "remove")

    def test_rules_on_snapshots(self):
        self.spoiled("snapshot")


class Table(unittest.TestCase):
    def test_every_knob_is_turned(self):
        self.assertEqual(sorted(SETTINGS), sorted(knobs.SETTINGS))
        self.assertEqual(sorted(RULES), sorted(knobs.RULES))
        steps = {tried for tried, _ in SETTINGS.values()}
        grouped = {STATES, ("create", "remove"), ("create", "remove", "remove"), ("create",), ("snapshot",), ("list",),
                   RUNS, ("run",), ("kill",), FILES, (*FILES, *STATES), ("suspend", "asleep", "resume"),
                   ("suspend", "resume", *RUNS)}
        self.assertEqual(steps - grouped, set())
        for name in ("when", "how", "what"):
            used = {rule.get(name) for variants in RULES.values() for rule in variants}
            self.assertEqual(set(knobs.WORDS[name]) - used - {"close"}, set(), name)
        for name, (_, values) in SETTINGS.items():
            self.assertNotIn(knobs.SETTINGS[name][0], [value for value, _ in values if name != "stream_form"], name)


if __name__ == "__main__":
    unittest.main()

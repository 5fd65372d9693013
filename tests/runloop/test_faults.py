"""The Runloop provider when the service, or the way to it, is at fault: never a false success, no byte lost or doubled,
no hurry, and never late."""
import time
import unittest

import provider

LINES = "".join(f"line {n} \u00e4\n" for n in range(3000)).encode()
PRINT = "i=0; while [ $i -lt 3000 ]; do echo \"line $i \u00e4\"; i=$((i+1)); done"
STREAM = "*/stream_stdout_updates"


class Streams(provider.TestCase):
    def setUp(self):
        super().setUp()
        self.box = self.devbox()

    def whole(self, **rule):
        """The output is whole and once, whatever that rule does to its stream."""
        self.double.fault(do="stream", path=STREAM, **rule)
        self.forget_requests()
        begin = time.monotonic()
        self.assertEqual(self.must("exec", self.box, "--", "sh", "-c", PRINT), LINES, rule)
        seen = [one["time"] for one in self.requests()]
        for first, fifth in zip(seen[3:], seen[8:]):  # the first three are the start
            self.assertGreater(fifth - first, 0.7, (rule, seen))
        return time.monotonic() - begin

    def everywhere(self, **rule):
        for offsets in ("start", "end"):
            self.double.turn(offsets=offsets)
            for at_byte in (0, 1, 8192, len(LINES) - 3):
                self.whole(at_byte=at_byte, **rule)

    def test_a_stream_that_ends_with_an_error_event_is_gone_on_with(self):
        self.everywhere(what="error", code=408)
        self.everywhere(what="error", code="500")

    def test_a_stream_that_ends_early_is_not_taken_for_the_end(self):
        self.everywhere(what="end")

    def test_a_stream_that_breaks_off_is_gone_on_with(self):
        self.everywhere(what="cut")
        self.everywhere(what="reset")

    def test_events_twice_or_cut_in_half_change_nothing(self):
        self.everywhere(what="repeat")
        self.everywhere(what="half")

    def test_nonsense_in_a_stream_is_no_output(self):
        self.everywhere(what="junk")

    def test_a_stream_that_falls_silent_is_left_soon_after_the_end(self):
        self.assertLess(self.whole(what="silence", at_byte=5000), 40)

    def test_a_stream_that_ends_early_again_and_again_is_paced(self):
        self.double.fault(do="stream", path="*_updates", what="end", at_byte=0, times=0)
        self.forget_requests()
        begin = time.monotonic()
        done = self.sbx("exec", self.box, "--", "sh", "-c", "echo x; sleep 3")
        self.assertNotEqual(done.code, 0)
        seconds = time.monotonic() - begin
        self.assertLess(len(self.requests()), 4 * seconds + 8)

    def test_every_form_of_an_event_is_understood(self):
        for form in ("crlf", "named", "multiline", "bytewise", "comments"):
            self.double.turn(stream_form=form, chunk_bytes=9000)
            self.assertEqual(self.must("exec", self.box, "--", "sh", "-c", PRINT), LINES, form)

    def test_offsets_may_be_absent(self):
        self.double.turn(offsets="absent")
        self.assertEqual(self.must("exec", self.box, "--", "sh", "-c", PRINT), LINES)
        self.whole(what="cut", at_byte=8192)

    def test_a_silent_command_outlives_many_streams(self):
        self.double.turn(stream_idle_seconds=0.3, comment_seconds=0.1)
        self.forget_requests()
        begin = time.monotonic()
        self.assertEqual(self.must("exec", self.box, "--", "sh", "-c", "sleep 3; echo end"), b"end\n")
        self.assertLess(len(self.requests()), 4 * (time.monotonic() - begin) + 8)


class Requests(provider.TestCase):
    def start_fault(self, **rule):
        self.double.fault(path="*/execute_async", **rule)

    def runs(self, box):
        return [one for one in self.ok("GET", self.native(box) + "/logs")["logs"] if one["source"] == "exec"]

    def test_a_command_whose_answer_is_lost_runs_once_and_is_unknown(self):
        box = self.devbox()
        for rule in ({"do": "drop", "when": "after"}, {"do": "drop", "when": "after", "how": "reset"},
                     {"do": "cut", "bytes": 20}, {"do": "reply", "status": 500, "when": "after"},
                     {"do": "reply", "status": 503, "when": "after"}):
            self.must("exec", box, "--", "rm", "-f", "count")
            self.start_fault(**rule)
            done = self.sbx("exec", box, "--", "sh", "-c", "echo x >>count")
            self.assertEqual(done.code, 125, (rule, done.err))
            time.sleep(0.3)
            self.assertLessEqual(len(self.sbx("exec", box, "--", "cat", "count").out), 2, rule)

    def test_a_command_that_was_surely_not_taken_is_asked_for_again(self):
        box = self.devbox()
        for rule in ({"status": 429, "headers": {"retry-after-ms": "50"}},
                     {"status": 429, "headers": {"retry-after": "1"}},
                     {"status": 503, "headers": {"x-should-retry": "true", "retry-after-ms": "50"}}):
            self.start_fault(do="reply", **rule)
            self.assertEqual(self.must("exec", box, "--", "echo", "x"), b"x\n")
        self.start_fault(do="reply", status=429, headers={"x-should-retry": "false"})
        self.assertEqual(self.sbx("exec", box, "--", "true").code, 125)

    def test_a_create_whose_answer_is_lost_makes_one_devbox(self):
        for rule in ({"do": "drop", "when": "after"}, {"do": "drop", "when": "before"}, {"do": "cut", "bytes": 9},
                     {"do": "reply", "status": 502, "when": "after"}, {"do": "twice"}):
            self.double.fault(method="POST", path="/v1/devboxes", **rule)
            box = self.devbox()
            if rule["do"] != "twice":
                self.assertEqual(len(self.living()), 1, rule)
            self.must("rm", box)
            for one in self.living():
                self.ok("POST", f"/v1/devboxes/{one['id']}/shutdown")

    def test_answers_that_are_no_json_or_too_long_are_told(self):
        box = self.devbox()
        for rule in ({"body": "<html>", "type": "text/html"}, {"body": "{\"devboxes\": 7}"}, {"body": ""},
                     {"body": "{\"devboxes\":[{\"id\":\"../x\"}]}"}, {"body": "[" * 5000}):
            self.double.fault(method="GET", path="/v1/devboxes", do="reply", status=200, **rule)
            self.assertNotEqual(self.sbx("ls", "--provider", "runloop").code, 0, rule)
        self.start_fault(do="reply", status=200, body="{\"execution_id\": \"a/b\"}")
        self.assertEqual(self.sbx("exec", box, "--", "true").code, 125)

    def test_a_service_that_hangs_makes_nobody_late(self):
        box = self.devbox()
        for path in ("*/execute_async", STREAM):
            self.double.fault(path=path, do="hang")
            begin = time.monotonic()
            done = self.sbx("exec", "--deadline", "2", box, "--", "echo", "x")
            self.assertLess(time.monotonic() - begin, 5)
            self.assertNotEqual(done.code, 0)

    def test_long_polls_that_answer_at_once_are_paced(self):
        self.double.turn(hold_scale=0.0, provisioning_seconds=2)
        self.forget_requests()
        begin = time.monotonic()
        self.devbox()
        self.assertLess(len(self.requests()), 4 * (time.monotonic() - begin) + 6)

    def test_an_odd_state_is_waited_out_and_never_taken_for_running(self):
        self.double.turn(odd_status="dreaming")
        begin = time.monotonic()
        done = self.sbx("create", "--deadline", "2", "--provider", "runloop")
        self.assertNotEqual(done.code, 0)
        self.assertLess(time.monotonic() - begin, 5)

    def test_short_failures_while_waiting_are_stood(self):
        box = self.devbox()
        job = self.must("job", "start", box, "--", "sh", "-c", "sleep 2; exit 4").decode().strip()
        self.double.fault(path="*/executions/*/wait_for_status", do="reply", status=503, times=2,
                          headers={"retry-after-ms": "100"})
        self.double.fault(path="*/executions/*/wait_for_status", do="drop")
        self.assertEqual(self.sbx("wait", box, job).code, 4)

    def test_old_connections_that_prove_dead_repeat_nothing(self):
        self.double.turn(close_silently_after=3)
        box = self.devbox()
        for _ in range(6):
            self.sbx("exec", box, "--", "sh", "-c", "echo x >>count")
        self.double.turn(close_silently_after=0)
        self.assertLessEqual(len(self.must("exec", box, "--", "cat", "count")), 12)

    def test_uploads_and_downloads_that_break_off_are_whole_or_told(self):
        box = self.devbox()
        for rule in ({"do": "drop", "when": "after"}, {"do": "drop", "when": "before"}, {"do": "cut", "bytes": 1},
                     {"do": "reply", "status": 408, "headers": {"retry-after-ms": "50"}}):
            self.double.fault(path="*/upload_file", **rule)
            self.must("files", "write", box, "f", data=LINES)
            self.double.fault(path="*/download_file", **rule)
            done = self.sbx("files", "cat", box, "f")
            self.assertTrue(done.out == LINES and done.code == 0 or done.code != 0, (rule, done.err))


if __name__ == "__main__":
    unittest.main()

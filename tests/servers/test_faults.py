"""The knobs of the Runloop double: each does what it says."""
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import unittest

import double
from test_commands import command_id

sys.path.insert(0, os.path.join(double.HERE, "runloop"))
import knobs


class Rules(double.TestCase):
    """Rules that spoil single requests."""

    def dropped(self, *words, **more):
        """A call that ends without a whole reply."""
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.double.call(*words, **more)

    def boxes(self):
        return len(self.ok("GET", "/v1/devboxes")["devboxes"])

    def test_a_reply_has_the_status_headers_and_body_of_the_rule(self):
        self.double.fault(do="reply", status=429,
                          headers={"retry-after": 2, "retry-after-ms": 50, "x-should-retry": "true"})
        answer = self.double.get("/v1/devboxes")
        self.assertEqual((answer.status, answer.headers["retry-after"], answer.headers["retry-after-ms"],
                          answer.headers["x-should-retry"]), (429, "2", "50", "true"))
        self.double.fault(do="reply", status=502, body="<html>bad</html>", type="text/html")
        answer = self.double.get("/v1/devboxes")
        self.assertEqual((answer.status, answer.body, answer.headers["content-type"]),
                         (502, b"<html>bad</html>", "text/html"))
        self.double.fault(do="reply", status=200, body="")
        self.assertEqual(self.double.get("/v1/devboxes").body, b"")
        self.assertEqual(self.double.get("/v1/devboxes").status, 200)

    def test_a_request_was_applied_or_not_before_its_reply_was_spoiled(self):
        for do, more in (("reply", {"status": 503}), ("drop", {}), ("drop", {"how": "reset"})):
            for when, made in (("before", 0), ("after", 1)):
                before = self.boxes()
                self.double.fault(do=do, method="POST", path="/v1/devboxes", when=when, **more)
                if do == "reply":
                    self.refused(503, "POST", "/v1/devboxes", {})
                else:
                    self.dropped("POST", "/v1/devboxes", {})
                self.assertEqual(self.boxes() - before, made, (do, when))

    def test_a_reset_is_a_reset(self):
        self.double.fault(do="drop", how="reset")
        with self.assertRaises(ConnectionResetError):
            self.double.get("/v1/devboxes")

    def test_a_reply_is_cut_after_so_many_bytes(self):
        for how in ("close", "reset"):
            self.double.fault(do="cut", bytes=5, how=how)
            with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                self.double.get("/v1/devboxes")
        self.double.fault(do="cut")
        self.dropped("GET", "/v1/devboxes")

    def test_a_delay_is_before_or_after_the_work(self):
        for when, made in (("before", 0), ("after", 1)):
            before = self.boxes()
            self.double.fault(do="delay", seconds=0.8, when=when, method="POST", path="/v1/devboxes")
            begun = time.monotonic()
            slow = threading.Thread(target=self.ok, args=("POST", "/v1/devboxes", {}))
            slow.start()
            time.sleep(0.3)
            self.assertEqual(self.boxes() - before, made)
            slow.join()
            self.assertGreater(time.monotonic() - begun, 0.7)

    def test_a_trickle_comes_in_pieces(self):
        self.double.fault(do="trickle", bytes=10, seconds=0.05)
        begun = time.monotonic()
        self.assertEqual(self.double.get("/v1/devboxes").json["devboxes"], [])
        self.assertGreater(time.monotonic() - begun, 0.2)

    def test_a_hanging_request_gets_no_answer(self):
        self.double.fault(do="hang")
        with self.assertRaises(TimeoutError):
            self.double.get("/v1/devboxes", timeout=0.5)
        self.assertEqual(self.double.get("/v1/devboxes").status, 200)

    def test_a_request_is_applied_twice(self):
        self.double.fault(do="twice", method="POST", path="/v1/devboxes")
        self.ok("POST", "/v1/devboxes", {})
        self.assertEqual(self.boxes(), 2)

    def test_rules_match_skip_count_and_can_be_cleared(self):
        self.double.fault(do="reply", status=500, method="GET", path="/v1/dev*", skip=1, times=2)
        self.assertEqual([self.double.get("/v1/devboxes").status for _ in range(4)], [200, 500, 500, 200])
        self.double.fault(do="reply", status=500, times=0)
        self.assertEqual([self.double.get("/v1/blueprints").status for _ in range(3)], [500] * 3)
        self.assertEqual([one["used"] for one in self.ok("GET", "/_double/faults")["faults"]], [2, 3])
        self.ok("DELETE", "/_double/faults")
        self.assertEqual(self.double.get("/v1/blueprints").status, 200)

    def test_wrong_rules_and_settings_are_refused(self):
        for rule in ({"do": "fly"}, {"do": "reply", "stauts": 5}, {"do": "reply", "status": "x"}, {},
                     {"do": "drop", "when": "never"}):
            self.refused(400, "POST", "/_double/faults", rule)
        for setting in ({"none": 1}, {"last_n": "x"}, {"dedupe": 1}, {"offsets": "middle"}, {"last_n": None},
                        {"last_n": True}):
            self.refused(400, "POST", "/_double/settings", setting)
        words = [sys.executable, "-B", os.path.join(double.HERE, "runloop"), "--set", "none=1"]
        done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual((done.returncode, "no setting 'none'" in done.stderr), (1, True))

    def test_requests_are_logged_without_the_key(self):
        self.double.get("/v1/devboxes?limit=3", headers={"x-request-id": "t"})
        entry = self.ok("GET", "/_double/requests")["requests"][0]
        self.assertEqual([entry[name] for name in ("method", "path", "query", "status")],
                         ["GET", "/v1/devboxes", {"limit": "3"}, 200])
        self.assertEqual(entry["headers"]["x-request-id"], "t")
        self.assertNotIn(double.KEY, str(entry))
        self.assertEqual(self.ok("GET", "/_double/requests?since=1")["requests"], [])
        self.ok("DELETE", "/_double/requests")
        self.assertEqual(self.ok("GET", "/_double/requests")["requests"], [])
        self.assertEqual(self.ok("GET", "/_double/state")["requests"], 1)
        self.assertEqual(self.ok("GET", "/_double/settings")["last_n"], 100)

    def test_exchanges_are_recorded_without_the_key(self):
        path = os.path.join(self.folder, "record")
        recorded = double.Double("--record", path)
        self.addCleanup(recorded.stop)
        self.double = recorded
        box = self.running()
        self.double.post(box + "/write_file_contents", {"file_path": "f", "contents": "x"})
        run = self.start(box, "echo ä")
        self.double.get(run + "/stream_stdout_updates")
        self.sync(box, "printf '\\377' >g")
        self.double.post(box + "/download_file", {"path": "g"})
        with open(path, encoding="utf-8") as file:
            text = file.read()
        entries = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([entries[0][name] for name in ("method", "target", "status")], ["POST", "/v1/devboxes", 200])
        self.assertEqual(json.loads(entries[0]["reply"]["text"])["id"], box.rpartition("/")[2])
        stream = [one for one in entries if "stream" in one["target"]][0]
        self.assertEqual(double.events_of(stream["reply"]["text"])[0][1]["output"], "ä\n")
        self.assertEqual(entries[-1]["reply"], {"base64": "/w=="})
        self.assertNotIn(double.KEY, text)

    def test_every_rule_and_setting_is_used_in_a_test(self):
        text = ""
        for name in os.listdir(double.HERE):
            if name.startswith("test_"):
                with open(os.path.join(double.HERE, name), encoding="utf-8") as file:
                    text += file.read()
        unused = [name for name in knobs.SETTINGS if not re.search(rf"\b{name}=", text)]
        unused += [name for names in (knobs.RULES, *knobs.WORDS.values()) for name in names if f'"{name}"' not in text]
        self.assertEqual(unused, [])


class Settings(double.TestCase):
    """Settings that hold for all requests. Those of states, streams and polls are also used elsewhere."""

    def test_states_last_as_long_as_set(self):
        self.double.turn(queued_seconds=0.4, provisioning_seconds=0.3, initializing_seconds=0.2)
        begun, id = time.monotonic(), self.ok("POST", "/v1/devboxes", {})["id"]
        for status, least in (("provisioning", 0.4), ("initializing", 0.7), ("running", 0.9)):
            self.await_status(id, status)
            self.assertGreater(time.monotonic() - begun, least - 0.02)
        self.double.turn(suspending_seconds=0.3, resuming_seconds=0.3)
        for call, during, after in (("suspend", "suspending", "suspended"), ("resume", "resuming", "running")):
            begun = time.monotonic()
            self.assertEqual(self.ok("POST", f"/v1/devboxes/{id}/{call}")["status"], during)
            self.await_status(id, after)
            self.assertGreater(time.monotonic() - begun, 0.28)

    def test_devboxes_get_stuck(self):
        for status in ("queued", "provisioning", "initializing"):
            self.double.turn(stuck=status)
            id = self.ok("POST", "/v1/devboxes", {})["id"]
            self.await_status(id, status)
            time.sleep(0.2)
            self.assertEqual(self.ok("GET", "/v1/devboxes/" + id)["status"], status)
            self.assertEqual(self.ok("POST", f"/v1/devboxes/{id}/shutdown")["status"], "shutdown")
        self.double.turn(stuck="suspending")
        box = self.running()
        self.ok("POST", box + "/suspend")
        time.sleep(0.3)
        self.assertEqual(self.ok("GET", box)["status"], "suspending")
        self.double.turn(stuck="resuming")
        self.await_status(box.rpartition("/")[2], "suspended")
        self.ok("POST", box + "/resume")
        time.sleep(0.3)
        self.assertEqual(self.ok("GET", box)["status"], "resuming")

    def test_creates_and_snapshots_fail(self):
        self.double.turn(failing_creates=1, failing_snapshots=1, failure_reason="out_of_disk")
        id = self.ok("POST", "/v1/devboxes", {})["id"]
        self.assertEqual(self.await_status(id, "failure")["failure_reason"], "out_of_disk")
        box = self.running()
        made = self.ok("POST", box + "/snapshot_disk_async")["id"]
        state = f"/v1/devboxes/disk_snapshots/{made}/status"
        self.eventually(lambda: self.ok("GET", state)["status"] == "error")
        self.assertTrue(self.ok("GET", state)["error_message"])
        self.refused(409, "POST", f"/v1/devboxes/disk_snapshots/{made}/delete")
        self.ok("POST", box + "/snapshot_disk")

    def test_a_devbox_can_be_ended_by_the_test(self):
        for status, reason in (("failure", "out_of_memory"), ("shutdown", "ttl_expired")):
            box = self.running()
            self.ok("POST", f"/_double/{box.partition('/v1/')[2]}/end", {"status": status, "reason": reason})
            view = self.ok("GET", box)
            self.assertEqual((view["status"], view[status + "_reason"]), (status, reason))

    def test_an_unknown_status_is_shown(self):
        box = self.running()
        self.double.turn(odd_status="hibernating")
        self.assertEqual(self.ok("GET", box)["status"], "hibernating")

    def test_there_is_a_most_of_devboxes(self):
        self.double.turn(max_running=1)
        box = self.running()
        self.refused(429, "POST", "/v1/devboxes", {})
        self.ok("POST", box + "/shutdown")
        self.running()

    def test_long_polls_answer_at_once(self):
        box = self.running()
        self.double.turn(hold_scale=0, wait_should_retry=False)
        begun = time.monotonic()
        self.refused(408, "POST", box + "/wait_for_status", {"statuses": ["shutdown"]})
        answer = self.double.post(self.start(box, "sleep 9") + "/wait_for_status", {"statuses": ["completed"]})
        self.assertEqual((answer.status, answer.headers["x-should-retry"]), (408, None))
        run = self.ok("POST", box + "/execute", {"command": "sleep 9", "command_id": command_id()})
        self.assertIn(run["status"], ("queued", "running"))
        self.assertLess(time.monotonic() - begun, 2)

    def test_create_and_await_running_holds_so_long(self):
        self.double.turn(stuck="provisioning", await_running_seconds=0.3)
        begun = time.monotonic()
        self.assertEqual(self.ok("POST", "/v1/devboxes/create_and_await_running", {})["status"], "provisioning")
        self.assertAlmostEqual(time.monotonic() - begun, 0.3, delta=0.2)

    def test_views_are_cut_by_lines_and_bytes(self):
        box = self.running()
        self.double.turn(last_n=2)
        run = self.start(box, "seq 9")
        self.assertEqual(self.completed(run)["stdout"], "8\n9\n")
        self.double.turn(last_n=100, view_bytes=4)
        view = self.ok("GET", run)
        self.assertEqual((view["stdout"], view["stdout_truncated"]), ("8\n9\n", True))

    def test_a_full_output_stops_its_command(self):
        self.double.turn(output_bytes=1000)
        box = self.running()
        run = self.start(box, "yes")
        time.sleep(0.5)
        self.assertEqual(self.ok("GET", run)["status"], "running")
        self.ok("POST", run + "/kill", {"kill_process_group": True})

    def test_background_processes_hold_a_run_or_not(self):
        box = self.running()
        begun = time.monotonic()
        self.assertEqual(self.sync(box, "sleep 1 & echo a")["stdout"], "a\n")
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.double.turn(background_holds=False)
        begun = time.monotonic()
        self.assertEqual(self.sync(box, "sleep 5 & echo a")["stdout"], "a\n")
        self.assertLess(time.monotonic() - begun, 3)

    def test_a_killed_run_has_the_exit_status_that_was_set(self):
        box = self.running()
        for status in (-1, None, 9):
            self.double.turn(killed_exit_status=status)
            run = self.start(box, "exec sleep 100")
            self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
            self.assertEqual(self.ok("POST", run + "/kill")["exit_status"], status)

    def test_command_ids_name_runs_as_set(self):
        box, token = self.running(), command_id()
        wish = {"command": "echo once >>f", "command_id": token}
        first = self.ok("POST", box + "/execute", wish)
        self.assertNotEqual(first["execution_id"], token)
        self.assertEqual(self.ok("POST", box + "/execute", wish)["execution_id"], first["execution_id"])
        self.double.turn(command_id_reuse=False)
        self.assertNotEqual(self.ok("POST", box + "/execute", wish)["execution_id"], first["execution_id"])
        self.assertEqual(self.sync(box, "cat f")["stdout"], "once\n" * 2)
        self.double.turn(execution_id="command_id")
        self.assertEqual(self.ok("POST", box + "/execute", wish)["execution_id"], token)

    def test_commands_for_a_suspended_devbox(self):
        box = self.running()
        self.ok("POST", box + "/suspend")
        self.await_status(box.rpartition("/")[2], "suspended")
        self.double.turn(exec_when_stopped=404)
        self.refused(404, "POST", box + "/execute_async", {"command": "true"})
        self.double.turn(exec_when_stopped=0)
        self.assertEqual(self.sync(box, "echo up")["stdout"], "up\n")

    def test_runs_are_forgotten(self):
        box = self.running()
        kept = self.start(box, "true")
        self.completed(kept)
        self.double.turn(retention_seconds=0.1, keep_runs=False)
        run = self.start(box, "true")
        self.eventually(lambda: self.double.get(run).status == 404)
        self.ok("POST", box + "/suspend")
        self.await_status(box.rpartition("/")[2], "suspended")
        self.refused(404, "GET", kept)

    def test_stdin_ends_the_run(self):
        self.double.turn(stdin_ends_run=True)
        run = self.start(self.running(), "cat", attach_stdin=True)
        self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        self.ok("POST", run + "/send_std_in", {"text": "x"})
        self.assertEqual(self.completed(run)["exit_status"], 137)

    def test_a_second_shutdown_is_refused_where_set(self):
        box = self.running()
        self.ok("POST", box + "/shutdown")
        self.ok("POST", box + "/shutdown")
        self.double.turn(second_shutdown=400)
        self.refused(400, "POST", box + "/shutdown")

    def test_writes_fail_under_200(self):
        box = self.running()
        self.double.turn(write_exit_status=28)
        done = self.ok("POST", box + "/write_file_contents", {"file_path": "f", "contents": "x"})
        self.assertEqual((done["exit_status"], bool(done["stderr"])), (28, True))
        self.refused(404, "POST", box + "/read_file_contents", {"file_path": "f"})

    def test_missing_directories_are_made_where_set(self):
        box = self.running()
        self.double.turn(make_parents=True)
        done = self.ok("POST", box + "/write_file_contents", {"file_path": "a/b/c", "contents": "x"})
        self.assertEqual(done["exit_status"], 0)

    def test_absolute_downloads_are_refused_where_set(self):
        box = self.running()
        self.double.turn(absolute_downloads=False)
        self.refused(400, "POST", box + "/download_file", {"path": "/etc/passwd"})

    def test_pages_are_short_and_uncounted(self):
        self.double.turn(page_max=2, total_count=False, stuck="queued")
        for _ in range(3):
            self.ok("POST", "/v1/devboxes", {})
        self.refused(400, "GET", "/v1/devboxes?limit=3")
        self.assertEqual(set(self.ok("GET", "/v1/devboxes?limit=2")), {"devboxes", "has_more"})

    def test_a_repeated_request_id_gets_the_first_answer(self):
        for on, made in ((False, 2), (True, 1)):
            self.double.turn(dedupe=on)
            token = {"x-request-id": f"t{on}"}
            ids = {self.ok("POST", "/v1/devboxes", {}, headers=token)["id"] for _ in range(2)}
            self.assertEqual(len(ids), made)

    def test_unknown_properties_are_refused_where_set(self):
        self.ok("POST", "/v1/devboxes", {"odd": 1})
        self.double.turn(closed_bodies=True)
        self.assertIn("odd", self.refused(400, "POST", "/v1/devboxes", {"odd": 1}))

    def test_connections_are_closed_with_and_without_a_word(self):
        self.double.turn(close_after=2)
        one = self.double.connect()
        heads = [self.double.get("/v1/devboxes", connection=one).headers["connection"] for _ in range(2)]
        self.assertEqual(heads, [None, "close"])
        self.double.turn(close_after=0, close_silently_after=1)
        one = self.double.connect()
        self.assertIsNone(self.double.get("/v1/devboxes", connection=one).headers["connection"])
        self.assertEqual(one.sock.recv(10), b"")
        one.close()

    def test_a_silent_upload_gets_408(self):
        self.double.turn(upload_idle_seconds=0.3)
        with socket.create_connection(("127.0.0.1", self.double.port), 10) as sock:
            sock.sendall(b"POST /v1/devboxes HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            reply = b""
            while part := sock.recv(1000):
                reply += part
        self.assertTrue(re.match(rb"HTTP/1.1 408 .*timed out waiting for request data", reply, re.DOTALL))

    def test_blueprints_take_their_time(self):
        self.double.turn(build_seconds=0.3)
        id = self.ok("POST", "/v1/blueprints", {"name": "b"})["id"]
        self.assertEqual(self.ok("GET", "/v1/blueprints/" + id)["status"], "queued")
        self.refused(400, "POST", "/v1/devboxes", {"blueprint_id": id})
        self.eventually(lambda: self.ok("GET", "/v1/blueprints/" + id)["status"] == "build_complete")


if __name__ == "__main__":
    unittest.main()

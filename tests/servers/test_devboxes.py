"""Devboxes of the Runloop double: states, waiting, lists, snapshots, blueprints."""
import os
import signal
import subprocess
import sys
import time
import unittest

import double


class Devboxes(double.TestCase):
    def test_a_devbox_goes_through_its_states(self):
        self.double.turn(queued_seconds=0.1, provisioning_seconds=0.1, initializing_seconds=0.1, suspending_seconds=0.1,
                         resuming_seconds=0.1)
        made = self.ok("POST", "/v1/devboxes", {"name": "one", "metadata": {"a": "b"}})
        self.assertEqual((made["status"], made["name"], made["metadata"]), ("queued", "one", {"a": "b"}))
        box = "/v1/devboxes/" + made["id"]
        self.await_status(made["id"], "running")
        self.assertEqual(self.ok("POST", box + "/suspend")["status"], "suspending")
        self.await_status(made["id"], "suspended")
        self.assertEqual(self.ok("POST", box + "/resume", {})["status"], "resuming")
        self.await_status(made["id"], "running")
        self.assertEqual(self.ok("POST", box + "/shutdown")["status"], "shutdown")
        seen = self.ok("GET", box)
        self.assertEqual([one["status"] for one in seen["state_transitions"]],
                         ["queued", "provisioning", "initializing", "running", "suspending", "suspended", "resuming",
                          "running", "shutdown"])
        self.assertEqual(seen["shutdown_reason"], "api_shutdown")
        self.assertGreaterEqual(seen["end_time_ms"], seen["create_time_ms"])
        self.assertIn("vcpu_seconds", self.ok("GET", box + "/usage"))

    def test_wrong_moves_are_refused(self):
        box = self.running()
        self.assertIn("not suspended", self.refused(400, "POST", box + "/resume"))
        self.ok("POST", box + "/shutdown")
        self.assertIn("not running", self.refused(400, "POST", box + "/suspend"))
        self.assertIn("not running", self.refused(400, "POST", box + "/execute_async", {"command": "true"}))
        self.refused(404, "GET", "/v1/devboxes/dbx_none")
        self.refused(404, "GET", "/v1/nothing/here")
        self.refused(405, "DELETE", box)

    def test_bad_wishes_are_refused(self):
        for wish in ({"snapshot_id": "snp_x", "blueprint_id": "bpt_x"}, {"metadata": {"a": 1}}, {"metadata": "x"},
                     {"launch_parameters": {"resource_size_request": "HUGE"}},
                     {"launch_parameters": {"keep_alive_time_seconds": 172801}},
                     {"launch_parameters": {"resource_size_request": "CUSTOM_SIZE", "custom_cpu_cores": 3}},
                     {"launch_parameters": {"after_idle": {"idle_time_seconds": 5, "on_idle": "fly"}}},
                     {"mounts": [{"type": "cloud_mount"}]}, {"tunnel": {"auth_mode": "x"}}):
            self.refused(400, "POST", "/v1/devboxes", wish)
        self.refused(404, "POST", "/v1/devboxes", {"snapshot_id": "snp_none"})
        self.refused(400, "POST", "/v1/devboxes", b"{not json")
        self.refused(400, "POST", "/v1/devboxes", b"[]")

    def test_odd_bodies_are_never_a_mistake_of_the_double(self):
        box = self.running()
        odd = (None, True, -1, 1e300, "", "\0", [], {}, [1], {"a": 1}, {"lifecycle": {"lifecycle_hooks": 5}},
               {"after_idle": []}, {"user_parameters": []}, {"launch_commands": [1]}, {"resource_size_request": []})
        places = {"/v1/devboxes": ("name", "metadata", "secrets", "launch_parameters", "mounts", "file_mounts",
                                   "tunnel", "snapshot_id", "blueprint_name", "entrypoint"),
                  "/v1/blueprints/preview": ("name", "dockerfile", "system_setup_commands"),
                  box + "/wait_for_status": ("statuses", "timeout_seconds"),
                  box + "/execute_async": ("command", "shell_name", "attach_stdin"),
                  box + "/snapshot_disk": ("name", "metadata", "commit_message"),
                  box + "/download_file": ("path",), box + "/enable_tunnel": ("auth_mode", "wake_on_http")}
        one = self.double.connect()
        self.double.turn(hold_scale=0.0, stuck="queued")
        for path, names in places.items():
            for body in ({name: value} for name in names for value in odd):
                self.assertLess(self.double.post(path, body, connection=one).status, 500, (path, body))
        one.close()

    def test_keys_are_checked(self):
        self.assertIn("no API key", self.refused(401, "GET", "/v1/devboxes", headers={"authorization": None}))
        self.assertIn("not valid", self.refused(401, "GET", "/v1/devboxes", key="ak_other"))

    def test_a_long_poll_holds_and_answers_408(self):
        self.double.turn(stuck="provisioning")
        id = self.ok("POST", "/v1/devboxes", {})["id"]
        wait = f"/v1/devboxes/{id}/wait_for_status"
        begun = time.monotonic()
        self.assertIn("still provisioning", self.refused(408, "POST", wait, {"statuses": ["running"],
                                                                             "timeout_seconds": 1}))
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.refused(400, "POST", wait, {"statuses": []})
        self.refused(400, "POST", wait, {"statuses": ["flying"]})
        self.refused(400, "POST", wait, {"statuses": ["running"], "timeout_seconds": "soon"})
        self.refused(404, "POST", "/v1/devboxes/dbx_none/wait_for_status", {"statuses": ["running"]})
        self.double.turn(stuck="")
        self.await_status(id, "running")

    def test_the_time_of_a_long_poll_is_cut_to_its_most(self):
        self.double.turn(stuck="queued", hold_scale=0.02)
        id = self.ok("POST", "/v1/devboxes", {})["id"]
        for asked, held in ((None, 0.2), (300, 0.6)):
            begun = time.monotonic()
            self.refused(408, "POST", f"/v1/devboxes/{id}/wait_for_status",
                         {"statuses": ["running"], "timeout_seconds": asked})
            self.assertAlmostEqual(time.monotonic() - begun, held, delta=0.15)

    def test_create_and_await_running_waits(self):
        self.assertEqual(self.ok("POST", "/v1/devboxes/create_and_await_running", {})["status"], "running")

    def test_suspend_loses_processes_and_keeps_files(self):
        box = self.running()
        id = box.rpartition("/")[2]
        self.sync(box, "echo kept >file; export LOST=1", shell_name="s")
        run = self.start(box, "sleep 1000")
        self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        self.sync(box, "setsid sleep 1000 >/dev/null 2>&1 </dev/null &")
        self.ok("POST", box + "/suspend")
        self.await_status(id, "suspended")
        self.assertEqual(self.completed(run)["exit_status"], 137)
        self.ok("POST", box + "/resume")
        self.await_status(id, "running")
        seen = self.sync(box, 'cat file; echo "$LOST"; pgrep -x sleep || echo none', shell_name="s")
        if self.ok("GET", "/_double/state")["wrapped"]:
            self.assertEqual(seen["stdout"], "kept\n\nnone\n")
        else:  # the other processes are this machine's
            self.assertTrue(seen["stdout"].startswith("kept\n\n"))

    def test_launch_commands_run_at_every_start(self):
        box = self.running(launch_parameters={"launch_commands": ["echo x >>starts"]},
                           environment_variables={"COLOUR": "blue"})
        self.ok("POST", box + "/suspend")
        self.await_status(box.rpartition("/")[2], "suspended")
        self.ok("POST", box + "/resume")
        self.await_status(box.rpartition("/")[2], "running")
        self.assertEqual(self.sync(box, "cat starts; echo $COLOUR")["stdout"], "x\nx\nblue\n")
        failed = self.ok("POST", "/v1/devboxes", {"launch_parameters": {"launch_commands": ["false"]}})
        self.assertEqual(self.await_status(failed["id"], "running", "failure")["failure_reason"], "execution_failed")

    def test_lifetime_idle_time_and_entrypoint_end_a_devbox(self):
        ends = {"keep_alive_timeout": {"launch_parameters": {"keep_alive_time_seconds": 1}},
                "idle": {"launch_parameters": {"after_idle": {"idle_time_seconds": 1, "on_idle": "shutdown"}}},
                "entrypoint_exit": {"entrypoint": "sleep 0.2"}}
        made = {reason: self.ok("POST", "/v1/devboxes", wish)["id"] for reason, wish in ends.items()}
        sleeper = self.ok("POST", "/v1/devboxes", {"launch_parameters": {"lifecycle": {"after_idle": {
            "idle_time_seconds": 1, "on_idle": "suspend"}}}})["id"]
        for reason, id in made.items():
            self.assertEqual(self.await_status(id, "shutdown")["shutdown_reason"], reason)
        self.await_status(sleeper, "suspended")

    def test_keep_alive_moves_the_idle_time(self):
        box = self.running(launch_parameters={"after_idle": {"idle_time_seconds": 1, "on_idle": "shutdown"},
                                              "keep_alive_time_seconds": 1})  # which is ignored then
        for _ in range(8):
            time.sleep(0.25)
            self.ok("POST", box + "/keep_alive")
        self.assertEqual(self.ok("GET", box)["status"], "running")

    def test_lists_have_pages(self):
        self.double.turn(stuck="queued")
        ids = [self.ok("POST", "/v1/devboxes", {"metadata": {"n": str(n)}})["id"] for n in range(25)]
        first = self.ok("GET", "/v1/devboxes")
        self.assertEqual((len(first["devboxes"]), first["has_more"], first["total_count"]), (20, True, 25))
        rest = self.ok("GET", "/v1/devboxes?starting_after=" + first["devboxes"][-1]["id"])
        self.assertFalse(rest["has_more"])
        self.assertEqual(sorted(one["id"] for one in first["devboxes"] + rest["devboxes"]), sorted(ids))
        self.assertEqual(len(self.ok("GET", "/v1/devboxes?limit=3&status=queued")["devboxes"]), 3)
        self.assertNotIn("total_count", self.ok("GET", "/v1/devboxes?include_total_count=false"))
        self.refused(400, "GET", "/v1/devboxes?limit=5001")
        self.refused(400, "GET", "/v1/devboxes?status=odd")
        self.assertEqual(self.ok("GET", "/v1/devboxes/metadata/keys"), {"keys": ["n"]})
        self.assertEqual(len(self.ok("GET", "/v1/devboxes/metadata/keys/n/values")["values"]), 25)

    def test_update_changes_name_and_metadata(self):
        box = self.running(name="a", metadata={"x": "1"})
        self.assertEqual(self.ok("POST", box, {"name": "b"})["metadata"], {"x": "1"})
        self.assertEqual(self.ok("POST", box, {"metadata": {"y": "2"}})["metadata"], {"y": "2"})

    def test_snapshots_keep_the_disk(self):
        box = self.running()
        self.sync(box, "echo one >file; mkdir -p data; echo two >data/file")
        made = self.ok("POST", box + "/snapshot_disk", {"name": "s", "metadata": {"k": "v"}, "commit_message": "m"})
        self.assertEqual((made["name"], made["source_devbox_id"]), ("s", box.rpartition("/")[2]))
        self.sync(box, "echo changed >file")
        again = self.running(snapshot_id=made["id"])
        self.assertEqual(self.sync(again, "cat file data/file")["stdout"], "one\ntwo\n")
        one = "/v1/devboxes/disk_snapshots/" + made["id"]
        self.assertEqual(self.ok("GET", one + "/status")["status"], "complete")
        self.assertEqual(self.ok("POST", one, {"name": "t"})["name"], "t")
        self.assertEqual([s["id"] for s in self.ok("GET", "/v1/devboxes/disk_snapshots?devbox_id=" +
                                                   box.rpartition("/")[2])["snapshots"]], [made["id"]])
        self.assertEqual(self.ok("GET", "/v1/devboxes/disk_snapshots?metadata[k]=w")["snapshots"], [])
        self.ok("POST", one + "/delete")
        self.assertEqual(self.ok("GET", one + "/status")["status"], "deleted")
        self.refused(409, "POST", one + "/delete")
        self.refused(404, "GET", "/v1/devboxes/disk_snapshots/snp_none/status")
        self.refused(400, "POST", "/v1/devboxes", {"snapshot_id": made["id"]})

    def test_shutdown_waits_for_a_snapshot_or_force(self):
        self.double.turn(snapshot_seconds=30)
        box = self.running()
        made = self.ok("POST", box + "/snapshot_disk_async")
        one = "/v1/devboxes/disk_snapshots/" + made["id"]
        self.assertEqual(self.ok("GET", one + "/status")["status"], "in_progress")
        self.refused(409, "POST", one + "/delete")
        self.assertIn("snapshot", self.refused(409, "POST", box + "/shutdown"))
        self.refused(409, "POST", box + "/shutdown?force=false")
        self.assertEqual(self.ok("POST", box + "/shutdown?force=true")["status"], "shutdown")

    def test_blueprints_are_built_and_used(self):
        made = self.ok("POST", "/v1/blueprints", {"name": "base", "system_setup_commands": ["echo here >built"],
                                                  "file_mounts": {"mounted": "text"}})
        one = "/v1/blueprints/" + made["id"]
        self.eventually(lambda: self.ok("GET", one)["status"] == "build_complete")
        self.assertEqual(self.ok("GET", one + "/logs")["blueprint_id"], made["id"])
        for wish in ({"blueprint_id": made["id"]}, {"blueprint_name": "base"}):
            self.assertEqual(self.sync(self.running(**wish), "cat built mounted")["stdout"], "here\ntext")
        broken = self.ok("POST", "/v1/blueprints", {"name": "b", "system_setup_commands": ["exit 3"]})
        self.eventually(lambda: self.ok("GET", "/v1/blueprints/" + broken["id"])["status"] == "failed")
        self.assertEqual(len(self.ok("GET", "/v1/blueprints?name=base")["blueprints"]), 1)
        self.ok("POST", one + "/delete")
        self.refused(404, "POST", "/v1/devboxes", {"blueprint_name": "base"})
        preview = self.ok("POST", "/v1/blueprints/preview", {"name": "p", "system_setup_commands": ["x"]})
        self.assertIn("RUN x", preview["dockerfile"])

    def test_objects_secrets_and_file_mounts_are_in_the_devbox(self):
        made = self.ok("POST", "/v1/objects", {"name": "o", "content_type": "text"})
        upload = made["upload_url"].partition("127.0.0.1:")[2].partition("/")[2]
        self.refused(403, "PUT", f"/_objects/{made['id']}?token=x", b"data")
        self.assertEqual(self.double.call("PUT", "/" + upload, b"data").status, 200)
        self.assertEqual(self.ok("POST", f"/v1/objects/{made['id']}/complete")["state"], "READ_ONLY")
        self.ok("GET", f"/v1/objects/{made['id']}/download")
        self.ok("POST", "/v1/secrets", {"name": "token", "value": "s3cret"})
        box = self.running(secrets={"TOKEN": "token"}, file_mounts={"f": "legacy"}, mounts=[
            {"type": "object_mount", "object_id": made["id"], "object_path": "dir/o"},
            {"type": "file_mount", "target": "m", "content": "new"}])
        self.assertEqual(self.sync(box, "cat dir/o f m; echo $TOKEN")["stdout"], "datalegacynews3cret\n")
        self.refused(404, "POST", "/v1/devboxes", {"secrets": {"X": "none"}})

    def test_ending_its_stdin_ends_everything(self):
        box = self.running()
        run = self.start(box, "echo $$; exec sleep 1000")
        self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        begun = time.monotonic()
        self.assertEqual(self.double.stop(), 0)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(os.listdir(self.folder), [])

    def test_its_lifetime_is_bounded(self):
        words = [sys.executable, "-B", os.path.join(double.HERE, "runloop"), "--lifetime", "0.5"]
        started = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with started:
            self.assertEqual(started.wait(20), 0)

    def test_killed_double_leaves_no_process(self):
        box = self.running()
        marker = f"1{self.double.port}"
        self.start(box, f"setsid sleep {marker}")
        self.eventually(lambda: subprocess.run(["pgrep", "-f", f"^sleep {marker}"], stdout=subprocess.DEVNULL,
                                               check=False).returncode == 0)
        self.double.process.send_signal(signal.SIGKILL)
        self.eventually(lambda: subprocess.run(["pgrep", "-f", f"^sleep {marker}"], stdout=subprocess.DEVNULL,
                                               check=False).returncode == 1)
        self.assertEqual(self.double.stop(), -signal.SIGKILL)


class InADirectory(double.TestCase):
    options = (*double.TestCase.options, "--boxes", "directory")

    def test_commands_run_in_a_directory_too(self):
        box = self.running()
        self.assertEqual(self.sync(box, "echo x >f; cat f; echo e >&2; exit 3")["exit_status"], 3)
        self.assertEqual(self.ok("POST", box + "/read_file_contents", {"file_path": "f"}), b"x\n")
        marker = f"2{self.double.port}"
        self.start(box, f"setsid sleep {marker} & sleep {marker}")
        found = ["pgrep", "-f", f"^sleep {marker}"]
        self.eventually(lambda: len(subprocess.run(found, capture_output=True, check=False).stdout.split()) == 2)
        self.ok("POST", box + "/shutdown")
        self.assertEqual(subprocess.run(found, capture_output=True, check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()

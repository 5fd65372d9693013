"""The Runloop provider: what a caller gets of it."""
import json
import os
import shlex
import shutil
import subprocess
import time
import unittest

import provider


class Open(provider.TestCase):
    def test_a_missing_key_is_told_without_a_request(self):
        done = self.sbx("create", "--provider", "runloop", RUNLOOP_API_KEY="")
        self.assertEqual(done.code, 125)
        self.assertIn("runloop needs a key: set RUNLOOP_API_KEY", done.err)
        self.assertEqual(self.requests(), [])

    def test_an_unconfigured_runloop_is_no_news_to_who_lists(self):
        done = self.sbx("ls", RUNLOOP_API_KEY="")
        self.assertEqual((done.code, done.err), (0, ""))

    def test_a_rejected_key_is_told_before_anything_is_made(self):
        done = self.sbx("create", "--provider", "runloop", RUNLOOP_API_KEY="ak_wrong_secret")
        self.assertEqual(done.code, 125)
        self.assertIn("HTTP 401", done.err)
        self.assertNotIn("ak_wrong_secret", done.err)
        self.assertEqual(self.living(), [])

    def test_the_key_travels_in_the_clear_to_this_machine_alone(self):
        for url in ("http://example.org", "ftp://127.0.0.1", "http://127.0.0.1.example.org", "https://", "https://a/b"):
            done = self.sbx("create", "--provider", "runloop", RUNLOOP_BASE_URL=url)
            self.assertEqual(done.code, 125)
            self.assertIn("base_url", done.err)

    def test_key_and_url_come_from_the_configuration(self):
        folder = os.path.join(self.folder, "XDG_CONFIG_HOME", "sbx")
        os.mkdir(folder)
        with open(os.path.join(folder, "key"), "w", encoding="utf-8") as file:
            file.write("ak_test\n")
        os.chmod(os.path.join(folder, "key"), 0o600)
        with open(os.path.join(folder, "sbx.ini"), "w", encoding="utf-8") as file:
            file.write(f"[provider cloud]\nplugin = runloop\nbase_url = {self.double.url}\n"
                       f"api_key_file = {folder}/key\n")
        box = self.must("create", "--provider", "cloud", RUNLOOP_API_KEY="", RUNLOOP_BASE_URL="").decode().strip()
        self.assertTrue(box.startswith("cloud/dbx_"))
        self.assertEqual(self.must("exec", box, "--", "echo", "x", RUNLOOP_API_KEY=""), b"x\n")


class Life(provider.TestCase):
    def test_what_create_asks_for_reaches_the_service(self):
        box = self.devbox("--name", "mine", "--label", "a=b", "--env", "V=w x", "--lifetime", "2h", "--cpus", "2",
                          "--memory", "8G", "--option", "runloop.architecture=arm64",
                          "--option", "runloop.launch_command=echo one >started")
        view = self.ok("GET", self.native(box))
        launch = view["launch_parameters"]
        self.assertEqual((view["name"], view["metadata"]["a"]), ("mine", "b"))
        self.assertEqual((launch["keep_alive_time_seconds"], launch["architecture"]), (7200, "arm64"))
        self.assertEqual((launch["custom_cpu_cores"], launch["custom_gb_memory"]), (2, 8))
        self.assertEqual(self.must("exec", box, "--", "sh", "-c", "echo $V; cat started"), b"w x\none\n")
        shown = json.loads(self.must("inspect", "--json", box))
        self.assertNotIn("sbx-token", json.dumps(shown))

    def test_options_of_the_services_own_reach_it(self):
        self.ok("POST", "/v1/secrets", {"name": "HIDDEN", "value": "v1"})
        box = self.devbox("--option", "runloop.size=LARGE", "--option", "runloop.entrypoint=echo >begun; sleep 600",
                          "--option", "runloop.tunnel=open", "--option", "runloop.secret.SEEN=HIDDEN",
                          "--option", 'runloop.mounts=[{"type":"file_mount","target":"/tmp/m","content":"w"}]',
                          "--network", "none", "--option", "runloop.network_policy=np_1", "--user", "root")
        view = self.ok("GET", self.native(box))
        launch = view["launch_parameters"]
        self.assertEqual((launch["resource_size_request"], launch["network_policy_id"]), ("LARGE", "np_1"))
        self.assertEqual(launch["user_parameters"], {"username": "root", "uid": 0})
        self.assertEqual(view["tunnel"]["auth_mode"], "open")
        self.assertEqual(self.must("exec", box, "--", "sh", "-c", "echo $SEEN; cat /tmp/m"), b"v1\nw")
        self.eventually(lambda: self.sbx("exec", box, "--", "test", "-e", "begun").code == 0)
        facts = json.loads(self.must("inspect", "--json", box))["sandboxes"][0]["metadata"]
        self.assertEqual((facts["provider.network"], facts["provider.network_policy"]), ("policy", "np_1"))

    def test_an_idle_time_takes_the_place_of_the_lifetime(self):
        for words, action in (([], "shutdown"), (["--option", "runloop.on_idle=suspend"], "suspend")):
            box = self.devbox("--lifetime", "1h", "--idle-timeout", "10m", *words)
            launch = self.ok("GET", self.native(box))["launch_parameters"]
            self.assertEqual(launch["lifecycle"], {"after_idle": {"idle_time_seconds": 600, "on_idle": action}})
            shown = json.loads(self.must("inspect", "--json", box))["sandboxes"][0]
            self.assertIsNone(shown["expires"])  # by which gc goes

    def test_what_the_configuration_names_holds_for_what_is_made_without(self):
        made = self.ok("POST", "/v1/blueprints", {"name": "b", "system_setup_commands": ["echo built >~/made"]})
        self.eventually(lambda: self.ok("GET", "/v1/blueprints/" + made["id"])["status"] == "build_complete")
        config = os.path.join(self.folder, "keys.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[provider runloop]\nplugin = runloop\nblueprint = b\nsize = X_LARGE\ntimeout = 1s\n")
        box = self.must("create", SBX_CONFIG=config).decode().strip()
        view = self.ok("GET", self.native(box))
        self.assertEqual((view["blueprint_id"], view["launch_parameters"]["resource_size_request"]),
                         (made["id"], "X_LARGE"))
        self.assertEqual(self.must("exec", box, "--", "cat", "made", SBX_CONFIG=config), b"built\n")
        done = self.sbx("exec", box, "--", "sleep", "60", SBX_CONFIG=config)
        self.assertIn("timed out", done.err)
        with open(config, "a", encoding="utf-8") as file:
            file.write(f"ca = {self.folder}/missing.pem\n")
        done = self.sbx("ls", SBX_CONFIG=config, RUNLOOP_BASE_URL=self.double.url.replace("http:", "https:"))
        self.assertIn("missing.pem", done.err)

    def test_what_the_service_cannot_do_is_refused_before_anything_is_made(self):
        for words in (["--network", "none"], ["--memory", "5G"], ["--memory", "512M"], ["--cpus", "3"],
                      ["--option", "runloop.colour=red"], ["--option", "runloop.tunnel=maybe"], ["--lifetime", "72h"],
                      ["--user", "somebody"], ["--cpus", "2", "--option", "runloop.size=LARGE"],
                      ["--option", "runloop.on_idle=suspend"], ["--option", "runloop.mounts={}"],
                      ["--idle-timeout", "1m", "--option", "runloop.on_idle=sleep"]):
            done = self.sbx("create", "--provider", "runloop", *words)
            self.assertEqual(done.code, 125, words)
        self.assertEqual(self.living(), [])

    def test_a_devbox_that_does_not_come_up_is_told_with_its_reason_and_left_by_none(self):
        self.double.turn(failing_creates=1, failure_reason="out_of_memory")
        done = self.sbx("create", "--provider", "runloop")
        self.assertEqual(done.code, 125)
        self.assertIn("out_of_memory", done.err)
        self.assertEqual([one["status"] for one in self.living()], ["failure"])

    def test_only_devboxes_of_this_instance_are_listed(self):
        self.running(metadata={"other": "tool"})
        box = self.devbox()
        self.assertEqual(self.must("ls", "-q").decode().split(), [box])
        self.must("rm", box)
        self.assertEqual(self.must("ls", "-q"), b"")

    def test_lists_go_over_all_pages(self):
        self.double.turn(stuck="provisioning")
        ours = {"metadata": {"sbx-instance": "runloop"}}
        made = {"runloop/" + self.ok("POST", "/v1/devboxes", ours)["id"] for _ in range(205)}
        self.assertEqual(set(self.must("ls", "-q").decode().split()), made)

    def test_suspend_and_resume_wait_until_it_is_so(self):
        self.double.turn(suspending_seconds=0.5, resuming_seconds=0.5)
        box = self.devbox()
        self.must("exec", box, "--", "sh", "-c", "echo kept >f")
        self.must("suspend", box)
        self.assertEqual(self.ok("GET", self.native(box))["status"], "suspended")
        self.must("suspend", box)
        done = self.sbx("exec", box, "--", "true")
        self.assertEqual(done.code, 125)
        self.assertIn("not running", done.err)
        self.must("resume", box)
        self.must("resume", box)
        self.assertEqual(self.must("exec", box, "--", "cat", "f"), b"kept\n")
        self.must("keep-alive", box)

    def test_shutdown_during_a_snapshot_is_an_error_of_its_own_or_forced(self):
        self.double.turn(snapshot_seconds=30)
        box = self.devbox()
        self.ok("POST", self.native(box) + "/snapshot_disk_async", {})
        begin = time.monotonic()
        done = self.sbx("rm", box)
        self.assertEqual(done.code, 125)
        self.assertIn("a snapshot of devbox", done.err)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(len([one for one in self.requests() if one["path"].endswith("/shutdown")]), 1)
        config = os.path.join(self.folder, "force.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[provider runloop]\nplugin = runloop\nforce_shutdown = yes\n")
        self.must("--config", config, "rm", box)

    def test_snapshots_are_made_listed_restored_and_deleted(self):
        box = self.devbox()
        self.must("exec", box, "--", "sh", "-c", "echo kept >f")
        name = self.must("snapshot", "create", "--name", "first", box).decode().strip()
        self.assertIn(b"first", self.must("snapshot", "ls"))
        again = self.devbox("--snapshot", name)
        self.assertEqual(self.must("exec", again, "--", "cat", "f"), b"kept\n")
        self.must("snapshot", "rm", name)
        self.assertNotIn(b"first", self.must("snapshot", "ls"))
        self.double.turn(failing_snapshots=1)
        self.assertEqual(self.sbx("snapshot", "create", box).code, 125)

    def test_a_blueprint_is_the_image(self):
        made = self.ok("POST", "/v1/blueprints", {"name": "b", "system_setup_commands": ["echo built >~/made"]})
        self.eventually(lambda: self.ok("GET", "/v1/blueprints/" + made["id"])["status"] == "build_complete")
        for image in ("b", made["id"]):
            box = self.devbox("--image", image)
            self.assertEqual(self.must("exec", box, "--", "cat", "made"), b"built\n")


class Commands(provider.TestCase):
    def test_output_of_any_length_is_whole(self):
        box = self.devbox()
        out = self.must("exec", box, "--", "sh", "-c", "seq 200000")
        self.assertEqual(out, "".join(f"{n}\n" for n in range(1, 200001)).encode())

    def test_text_is_exact_and_other_bytes_are_flagged(self):
        box = self.devbox()
        self.assertEqual(self.must("exec", box, "--", "printf", "gr\u00f6\u00dfe\\000\U0001f600\\n"),
                         "gr\u00f6\u00dfe\0\U0001f600\n".encode())
        done = self.sbx("exec", box, "--", "printf", "a\\377b")
        self.assertEqual((done.code, done.out), (0, "a\ufffdb".encode()))
        self.assertIn("text only", done.err)

    def test_input_reaches_a_command_as_it_is(self):
        box, data = self.devbox(), bytes(range(256)) * 4000
        self.must("exec", "-i", box, "--", "sh", "-c", "cat >f", data=data)
        self.must("cp", box + ":f", os.path.join(self.folder, "f"))
        with open(os.path.join(self.folder, "f"), "rb") as file:
            self.assertEqual(file.read(), data)

    def test_variables_stand_in_no_command_line_and_no_log(self):
        box = self.devbox()
        self.assertEqual(self.must("exec", "--env", "SECRET=canary-7", box, "--", "sh", "-c", "echo $SECRET"),
                         b"canary-7\n")
        self.assertNotIn("canary-7", json.dumps(self.ok("GET", self.native(box) + "/logs")))
        self.assertEqual(self.must("exec", box, "--", "sh", "-c", "ls -A | grep -c sbx- || true"), b"0\n")

    def test_the_limit_is_kept_in_the_devbox_when_the_client_is_dead(self):
        box = self.devbox()
        client = subprocess.Popen([provider.SBXCTL, "exec", "--timeout", "2", box, "--", "sh", "-c",
                                   "(setsid sleep 4711 &); touch began; sleep 4711"],
                                  env=self.environment, stdin=subprocess.DEVNULL)
        self.eventually(lambda: self.sbx("exec", box, "--", "test", "-e", "began").code == 0)
        client.kill()
        client.wait()
        self.eventually(lambda: self.must("exec", box, "--", "sh", "-c", "pgrep -fc '^sleep 4711' || true") == b"0\n")

    def test_a_line_that_is_long_as_text_is_no_failure(self):
        box = self.devbox()
        line = "head -c 300000 /dev/zero"
        self.assertEqual(self.must("exec", box, "--", "sh", "-c", line), bytes(300000))
        job = self.must("job", "start", box, "--", "sh", "-c", line).decode().strip()
        self.must("wait", box, job)
        self.assertEqual(self.must("logs", box, job, "--stream", "stdout"), bytes(300000))

    def test_jobs_are_read_from_an_offset_fed_and_killed(self):
        box = self.devbox()
        job = self.must("job", "start", box, "--", "sh", "-c", "echo one; sleep 1; echo two >&2; exit 3").decode().strip()
        self.assertEqual(self.sbx("wait", box, job).code, 3)
        self.assertEqual(self.sbx("wait", box, job).code, 3)
        done = self.sbx("logs", box, job)
        self.assertEqual((done.out, done.err), (b"one\n", "two\n"))
        job = self.must("job", "start", box, "--", "sh", "-c", "(setsid sleep 4712 &); sleep 4712").decode().strip()
        self.must("job", "kill", box, job)
        self.assertEqual(self.sbx("wait", box, job).code, 137)
        self.eventually(lambda: self.must("exec", box, "--", "sh", "-c", "pgrep -fc '^sleep 4712' || true") == b"0\n")
        self.assertEqual(self.sbx("job", "info", box, "exe_nosuch").code, 125)

    def test_input_of_a_queued_job_is_not_sent_until_the_job_runs(self):
        box = self.devbox()
        job = self.must("job", "start", "--keep-stdin", box, "--", "cat").decode().strip()
        self.double.fault(path="*/send_std_in", do="reply", status=200, body="{\"success\": false}")
        self.double.fault(method="GET", path="*/executions/*", do="reply", status=200, times=4,
                          body="{\"status\": \"queued\"}")
        self.forget_requests()
        self.must("job", "feed", "--eof", box, job, data=b"one\n")
        asked = [(one["method"], one["time"]) for one in self.requests() if "/executions/" in one["path"]]
        self.assertEqual([method for method, _ in asked], ["POST", *["GET"] * 5, "POST", "POST"])
        self.assertGreater(asked[5][1] - asked[1][1], 1.1)
        self.assertEqual(self.must("job", "logs", box, job), b"one\n")

    def test_a_named_shell_is_closed_with_all_that_it_started(self):
        box = self.devbox()
        self.must("shell", box, "s", "A=1; (setsid sleep 4713 >/dev/null 2>&1 &); sleep 4713 >/dev/null 2>&1 &")
        self.must("shell", box, "other", "B=2")
        self.must("shell", "--close", box, "s")
        count = ("exec", box, "--", "sh", "-c", "pgrep -fc '^sleep 4713' || true")
        self.eventually(lambda: self.must(*count) == b"0\n", 60)
        for name in ("s", "never"):
            done = self.sbx("shell", "--close", box, name)
            self.assertEqual(done.code, 125)
            self.assertIn(f"no such shell '{name}'", done.err)
        self.assertEqual(self.must("shell", box, "s", "echo \"<$A>\""), b"<>\n")
        self.assertEqual(self.must("shell", box, "other", "echo $B"), b"2\n")

    def test_a_busy_shell_is_closed_and_its_command_says_so(self):
        box = self.devbox()
        client = subprocess.Popen([provider.SBXCTL, "shell", box, "s", "touch begun; sleep 4714"],
                                  env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.eventually(lambda: self.sbx("exec", box, "--", "test", "-e", "begun").code == 0, 60)
        self.must("shell", "--close", box, "s")
        _, said = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 125)
        self.assertIn("the shell 's' ended", said.decode())

    def test_a_command_of_a_shell_reads_its_own_input(self):
        box = self.devbox()
        self.must("shell", "-i", box, "s", "read -r A; read -r B", data=b"one\ntwo\n")
        self.assertEqual(self.must("shell", box, "s", "echo $A $B; cat", data=b"three\n"), b"one two\nthree\n")
        self.assertEqual(self.must("shell", box, "s", "cat"), b"")
        self.assertEqual(self.must("exec", box, "--", "sh", "-c", "ls -A ~ | grep -c sbx- || true"), b"0\n")

    def test_a_shell_that_changed_its_home_and_path_runs_commands_with_input_and_leaves_none(self):
        box = self.devbox()
        left = ("exec", box, "--", "sh", "-c", "ls -A ~ | grep -c sbx- || true")
        self.must("shell", box, "s", "mkdir elsewhere; HOME=$PWD/elsewhere; PATH=/nowhere")
        done = self.sbx("shell", "-i", box, "s", "read -r A; echo \"<$A>\"; false", data=b"one\n")
        self.assertEqual((done.code, done.out, done.err), (1, b"<one>\n", ""))
        self.assertEqual(self.must(*left), b"0\n")
        long = ": " + "x" * 110000 + "; echo \"<$A>\""
        self.assertEqual(self.must("shell", box, "s", long), b"<one>\n")
        self.assertEqual(self.must("shell", "-i", box, "s", "HOME=/; read -r B; echo $B", data=b"two\n"), b"two\n")
        self.assertEqual(self.sbx("shell", "-i", box, "s", "read -r B; exit 3", data=b"three\n").code, 125)
        self.assertEqual(self.must(*left), b"0\n")

    def test_input_that_is_not_there_is_no_result_of_a_shells_command(self):
        box = self.devbox()
        self.double.fault(path="*/upload_file", do="reply", status=200, body="{}")
        done = self.sbx("shell", "-i", box, "s", "echo ran; cat", data=b"one\n")
        self.assertEqual((done.code, done.out), (125, b""))
        self.assertIn("'input'", done.err)

    def test_a_closing_that_was_cut_short_is_done_again(self):
        box = self.devbox("--env", "PATH=bin:/usr/local/bin:/usr/bin:/bin")
        self.must("exec", box, "--", "sh", "-c", "mkdir bin; cat >bin/grep; chmod 755 bin/grep",
                  data=b"#!/bin/sh\n[ ! -e ~/cut ] || { rm ~/cut; kill -9 0; }\nexec /usr/bin/grep \"$@\"\n")
        self.must("shell", box, "s", "sleep 4715 >/dev/null 2>&1 &")
        self.must("exec", box, "--", "touch", "cut")
        self.assertEqual(self.sbx("shell", "--close", box, "s").code, 125)
        self.must("exec", box, "--", "test", "!", "-e", "cut")
        self.must("shell", "--close", box, "s")
        self.eventually(lambda: self.must("exec", box, "--", "sh", "-c", "pgrep -fc '^sleep 4715' || true") == b"0\n")
        self.assertEqual(self.sbx("shell", "--close", box, "s").code, 125)

    def test_files_tell_the_four_errors_apart(self):
        box, target = self.devbox(), os.path.join(self.folder, "f")
        self.must("exec", box, "--", "sh", "-c", "mkdir d; echo x >closed; chmod 0 closed; mkfifo pipe")
        for path, code in (("nope", "file_not_found"), ("d", "is_directory"), ("closed", "permission_denied"),
                           ("pipe", "invalid_path"), ("closed/x", "file_not_found")):
            done = self.sbx("files", "cat", box, path)
            self.assertIn(code, done.err, path)
        self.double.turn(absolute_downloads=False)
        self.must("exec", box, "--", "sh", "-c", "echo there >/tmp/abs")
        self.must("cp", box + ":/tmp/abs", target)
        with open(target, "rb") as file:
            self.assertEqual(file.read(), b"there\n")

    def test_a_helping_file_that_cannot_be_dropped_makes_nobody_late(self):
        box, tree = self.devbox(), os.path.join(self.folder, "tree")
        self.must("exec", box, "--", "sh", "-c", "mkdir d; echo there >d/f; echo there >/tmp/abs")
        self.double.turn(absolute_downloads=False)
        for words, skip in ((("cp", box + ":/tmp/abs", tree + ".f"), 3), (("cp", box + ":d", tree), 2)):
            self.double.fault(path="*/execute_async", do="hang", skip=skip)
            begin = time.monotonic()
            self.must(*words)
            self.assertLess(time.monotonic() - begin, 20, words)
        self.assertEqual([one["used"] for one in self.ok("GET", "/_double/faults")["faults"]], [1, 1])

    def test_trees_go_both_ways(self):
        box, tree = self.devbox(), os.path.join(self.folder, "tree")
        os.makedirs(tree + "/a/b")
        content = bytes(range(256)) * 100
        for name in ("a/b/f", "a/g"):
            with open(os.path.join(tree, name), "wb") as file:
                file.write(content)
        self.must("cp", tree, box + ":copy")
        self.must("cp", box + ":copy", tree + "2")
        self.assertEqual(subprocess.run(["diff", "-r", tree, tree + "2"], check=False).returncode, 0)

    def test_a_command_longer_than_a_command_line_works(self):
        box, text = self.devbox(), "x" * 100000
        out = self.must("exec", box, "--", "sh", "-c", 'echo "${#1} ${#2} ${#3}"', "sh", text, text, text)
        self.assertEqual(out, b"100000 100000 100000\n")

    def test_two_hundred_runs_over_twenty_devboxes_at_once(self):
        boxes = [self.devbox() for _ in range(20)]
        self.forget_requests()
        begin = time.monotonic()
        program = os.path.join(provider.BUILD, "tests", "runloop", "many_runs")
        done = subprocess.run([program, "10", *boxes], check=False, capture_output=True, timeout=100,
                              env=self.environment)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)
        seen = self.requests()
        connections = len({one["connection"] for one in seen})
        print(f"200 runs in {time.monotonic() - begin:.1f} s, {len(seen)} requests over {connections} connections")
        self.assertLess(connections, len(seen))


class Network(provider.TestCase):
    def test_ssh_keys_and_tunnels_are_made_told_and_ended(self):
        box = self.devbox().partition("/")[2]
        done = subprocess.run([os.path.join(provider.BUILD, "tests", "runloop", "runloop_network"),
                               os.path.join(provider.BUILD, "lib", "sbx", "runloop.so"), box],
                              check=False, capture_output=True, timeout=60, env=self.environment)
        said = done.stdout.decode().splitlines()
        host = f"{box.replace('_', '-').lower()}.ssh.invalid"
        self.assertEqual(said[:5], [
            "open 0", "attach 0", f"key {host} user 1",
            f"openssl s_client -quiet -verify_quiet -servername {host} -connect ssh.runloop.ai:443", "key 0"])
        self.assertEqual(said[5], "list 0")
        words = said[6].split()
        key = words[2].partition("8080-")[2].partition(".")[0]
        tail = f".tunnel.{self.double.url.partition('//')[2]}"
        self.assertEqual((words[:3], len(words[3]) >= 32), (["tunnel", "8080", f"http://8080-{key}{tail}"], True))
        self.assertEqual(said[8], f"tunnel 9090 http://9090-{key}{tail} {words[3]}")
        self.assertRegex(said[10], "^create -15 tunnel: devbox .* is authenticated; remove it first")
        self.assertEqual(said[11], f"tunnel 0 http://PORT-{key}{tail} {words[3]}")
        self.assertEqual(said[12:14] + said[15:], ["list 0", "remove 0", "list 0", "remove 0", "remove 0", "list 0"])
        self.assertEqual(done.returncode, 0)

    def test_ssh_gets_a_key_that_is_on_no_disk(self):
        box, folder = self.devbox(), os.path.join(self.folder, "bin")
        seen = self.fake_ssh(folder)
        done = self.sbx("ssh", box, "--", "echo", "two words", "it's", "", PATH=f"{folder}:{os.environ['PATH']}")
        self.assertEqual((done.code, done.err), (7, ""))
        with open(seen, encoding="utf-8") as file:
            words, key, mode = file.read().split("\0")
        host = f"{box.partition('/')[2].replace('_', '-').lower()}.ssh.invalid"
        words = words.split("\n")
        self.assertEqual(words[-3:-1], [host, "'echo' 'two words' 'it'\\''s' ''"])
        self.assertIn("-F\nnone", "\n".join(words))
        self.assertIn(f"ProxyCommand=openssl s_client -quiet -verify_quiet -servername {host} "
                      "-connect ssh.runloop.ai:443", words)
        self.assertNotIn("-i", words)
        self.assertRegex(words[next(n for n, word in enumerate(words) if word.startswith("IdentityFile"))],
                         '^IdentityFile="/proc/[0-9]+/fd/[0-9]+"$')
        self.assertEqual((key.split()[0], mode), ("ecdsa-sha2-nistp256", "600"))
        for path, _, files in os.walk(self.folder):
            for one in (os.path.join(path, name) for name in files):
                if os.path.isfile(one) and not os.path.islink(one):
                    with open(one, "rb") as file:
                        self.assertNotIn(b"PRIVATE KEY", file.read(), one)

    def fake_ssh(self, folder):
        """A program ssh that notes its words, what its key is and who may read that; the file of its notes."""
        if shutil.which("ssh-keygen") is None:
            self.skipTest("no ssh-keygen")
        os.mkdir(folder)
        with open(os.path.join(folder, "ssh"), "w", encoding="utf-8") as file:
            file.write(f"""#!/bin/sh
exec 3>{folder}/seen
printf '%s\\n' "$@" >&3
for word; do case $word in IdentityFile=*) key=${{word#*=}}; key=${{key#?}}; key=${{key%?}};; esac; done
{{ printf '\\0'; ssh-keygen -y -f "$key"; printf '\\0'; stat -Lc %a "$key" | tr -d '\\n'; }} >&3
exit 7
""")
        os.chmod(os.path.join(folder, "ssh"), 0o755)
        return os.path.join(folder, "seen")

    def test_ssh_prints_its_words_and_keeps_the_key_where_it_was_told(self):
        box, key = self.devbox(), os.path.join(self.folder, "my key")
        line = self.must("ssh", "--key", key, box).decode()
        self.assertIn(f"-o 'IdentityFile=\"{key}\"'", line)
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        with open(key, encoding="utf-8") as file:
            self.assertIn("PRIVATE KEY", file.read())
        done = self.sbx("ssh", "--key", key, box)
        self.assertEqual(done.code, 125)
        self.assertIn("File exists", done.err)
        told = json.loads(self.must("ssh", "--json", "--key", key + "2", box))
        self.assertEqual((told["port"], told["key"]), (22, key + "2"))
        self.assertIn(told["proxy_command"], told["command"])
        self.assertEqual(self.sbx("ssh", "--json", box).code, 125)
        self.must("suspend", box)
        self.assertEqual(self.sbx("ssh", "--key", key + "3", box).code, 125)
        self.assertFalse(os.path.exists(key + "3"))

    def test_ssh_uses_the_key_of_any_name_and_no_other(self):
        if shutil.which("ssh") is None:
            self.skipTest("no ssh")
        box, folder = self.devbox(), os.path.join(self.folder, "100%b %%h 'q' #1")
        os.mkdir(folder)
        for name in ("k%b", "none", "~", "~root", "plain", os.path.join(folder, "whole %u")):
            done = self.sbx("ssh", "--key", name, box, "true", cwd=folder)
            self.assertEqual((done.code, done.err), (0, ""))
            words = shlex.split(done.out.decode())
            # As far as the keys it would try; the connection is none.
            seen = subprocess.run([words[0], "-v", "-o", "ProxyCommand=false", *words[1:]], check=False, cwd="/",
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=self.environment)
            keys = [line.partition("identity file ")[2] for line in seen.stderr.decode().splitlines()
                    if "identity file " in line]
            path = os.path.join(folder, name)
            self.assertEqual([key.rpartition(" type ")[0] for key in keys], [path, path + "-cert"], seen.stderr)
            self.assertTrue(os.path.isfile(path), path)

    def test_ssh_that_is_not_there_is_told_before_a_key_is_made(self):
        box = self.devbox()
        self.forget_requests()
        done = self.sbx("ssh", box, PATH=self.folder)
        self.assertEqual(done.code, 125)
        self.assertIn("there is no program ssh here", done.err)
        self.assertFalse([one for one in self.requests() if "create_ssh_key" in one["path"]])

    def test_ssh_ends_with_sbxctl(self):
        box, folder = self.devbox(), os.path.join(self.folder, "bin")
        os.mkdir(folder)
        with open(os.path.join(folder, "ssh"), "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho $$ >{folder}/pid.new; mv {folder}/pid.new {folder}/pid; exec sleep 60\n")
        os.chmod(os.path.join(folder, "ssh"), 0o755)
        client = subprocess.Popen([provider.SBXCTL, "ssh", box], stdin=subprocess.DEVNULL,
                                  env={**self.environment, "PATH": f"{folder}:{os.environ['PATH']}"})
        self.eventually(lambda: os.path.exists(folder + "/pid"), 60)
        client.terminate()
        self.assertEqual(client.wait(60), 128 + 15)
        with open(folder + "/pid", encoding="utf-8") as file:
            self.assertFalse(os.path.exists("/proc/" + file.read().strip()))

    def test_a_tunnel_whose_token_is_not_told_is_left_alone(self):
        box = self.devbox()
        self.must("tunnel", "create", box, "8080")
        view = self.ok("GET", self.native(box))
        view["tunnel"]["auth_token"] = None
        self.double.fault(do="reply", method="GET", path=self.native(box), status=200, body=json.dumps(view), times=0)
        done = self.sbx("tunnel", "create", box, "8080")
        self.assertEqual(done.code, 125)
        self.assertIn("is authenticated and whose token is not told; remove it first", done.err)
        self.assertFalse([one for one in self.requests() if one["path"].endswith("/remove_tunnel")])

    def test_tunnels_are_made_listed_and_ended_from_the_command_line(self):
        box, tail = self.devbox(), f".tunnel.{self.double.url.partition('//')[2]}"
        url, token = self.must("tunnel", "create", box, "8080").decode().split()
        key = url.partition("8080-")[2].partition(".")[0]
        self.assertEqual(url, f"http://8080-{key}{tail}")
        again = json.loads(self.must("--json", "tunnel", "create", box, "9090"))
        self.assertEqual((again["port"], again["url"], again["token"]), (9090, f"http://9090-{key}{tail}", token))
        done = self.sbx("tunnel", "create", "--public", box, "8080")
        self.assertEqual(done.code, 125)
        self.assertIn("is authenticated; remove it first", done.err)
        self.assertNotIn("not running", done.err)
        table = self.must("tunnel", "ls", box).decode()
        self.assertEqual(table.split(), ["TUNNEL", "PORT", "URL", key, "any", f"http://PORT-{key}{tail}"])
        self.assertEqual(json.loads(self.must("--json", "tunnel", "ls", box))["tunnels"][0]["token"], token)
        done = self.sbx("tunnel", "rm", box, key + "x")
        self.assertEqual((done.code, done.err), (125, f"sbxctl: tunnel {box}: no such tunnel '{key}x'\n"))
        done = self.sbx("tunnel", "rm", box, key)
        self.assertEqual((done.code, done.err),
                         (0, f"sbxctl: tunnel {box}: the tunnel has ended for all of its ports\n"))
        self.assertEqual(self.must("-q", "tunnel", "ls", box), b"")
        self.must("tunnel", "rm", box)
        self.assertEqual(len(self.must("tunnel", "create", "--public", box, "8080").decode().split()), 1)
        self.assertIn("sbx.dial/1", self.sbx("tunnel", box, "8080").err)


if __name__ == "__main__":
    unittest.main()

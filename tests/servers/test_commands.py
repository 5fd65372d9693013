"""Commands, named shells, files and the network of the Runloop double."""
import json
import os
import secrets
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import double


def command_id():
    text = secrets.token_hex(16)
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-8{text[17:20]}-{text[20:]}"


class Commands(double.TestCase):
    def test_output_and_exit_status_are_told_at_the_end_alone(self):
        box = self.running()
        run = self.start(box, "echo out; echo err >&2; read x; exit 42", attach_stdin=True)
        early = self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        self.assertFalse({"stdout", "stderr", "exit_status"} & set(early))
        self.assertTrue(self.ok("POST", run + "/send_std_in", {"text": "\n"})["success"])
        done = self.completed(run)
        self.assertEqual((done["stdout"], done["stderr"], done["exit_status"]), ("out\n", "err\n", 42))
        self.assertEqual(self.ok("GET", run), done)
        self.refused(404, "GET", box + "/executions/exe_none")

    def test_execute_holds_for_its_time_and_kills_nothing(self):
        box = self.running()
        begun = time.monotonic()
        first = self.ok("POST", box + "/execute", {"command": "sleep 1.5; echo end", "command_id": command_id(),
                                                   "optimistic_timeout": 1})
        self.assertEqual(first["status"], "running")
        self.assertAlmostEqual(time.monotonic() - begun, 1, delta=0.4)
        self.assertEqual(self.completed(f"{box}/executions/{first['execution_id']}")["stdout"], "end\n")
        self.refused(400, "POST", box + "/execute", {"command": "true"})
        self.refused(400, "POST", box + "/execute", {"command": "true", "command_id": "5"})
        self.refused(400, "POST", box + "/execute", {"command": "true", "command_id": command_id(),
                                                     "optimistic_timeout": 26})

    def test_the_long_poll_of_a_run_answers_408_and_says_retry(self):
        self.double.turn(hold_scale=0.02)
        run = self.start(self.running(), "sleep 100")
        begun = time.monotonic()
        answer = self.double.post(run + "/wait_for_status", {"statuses": ["completed"], "timeout_seconds": 300})
        self.assertEqual((answer.status, answer.headers["x-should-retry"]), (408, "true"))
        self.assertAlmostEqual(time.monotonic() - begun, 0.5, delta=0.2)

    def test_views_hold_the_last_lines_and_say_so(self):
        box = self.running()
        run = self.start(box, "seq 5; seq 300 >&2")
        view = self.completed(run, "?last_n=3")
        self.assertEqual((view["stdout"], view["stdout_truncated"]), ("3\n4\n5\n", True))
        view = self.ok("GET", run)
        self.assertEqual((view["stdout"], view["stdout_truncated"]), ("1\n2\n3\n4\n5\n", False))
        self.assertEqual((view["stderr"].split()[0], view["stderr_truncated"]), ("201", True))
        self.assertEqual(self.ok("GET", run + "?last_n=0")["stdout"], "")
        unended = self.completed(self.start(box, "printf 'a\\nb'"), "?last_n=1")
        self.assertEqual((unended["stdout"], unended["stdout_truncated"]), ("b", True))

    def test_kill_ends_a_run_or_its_whole_group(self):
        box = self.running()
        for body in (None, {}, {"kill_process_group": True}):
            run = self.start(box, "sleep 1000")
            self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
            view = self.ok("POST", run + "/kill", body)
            self.assertEqual((view["status"], view["exit_status"]), ("completed", 137))
        run = self.start(box, "sleep 1000; true")
        self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        self.assertEqual(self.ok("POST", run + "/kill", {"kill_process_group": True})["status"], "completed")
        self.assertEqual(self.ok("POST", run + "/kill")["exit_status"], 137)

    def test_stdin_ends_and_interrupts(self):
        box = self.running()
        run = self.start(box, "cat; echo ended", attach_stdin=True)
        self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        self.ok("POST", run + "/send_std_in", {"text": "a"})
        self.ok("POST", run + "/send_std_in", {"signal": "EOF"})
        self.assertEqual(self.completed(run)["stdout"], "aended\n")
        self.assertFalse(self.ok("POST", run + "/send_std_in", {"text": "late"})["success"])
        run = self.start(box, "exec sleep 100", attach_stdin=True)
        self.ok("POST", run + "/wait_for_status", {"statuses": ["running"]})
        time.sleep(0.1)
        self.ok("POST", run + "/send_std_in", {"signal": "INTERRUPT"})
        self.assertEqual(self.completed(run)["exit_status"], 130)
        self.refused(400, "POST", run + "/send_std_in", {})
        self.assertFalse(self.ok("POST", self.start(box, "sleep 1") + "/send_std_in", {"text": "x"})["success"])

    def test_a_shell_keeps_its_state(self):
        box = self.running()
        home = self.home(box)
        self.sync(box, "cd /usr; export A=1; B=2; f() { echo f; }", shell_name="one")
        self.assertEqual(self.sync(box, "pwd; echo $A$B; f", shell_name="one")["stdout"], "/usr\n12\nf\n")
        self.assertEqual(self.sync(box, "pwd; echo $A", shell_name="two")["stdout"], home + "\n\n")
        self.assertEqual(self.sync(box, "pwd; echo $A")["stdout"], home + "\n\n")
        self.assertEqual(self.sync(box, "(exit 5)", shell_name="one")["exit_status"], 5)
        self.assertEqual(self.sync(box, "if", shell_name="one")["exit_status"] != 0, True)
        self.assertEqual(self.sync(box, "printf no-newline; printf e >&2", shell_name="one")["stdout"], "no-newline")
        self.assertEqual(self.sync(box, "exit 7", shell_name="one")["exit_status"], 7)
        self.assertEqual(self.sync(box, "pwd; echo $A", shell_name="one")["stdout"], home + "\n\n")

    def test_a_shell_runs_one_command_after_the_other(self):
        box = self.running()
        runs = [self.start(box, f"echo {n} >>order; sleep 0.2", shell_name="s") for n in range(4)]
        self.assertEqual(self.ok("GET", runs[3])["status"], "queued")
        other = self.ok("POST", box + "/execute_sync", {"command": "echo free", "shell_name": "other"})
        self.assertEqual(other["stdout"], "free\n")
        self.completed(runs[3])
        self.assertEqual(self.sync(box, "cat order")["stdout"], "0\n1\n2\n3\n")

    def test_killing_in_a_shell_frees_it(self):
        box = self.running()
        self.sync(box, "export A=kept", shell_name="s")
        first = self.start(box, "sleep 1000", shell_name="s")
        second = self.start(box, "echo next", shell_name="s")
        third = self.start(box, "echo never", shell_name="s")
        self.ok("POST", first + "/wait_for_status", {"statuses": ["running"]})
        self.assertEqual(self.ok("POST", third + "/kill")["status"], "completed")
        self.assertEqual(self.ok("POST", first + "/kill")["exit_status"], 137)
        self.assertEqual(self.completed(second)["stdout"], "next\n")
        self.assertEqual(self.sync(box, "echo $A", shell_name="s")["stdout"], "kept\n")
        busy = self.start(box, "while :; do :; done", shell_name="s")
        self.ok("POST", busy + "/wait_for_status", {"statuses": ["running"]})
        self.ok("POST", busy + "/kill")
        self.assertEqual(self.completed(busy)["exit_status"], 137)
        self.assertEqual(self.sync(box, "echo new", shell_name="s")["stdout"], "new\n")

    def test_much_output_arrives_whole_in_a_shell_and_alone(self):
        box = self.running()
        for more in ({}, {"shell_name": "s"}):
            self.assertEqual(self.sync(box, "seq 200000", **more)["stdout"],
                             "".join(f"{n}\n" for n in range(1, 200001)))

    def test_two_hundred_runs_at_once(self):
        boxes = [self.running() for _ in range(4)]
        runs = [(n, self.start(boxes[n % 4], f"echo {n}")) for n in range(200)]
        for n, run in runs:
            self.assertEqual(self.completed(run)["stdout"], f"{n}\n")


class Files(double.TestCase):
    def upload(self, box, path, content, status=200):
        body = (b'--edge\r\ncontent-disposition: form-data; name="path"\r\n\r\n' + path.encode() +
                b'\r\n--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
                b"content-type: application/octet-stream\r\n\r\n" + content + b"\r\n--edge--\r\n")
        answer = self.double.post(box + "/upload_file", body,
                                  headers={"content-type": "multipart/form-data; boundary=edge"})
        self.assertEqual(answer.status, status, answer.body)

    def test_bytes_go_in_and_out_as_they_are(self):
        box, content = self.running(), bytes(range(256)) * 5000 + b"\r\n--edg"
        self.upload(box, "data", content)
        answer = self.double.post(box + "/download_file", {"path": self.home(box) + "/data"})
        self.assertEqual(answer.body, content)
        self.assertEqual(answer.headers["content-type"], "application/octet-stream")
        self.assertIn("attachment", answer.headers["content-disposition"])
        self.upload(box, "~/empty", b"")
        self.assertEqual(self.ok("POST", box + "/download_file", {"path": "empty"}), b"")

    def test_text_goes_in_and_out(self):
        box, text = self.running(), "größe\n\u0000\U0001f600"
        path = self.home(box) + "/t x"
        done = self.ok("POST", box + "/write_file_contents", {"file_path": path, "contents": text})
        self.assertEqual(done["exit_status"], 0)
        answer = self.double.post(box + "/read_file_contents", {"file_path": path})
        self.assertEqual((answer.body.decode(), answer.headers["content-type"]), (text, "text/plain; charset=utf-8"))

    def test_missing_files_and_directories_are_told(self):
        box = self.running()
        self.assertIn("not found", self.refused(404, "POST", box + "/download_file", {"path": "none"}))
        self.refused(404, "POST", box + "/read_file_contents", {"file_path": "/none/x"})
        self.refused(400, "POST", box + "/download_file", {"path": "/tmp"})
        done = self.ok("POST", box + "/write_file_contents", {"file_path": "no/dir", "contents": ""})
        self.assertNotEqual(done["exit_status"], 0)
        self.upload(box, "no/dir", b"", 400)
        self.refused(400, "POST", box + "/download_file", {"file_path": "x"})
        self.refused(400, "POST", box + "/upload_file", {"path": "x"})
        self.refused(404, "POST", "/v1/devboxes/dbx_none/download_file", {"path": "x"})


class Network(double.TestCase):
    def test_a_tunnel_reaches_a_server_in_the_devbox(self):
        box = self.running(tunnel={"auth_mode": "authenticated"})
        tunnel = self.ok("GET", box)["tunnel"]
        self.assertIn("has a tunnel", self.refused(400, "POST", box + "/enable_tunnel", {}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        host = {"host": f"{port}-{tunnel['tunnel_key']}.tunnel.test",
                "x-runloop-tunnel-authorization": "Bearer " + tunnel["auth_token"]}
        self.assertEqual(self.double.get("/page", headers=host).status, 502)
        self.sync(box, "echo hello >page")
        self.start(box, f"python3 -m http.server {port}")
        self.eventually(lambda: self.double.get("/page", headers=host).body == b"hello\n")
        self.assertEqual(self.double.get("/page", headers={"host": host["host"]}).status, 401)
        self.ok("POST", box + "/remove_tunnel")
        self.assertEqual(self.double.get("/page", headers=host).status, 404)
        self.refused(404, "POST", box + "/remove_tunnel")
        self.assertEqual(self.ok("POST", box + "/enable_tunnel")["auth_mode"], "open")

    def test_a_tunnel_wakes_a_devbox_where_it_was_told_to(self):
        box = self.running(tunnel={"wake_on_http": True})
        id, key = box.rpartition("/")[2], self.ok("GET", box)["tunnel"]["tunnel_key"]
        self.ok("POST", box + "/suspend")
        self.await_status(id, "suspended")
        self.double.get("/", headers={"host": f"1-{key}.tunnel.test"})
        self.await_status(id, "running")

    def test_ssh_keys_are_real_keys(self):
        box = self.running()
        made = self.ok("POST", box + "/create_ssh_key")
        self.assertEqual(made["ssh_user"], "user")
        other = self.ok("POST", box + "/create_ssh_key")
        self.assertNotEqual(made["ssh_private_key"], other["ssh_private_key"])
        self.assertIn("auth_token", self.ok("POST", box + "/create_pty_tunnel"))
        for tool in (["openssl", "ec", "-noout", "-check", "-in"], ["ssh-keygen", "-y", "-f"]):
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(made["ssh_private_key"])
                file.flush()
                os.chmod(file.name, 0o600)
                try:
                    subprocess.run([*tool, file.name], check=True, capture_output=True)
                except FileNotFoundError:
                    print(f"SKIP: {tool[0]} is not here to read the key")
                except subprocess.CalledProcessError as error:
                    self.assertIn(b"No user exists", error.stderr)
                    print(f"SKIP: {tool[0]} serves no user without a name")


class Wire(double.TestCase):
    def test_connections_stay_open(self):
        one = self.double.connect()
        for _ in range(5):
            self.assertEqual(self.double.get("/v1/devboxes", connection=one).status, 200)
        self.assertEqual(len({entry["connection"] for entry in self.ok("GET", "/_double/requests")["requests"]}), 1)
        one.close()

    def test_bodies_may_be_chunked_announced_or_absent(self):
        for headers in ({"transfer-encoding": "chunked"}, {"content-length": "0"}):
            one = self.double.connect()
            one.putrequest("POST", "/v1/devboxes")
            for name, value in {**headers, "authorization": f"Bearer {double.KEY}"}.items():
                one.putheader(name, value)
            one.endheaders()
            if "transfer-encoding" in headers:
                for part in (b'{"name"', b': "c"}', b""):
                    one.send(b"%x\r\n%s\r\n" % (len(part), part))
            self.assertEqual(json.loads(one.getresponse().read())["name"],
                             "c" if "transfer-encoding" in headers else None)
            one.close()

    def test_a_client_that_expects_is_told_to_continue(self):
        with socket.create_connection(("127.0.0.1", self.double.port), 10) as sock:
            sock.sendall(b"POST /v1/devboxes HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
            self.assertEqual(sock.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(b"{}")
            self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 401 "))

    def test_what_is_no_http_is_refused(self):
        for text in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nbad line\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n",
                     b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nx: " + b"y" * 70000 + b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.double.port), 10) as sock:
                sock.sendall(text)
                self.assertTrue(sock.recv(100).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")))

    def test_many_clients_are_served_at_once(self):
        self.double.turn(stuck="queued")
        id = self.ok("POST", "/v1/devboxes", {})["id"]
        waiters = [threading.Thread(target=self.await_status, args=(id, "running")) for _ in range(50)]
        for one in waiters:
            one.start()
        self.double.turn(stuck="")
        for one in waiters:
            one.join(20)
            self.assertFalse(one.is_alive())

    def test_it_listens_on_the_loopback_interface_alone(self):
        with open("/proc/net/tcp", encoding="ascii") as file:
            places = [line.split()[1] for line in file if line.split()[3] == "0A"]
        self.assertIn(f"0100007F:{self.double.port:04X}", places)
        self.assertNotIn(f"00000000:{self.double.port:04X}", places)


if __name__ == "__main__":
    unittest.main()

"""For tests: a double of a Docker daemon that runs as long as the test, and sbxctl with docker as its provider on it."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("SBX_TEST_BUILD", os.path.join(HERE, "..", "..", "build"))
SBXCTL = os.path.join(BUILD, "bin", "sbxctl")
SANITIZED = os.environ.get("SBX_TEST_SANITIZED", "") != ""
# A call that is to run into its deadline has a short one; one that is refused at once never sees its own.
DEADLINE = 1.0
PLENTY = 30.0
# What a call may take beyond its deadline, and what a busy machine may add.
GRACE = 1.0
BUSY = 4.0 if SANITIZED else 2.0


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Relay:
    """A TCP port in front of a unix socket."""
    def __init__(self, host, path):
        self.path, self.ends = path, []
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(self.path)
            self.ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for one in [self.listener, *self.ends]:
            one.close()


class Outcome:
    def __init__(self, code, out, err, seconds, kilobytes):
        self.code, self.out, self.err, self.seconds, self.kilobytes = code, out, err, seconds, kilobytes

    def __repr__(self):
        return f"exit {self.code} after {self.seconds:.2f} s, {self.kilobytes} KiB\n{self.out[-2000:]}\n{self.err[-2000:]}"

    @property
    def json(self):
        return json.loads(self.out)


class TestCase(unittest.TestCase):
    options = ("--image", "busy", "--foreign", "theirs")
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(BUILD, "lib", "sbx", "docker.so")):
            print("SKIP: the docker provider is not built")
            sys.exit(77)
        if subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            print("SKIP: the double's containers need a process namespace, which root alone can make")
            sys.exit(77)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="engine-test.")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.socket = os.path.join(self.folder, "engine.sock")
        for name in ("run", "state", "work", "config"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        self.double = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "engine"), "--socket", self.socket, *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": self.folder})
        self.addCleanup(self.stop)
        self.assertEqual(self.double.stdout.readline(), "ready\n")
        self.config = os.path.join(self.folder, "sbx.ini")
        with open(self.config, "w", encoding="utf-8") as ini:
            ini.write(f"[sbx]\ndefault = d\n[provider d]\nplugin = docker\nhost = unix://{self.socket}\nimage = busy\n"
                      f"pull = never\nworkdir = {self.folder}/work\n")

    def stop(self):
        self.double.stdin.close()
        self.double.wait(30)
        self.double.stdout.close()

    # --- the double ---

    def ask(self, method, path, body=None):
        one = Local(self.socket)
        try:
            one.request(method, path, None if body is None else json.dumps(body))
            reply = one.getresponse()
            text = reply.read()
            self.assertEqual(reply.status, 200, text)
            return json.loads(text) if text else None
        finally:
            one.close()

    def fault(self, **rule):
        self.ask("POST", "/_double/faults", rule)

    def no_faults(self):
        self.ask("DELETE", "/_double/faults")

    def containers(self):
        return [one["Names"][0] for one in self.ask("GET", "/_double/containers") if one["Names"] != ["/theirs"]]

    def log(self):
        return self.ask("GET", "/_double/log")

    # --- sbxctl ---

    def configure(self, pattern, line):
        with open(self.config, encoding="utf-8") as ini:
            text = re.sub(pattern, line, ini.read())
        with open(self.config, "w", encoding="utf-8") as ini:
            ini.write(text)

    def environment(self):
        return {"SBX_CONFIG": self.config, "XDG_RUNTIME_DIR": self.folder + "/run",
                "XDG_STATE_HOME": self.folder + "/state", "XDG_CONFIG_HOME": self.folder + "/config",
                "DOCKER_CONFIG": self.folder + "/client"}

    def sbx(self, *words, stdin=None, patience=60):
        env = {**os.environ, **self.environment()}
        began = time.monotonic()
        with open(self.folder + "/out", "w+", encoding="utf-8", errors="replace") as out, \
                open(self.folder + "/err", "w+", encoding="utf-8", errors="replace") as err:
            process = subprocess.Popen([SBXCTL, *words], stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err, env=env)
            try:
                usage = self.wait(process, began + patience)
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
            out.seek(0)
            err.seek(0)
            return Outcome(process.returncode, out.read(), err.read(), time.monotonic() - began, usage)

    def wait(self, process, until):
        """Its peak of memory in KiB."""
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_maxrss
            if time.monotonic() > until:
                self.fail("sbxctl does not end")
            time.sleep(0.005)

    def ok(self, *words, **more):
        done = self.sbx(*words, **more)
        self.assertEqual(done.code, 0, done)
        return done

    def within(self, deadline, *words):
        """Ends no more than a second after its deadline."""
        done = self.sbx(words[0], "--deadline", str(deadline), *words[1:])
        self.assertLess(done.seconds, deadline + GRACE + BUSY, done)
        return done

    def refused(self, *words):
        """Fails, without waiting for its deadline."""
        done = self.within(PLENTY, *words)
        self.assertEqual(done.code, 125, done)
        self.assertNotIn("option", done.err)
        return done

    def late(self, *words):
        """Ends at its deadline."""
        done = self.within(DEADLINE, *words)
        self.assertEqual(done.code, 124, done)
        return done

"""For tests of the Runloop provider: sbxctl with a double of the service."""
import os
import subprocess
import sys

BUILD = os.environ["SBX_TEST_BUILD"]
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "servers"))
import double  # noqa: E402  pylint: disable=wrong-import-position

SBXCTL = os.path.join(BUILD, "bin", "sbxctl")


class Done:
    """How a command of sbxctl ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class TestCase(double.TestCase):
    """A test with a double of its own and the provider that speaks to it."""

    def setUp(self):
        super().setUp()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SBX_")}
        self.environment.update(RUNLOOP_BASE_URL=self.double.url, RUNLOOP_API_KEY=double.KEY)
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            self.environment[name] = os.path.join(self.folder, name)
            os.mkdir(self.environment[name], 0o700)

    def sbx(self, *words, data=b"", timeout=60, cwd=None, **environment):
        """Runs sbxctl. data: its stdin; cwd: where."""
        done = subprocess.run([SBXCTL, *words], check=False, input=data, capture_output=True, timeout=timeout, cwd=cwd,
                              env={**self.environment, **environment})
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def must(self, *words, **more):
        """Its output, where it ended well."""
        done = self.sbx(*words, **more)
        self.assertEqual((done.code, done.err), (0, ""), words)
        return done.out

    def devbox(self, *words):
        """The id of a new sandbox."""
        return self.must("create", "--provider", "runloop", *words).decode().strip()

    def native(self, box):
        return "/v1/devboxes/" + box.partition("/")[2]

    def requests(self):
        return self.ok("GET", "/_double/requests")["requests"]

    def forget_requests(self):
        self.ok("DELETE", "/_double/requests")

    def living(self):
        return [one for one in self.ok("GET", "/v1/devboxes")["devboxes"] if one["status"] != "shutdown"]

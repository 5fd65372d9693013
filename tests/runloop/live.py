#!/usr/bin/env python3
"""live.py [--sbxctl PATH] [--only NAME]... [--silent SECONDS] [--json] [--record FILE] - asks the real Runloop service what its documentation leaves open, and tries the
provider on it. With RUNLOOP_API_KEY set it makes two of the smallest devboxes, one after the other, and is over within
fifteen minutes; both are shut down at the end, and would end by themselves after that time.

Exit code: 0 everything was asked and works, 1 something did not, 2 nothing was asked.
"""
import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import live_questions

HERE = os.path.dirname(os.path.abspath(__file__))
LIFETIME_SECONDS = 900
LIMIT_SECONDS = 600  # no question is begun later
SIZE = "X_SMALL"


class Failed(Exception):
    """A check of the provider's that was not kept."""


class Report:
    """What was found, printed as it is."""

    def __init__(self, as_json):
        self.as_json, self.found, self.bad = as_json, {}, 0

    def add(self, name, question, finding, good=True):
        self.found[name] = finding
        self.bad += not good
        if not self.as_json:
            print(f"{name}: {question}\n    {finding}", flush=True)

    def finish(self, left):
        if self.as_json:
            print(json.dumps({"ok": self.bad == 0 and left == 0, "found": self.found, "left": left}))
        else:
            print(f"{len(self.found)} asked, {self.bad} without an answer, {left} devboxes left")
        return 0 if self.bad == 0 and left == 0 else 1


# --- the provider ---------------------------------------------------------------------------------------------------

class Provider:
    """sbxctl on the service."""

    def __init__(self, program, token, folder):
        self.program, self.token, self.folder = program, token, folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SBX_")}
        self.environment.update({name: folder for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME")})
        self.box = None

    def sbx(self, *words, data=None, code=0):
        source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run([self.program, *words], check=False, capture_output=True, timeout=180,
                              env=self.environment, **source)
        if done.returncode != code:
            raise Failed(f"sbxctl {words[0]}: exit code {done.returncode}: {done.stderr.decode()[:300].strip()}")
        return done.stdout

    def same(self, got, wanted, what):
        if got != wanted:
            raise Failed(f"{what}: {got[:100]!a}, not {wanted[:100]!a}")

    def create(self):
        """Is a sandbox made?"""
        self.box = self.sbx("create", "--provider", "runloop", "--label", f"live-check={self.token}", "--lifetime", "15m",
                            "--option", f"runloop.size={SIZE}").decode().strip()

    def commands(self):
        """Are output, exit code and variables exact?"""
        self.same(self.sbx("exec", self.box, "--", "seq", "100000"),
                  "".join(f"{n}\n" for n in range(1, 100001)).encode(), "output")
        self.sbx("exec", self.box, "--", "sh", "-c", "exit 42", code=42)
        self.same(self.sbx("exec", "--env", "V=a b", self.box, "--", "sh", "-c", "echo \"$V\""), b"a b\n", "a variable")
        self.same(self.sbx("exec", "-i", self.box, "--", "cat", data=b"in\n"), b"in\n", "input")

    def limits(self):
        """Is a command killed at its limit, with what it started?"""
        self.sbx("exec", "--timeout", "3", self.box, "--", "sh", "-c", "(setsid sleep 4711 &); sleep 4711", code=124)
        self.same(self.sbx("exec", self.box, "--", "sh", "-c", "pgrep -fc '^sleep 4711' || true"), b"0\n", "left over")

    def shells(self):
        """Does a named shell keep its state?"""
        self.sbx("shell", self.box, "live", "cd /tmp; V=kept")
        self.same(self.sbx("shell", self.box, "live", "pwd; echo $V"), b"/tmp\nkept\n", "a shell")

    def jobs(self):
        """Is a job waited for and read?"""
        job = self.sbx("job", "start", self.box, "--", "sh", "-c", "echo out; sleep 2; exit 3").decode().strip()
        self.sbx("wait", self.box, job, code=3)
        self.same(self.sbx("logs", self.box, job), b"out\n", "a job's output")

    def files(self):
        """Are files exact, and their errors told apart?"""
        data = bytes(range(256)) * 4096
        self.sbx("files", "write", self.box, "live/deep/f", data=data)
        self.same(self.sbx("files", "cat", self.box, "live/deep/f"), data, "a file")
        self.sbx("files", "cat", self.box, "live/none", code=125)

    def ways_in(self):
        """Are an SSH key and a tunnel made, and the tunnel ended?"""
        self.sbx("ssh", "--key", os.path.join(self.folder, "key"), self.box)
        self.sbx("tunnel", "create", self.box, "8080")
        self.sbx("-q", "tunnel", "rm", self.box)
        self.same(self.sbx("-q", "tunnel", "ls", self.box), b"", "tunnels left")

    def remove(self):
        """Does the sandbox end?"""
        self.sbx("rm", self.box)
        self.sbx("exec", self.box, "--", "true", code=125)


# --- all of it ------------------------------------------------------------------------------------------------------

def make_box(service, token, silent):
    begin = time.monotonic()
    wish = {"name": "sbx-live", "metadata": {"live-check": token},
            "launch_parameters": {"resource_size_request": SIZE, "keep_alive_time_seconds": LIFETIME_SECONDS}}
    answer = service.post("/v1/devboxes/create_and_await_running", wish)
    if answer.status != 200:
        view = service.must("/v1/devboxes", wish)
        created = answer.short
    else:
        view = answer.json
        created = f"HTTP 200, {view['status']} after {time.monotonic() - begin:.1f} s"
    box = live_questions.Box(service, view["id"], created, silent)
    if box.await_status("running", "failure", "shutdown") != "running":
        raise OSError(f"devbox {box.id} does not run")
    return box


def ask_all(service, token, report, until, options):
    questions = [one for one in live_questions.QUESTIONS if not options.only or one.__name__ in options.only]
    if not questions:
        return
    try:
        box = make_box(service, token, options.silent)
    except (OSError, ValueError, KeyError) as error:
        report.add("devbox", "Is a devbox made?", f"no: {error}", False)
        return
    for ask in questions:
        try:
            late = time.monotonic() > until
            report.add(ask.__name__, ask.__doc__, "not asked: the time is over" if late else ask(box), not late)
        except Exception as error:  # pylint: disable=broad-except
            report.add(ask.__name__, ask.__doc__, f"no answer: {type(error).__name__}: {error}", False)


def try_all(provider, report, until, options):
    if options.only and "sbx" not in options.only:
        return
    checks = (provider.create, provider.commands, provider.limits, provider.shells, provider.jobs, provider.files,
              provider.ways_in, provider.remove)
    for check in checks:
        try:
            if time.monotonic() > until:
                raise Failed("not tried: the time is over")
            if provider.box is None and check.__name__ != "create":
                raise Failed("not tried: there is no sandbox")
            check()
            report.add("sbx_" + check.__name__, check.__doc__, "yes")
        except (Failed, OSError, subprocess.TimeoutExpired) as error:
            report.add("sbx_" + check.__name__, check.__doc__, f"no: {error}", False)


def sweep(service, token):
    """Shuts down what was made. How many could not be."""
    left, after = 0, None
    while True:
        query = "?limit=100" + (f"&starting_after={after}" if after else "")
        page = service.call("GET", "/v1/devboxes" + query).json
        for one in page["devboxes"]:
            after = one["id"]
            if (one.get("metadata") or {}).get("live-check") == token and one["status"] not in ("shutdown", "failure"):
                left += service.post(f"/v1/devboxes/{one['id']}/shutdown?force=true", b"").status != 200
        if not page.get("has_more") or not page["devboxes"]:
            return left


def interrupted(_, __):
    raise KeyboardInterrupt


def main():
    names = [one.__name__ for one in live_questions.QUESTIONS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sbxctl", default=os.path.join(HERE, "..", "..", "build", "bin", "sbxctl"),
                        help="the program to try (default: build/bin/sbxctl of these sources)")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument("--only", action="append", metavar="NAME", choices=[*names, "sbx"],
                        help="ask this question alone; sbx: try the provider; may be repeated")
    parser.add_argument("--silent", type=float, default=live_questions.SILENT_SECONDS, metavar="SECONDS",
                        help="how long a stream is listened to on which nothing is said (default: 45)")
    parser.add_argument("--record", type=argparse.FileType("w", encoding="utf-8"), metavar="FILE",
                        help="write the answers down as exchanges.jsonl has them")
    options = parser.parse_args()
    key, url = os.environ.get("RUNLOOP_API_KEY"), os.environ.get("RUNLOOP_BASE_URL") or "https://api.runloop.ai"
    program = shutil.which(options.sbxctl)
    if not key:
        print("live: RUNLOOP_API_KEY is not set: the real service is asked with a key alone", file=sys.stderr)
        return 2
    if program is None:
        print(f"live: there is no program '{options.sbxctl}': build it, or give --sbxctl", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, interrupted)
    report, service = Report(options.json), live_questions.Service(url, key, options.record)
    token, until = secrets.token_hex(8), time.monotonic() + LIMIT_SECONDS
    folder = tempfile.mkdtemp(prefix="sbx-live.")
    left = 1
    try:
        ask_all(service, token, report, until, options)
        try_all(Provider(os.path.abspath(program), token, folder), report, until, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        left = sweep(service, token)
    return report.finish(left)


if __name__ == "__main__":
    sys.exit(main())

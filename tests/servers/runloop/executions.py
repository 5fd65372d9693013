"""Commands: started, waited for, killed and fed."""
import asyncio
import codecs
import re
import signal
import time

import pages
import shells
import wire

STATUSES = ("queued", "running", "completed")
WAIT_DEFAULT = WAIT_MAX = 25
COMMAND_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z", re.IGNORECASE)
MOST_RUNS = 20000


class Output:
    """What one stream of a run has put out so far, as UTF-8: bytes that are none have become replacement characters."""

    def __init__(self, knobs):
        self.knobs, self.bytes, self.done = knobs, bytearray(), False
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.changed = asyncio.Event()

    async def add(self, part, final=False):
        self.bytes += self.decoder.decode(part, final).encode()
        self.done = self.done or final
        self.tell()
        while len(self.bytes) >= self.knobs["output_bytes"] and not final:
            await asyncio.sleep(1)  # the command has to wait

    def finish(self):
        if not self.done:
            self.bytes += self.decoder.decode(b"", True).encode()
            self.done = True
            self.tell()

    def tell(self):
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def tail(self, lines, most):
        """The last lines, at most so many bytes of them: (text, was anything left out?)."""
        data = bytes(self.bytes)
        start = len(data) - 1 if data.endswith(b"\n") else len(data)
        for _ in range(lines):
            start = data.rfind(b"\n", 0, max(0, start))
            if start < 0:
                break
        start = max(start + 1, len(data) - most) if lines else len(data)
        return data[start:].decode("utf-8", "ignore"), start > 0


class Run(pages.Stateful):
    """One command of a devbox."""

    def __init__(self, devbox, command, shell_name, stdin):
        super().__init__("queued")
        self.devbox, self.knobs = devbox, devbox.knobs
        self.id = pages.new_id("exe_")
        self.command, self.shell_name, self.with_stdin = command, shell_name, stdin
        self.exit_status, self.killed, self.process = None, False, None
        self.stdout, self.stderr = Output(self.knobs), Output(self.knobs)

    def view(self, last_n=None):
        shown = {"devbox_id": self.devbox.id, "execution_id": self.id, "status": self.status}
        if self.shell_name:
            shown["shell_name"] = self.shell_name
        if self.status == "completed":
            lines, most = self.knobs["last_n"] if last_n is None else last_n, self.knobs["view_bytes"]
            shown["stdout"], shown["stdout_truncated"] = self.stdout.tail(lines, most)
            shown["stderr"], shown["stderr_truncated"] = self.stderr.tail(lines, most)
            shown["exit_status"] = self.exit_status
        return shown

    def whole_view(self):
        shown = {"devbox_id": self.devbox.id, "exit_status": self.exit_status,
                 "stdout": self.stdout.bytes.decode(), "stderr": self.stderr.bytes.decode()}
        return {**shown, "shell_name": self.shell_name} if self.shell_name else shown

    def complete(self, code):
        if self.status == "completed":
            return
        if self.killed:
            self.exit_status = self.knobs["killed_exit_status"]
        else:
            self.exit_status = code if code >= 0 else 128 - code
        self.stdout.finish()
        self.stderr.finish()
        self.devbox.log("exec", cmd=self.command, cmd_id=self.id, exit_code=self.exit_status,
                        shell_name=self.shell_name)
        self.become("completed")

    async def work(self):
        """From its start to its end. The devbox counts as used meanwhile."""
        self.devbox.uses += 1
        try:
            if self.shell_name:
                code = await shells.run(self)
            else:
                code = await self.run_alone()
        except OSError as error:  # the box went away
            await self.stderr.add(f"{error}\n".encode())
            self.killed, code = True, 1
        finally:
            self.devbox.uses -= 1
            self.devbox.active = time.monotonic()
        self.complete(code)
        if self.knobs["retention_seconds"]:
            await asyncio.sleep(self.knobs["retention_seconds"])
            self.devbox.runs.pop(self.id, None)

    async def run_alone(self):
        if self.killed:
            return 0
        self.process = await self.devbox.box.start(["bash", "-c", self.command], stdin=self.with_stdin)
        self.become("running")
        pumps = [asyncio.ensure_future(pump(self.process.stdout, self.stdout)),
                 asyncio.ensure_future(pump(self.process.stderr, self.stderr))]
        code = await self.process.wait()
        if code == -9 and self.devbox.box.control is None:
            self.killed = True
        if self.knobs["background_holds"] and not self.killed:
            await asyncio.wait(pumps)
        else:
            await asyncio.wait(pumps, timeout=0.2)
            for one in pumps:
                one.cancel()
        return code

    async def kill(self, whole_group):
        """A run that still waits for its shell ends without having run."""
        if self.status == "completed":
            return
        self.killed = True
        if self.status == "queued":
            self.complete(0)
        elif self.shell_name:
            await shells.kill(self)
        else:
            self.process.signal(signal.SIGKILL, "group" if whole_group else "one")


async def pump(reader, output):
    while True:
        part = await reader.read(1 << 16)
        if not part:
            break
        await output.add(part)
    output.finish()


def last_n_of(request):
    if "last_n" not in request.query:
        return None
    return int(wire.number_of(request.query, "last_n", 100, 0, 1 << 31))


class Executions:
    def __init__(self, service):
        self.service, self.knobs = service, service.knobs

    def routes(self):
        one, run = "/v1/devboxes/{id}", "/v1/devboxes/{id}/executions/{run}"
        return [("POST", one + "/execute", self.execute), ("POST", one + "/execute_async", self.execute_async),
                ("POST", one + "/execute_sync", self.execute_sync), ("GET", run, self.retrieve),
                ("POST", run + "/wait_for_status", self.wait), ("POST", run + "/kill", self.kill),
                ("POST", run + "/send_std_in", self.send)]

    def find(self, id, run):
        devbox = self.service.devboxes.find(id)
        if run not in devbox.runs:
            raise wire.Problem(404, f"execution not found: {run}")
        return devbox.runs[run]

    async def begin(self, id, body, run_id=None):
        devbox = self.service.devboxes.find(id)
        command, shell = wire.text_of(body, "command", True), wire.text_of(body, "shell_name")
        if shell is not None and not shell:
            raise wire.Problem(400, "'shell_name' is empty")
        stdin = wire.flag_of(body, "attach_stdin")
        if stdin and shell:
            raise wire.Problem(400, "this double attaches no stdin in a named shell")
        await devbox.ready_for_commands()
        if len(devbox.runs) >= MOST_RUNS:
            raise wire.Problem(429, "too many executions")
        run = Run(devbox, command, shell, stdin)
        run.id = run_id or run.id
        devbox.runs[run.id] = run
        self.service.background(run.work())
        return run

    async def execute(self, request, id):
        """Replies when the command has ended or the time is over; it goes on then."""
        body = request.json("command", "command_id", "shell_name", "optimistic_timeout")
        token = wire.text_of(body, "command_id", True)
        if not COMMAND_ID.match(token):
            raise wire.Problem(400, "'command_id' is not a UUID of version 7")
        last_n = last_n_of(request)
        seconds = wire.number_of(body, "optimistic_timeout", WAIT_DEFAULT, 0, WAIT_MAX)
        known = self.service.devboxes.find(id).run_of_command
        if token in known and self.knobs["command_id_reuse"]:
            run = known[token]
        else:
            run = await self.begin(id, body, token if self.knobs["execution_id"] == "command_id" else None)
            known[token] = run
        await run.reach(("completed",), seconds * self.knobs["hold_scale"])
        return run.view(last_n)

    async def execute_async(self, request, id):
        return (await self.begin(id, request.json("command", "shell_name", "attach_stdin"))).view()

    async def execute_sync(self, request, id):
        run = await self.begin(id, request.json("command", "shell_name"))
        while not await run.reach(("completed",), 3600):
            pass
        return run.whole_view()

    async def retrieve(self, request, id, run):
        return self.find(id, run).view(last_n_of(request))

    async def wait(self, request, id, run):
        found, body = self.find(id, run), request.json("statuses", "timeout_seconds")
        statuses, last_n = pages.statuses_of(body, STATUSES), last_n_of(request)
        seconds = min(wire.number_of(body, "timeout_seconds", WAIT_DEFAULT, 0, 86400), WAIT_MAX)
        if not await found.reach(statuses, seconds * self.knobs["hold_scale"]):
            headers = {"x-should-retry": "true"} if self.knobs["wait_should_retry"] else {}
            raise wire.Problem(408, f"execution {run} is still {found.status}", headers)
        return found.view(last_n)

    async def kill(self, request, id, run):
        found, body = self.find(id, run), request.json("kill_process_group")
        await found.kill(wire.flag_of(body, "kill_process_group"))
        await found.reach(("completed",), 1)
        return found.view()

    async def send(self, request, id, run):
        """success is false where nothing reads."""
        found, body = self.find(id, run), request.json("text", "signal")
        text, word = wire.text_of(body, "text"), wire.text_of(body, "signal")
        if (text is None) == (word is None):
            raise wire.Problem(400, "one of 'text' and 'signal' is to be given")
        if word not in (None, "EOF", "INTERRUPT"):
            raise wire.Problem(400, f"no signal '{word}'")
        done = found.status == "running" and found.with_stdin and await feed(found.process, text, word)
        if done and self.knobs["stdin_ends_run"]:
            await found.kill(True)
        return {"devbox_id": id, "execution_id": run, "success": bool(done)}


async def feed(process, text, word):
    if word == "INTERRUPT":
        process.signal(signal.SIGINT, "group")
        return True
    if process.stdin.is_closing():
        return False
    try:
        if word == "EOF":
            process.stdin.close()
        else:
            process.stdin.write(text.encode())
            await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True

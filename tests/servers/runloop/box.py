"""A place where a devbox's commands really run: a directory, made the root of a bubblewrap sandbox where that works.

Everything starts through one keeper process inside, and its end is the end of all of them, as with a machine that is
switched off. The directory stays.
"""
import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys

import keeper

HERE = os.path.dirname(os.path.abspath(__file__))
LOST = -9
REST_ROUNDS = 400  # so many times 5 ms
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM = ("/bin", "/sbin", "/lib", "/lib64", "/lib32")
FROM_HOST = ("/etc/alternatives", "/etc/ssl", "/etc/ld.so.cache", "/etc/ca-certificates")


def python():
    """An interpreter that is seen below /usr."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def wrap(root, uid, home):
    """The command line in front of the keeper's."""
    words = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--as-pid-1",
             "--uid", str(uid), "--gid", str(uid), "--bind", root, "/", "--ro-bind", "/usr", "/usr"]
    for path in SYSTEM:
        if os.path.isdir(path) and not os.path.islink(path):
            words += ["--ro-bind", path, path]
    for path in FROM_HOST:
        words += ["--ro-bind-try", path, path]
    return words + ["--proc", "/proc", "--dev", "/dev", "--chdir", home, "--"]


def bubblewrap_works(folder):
    root = os.path.join(folder, "probe")
    furnish(root, "user", 1000)
    done = subprocess.run(wrap(root, 1000, "/home/user") + [python(), "-I", "-S", "-c", "pass"], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) \
        if shutil.which("bwrap") else None
    return done is not None and done.returncode == 0


def furnish(root, user, uid):
    """A new root directory with what programs expect to be there."""
    home = "/root" if uid == 0 else f"/home/{user}"
    for path in (home, "/tmp", "/etc", "/root", "/opt", "/var/tmp", "/run", "/mnt", "/srv"):
        os.makedirs(root + path, exist_ok=True)
    for path in ("/tmp", "/var/tmp"):
        os.chmod(root + path, 0o1777)
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
    accounts = "root:x:0:0:root:/root:/bin/bash\n"
    groups = "root:x:0:\n"
    if uid != 0:
        accounts += f"{user}:x:{uid}:{uid}::{home}:/bin/bash\n"
        groups += f"{user}:x:{uid}:\n"
    for name, text in (("passwd", accounts), ("group", groups), ("hosts", "127.0.0.1 localhost\n"),
                       ("hostname", "devbox\n"), ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")):
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    if os.path.exists("/etc/resolv.conf"):
        shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")


async def reader_of(fd, limit=1 << 16):
    reader = asyncio.StreamReader(limit=limit)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader),
                                                       os.fdopen(fd, "rb", buffering=0))
    return reader


async def writer_of(fd):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(fd, "wb", buffering=0))
    return asyncio.StreamWriter(transport, protocol, None, loop)


def state_of(pid):
    """Its letter in /proc; X when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (OSError, IndexError):
        return "X"


def send(pid, number):
    try:
        os.kill(pid, number)
    except OSError:
        pass


class Process:
    """One process of a box. stdin is None where it has none; extra holds the ends of descriptors 3 and 4."""

    def __init__(self, box, number, stdin, stdout, stderr, extra):
        self.box, self.number, self.stdin, self.stdout, self.stderr, self.extra = \
            box, number, stdin, stdout, stderr, extra
        self.ended = asyncio.get_running_loop().create_future()

    def signal(self, number, whom):
        """whom: one, group, or below (all that descend from it)."""
        if not self.ended.done():
            self.box.ask({"do": "signal", "id": self.number, "signal": number, "whom": whom})

    async def wait(self):
        """The exit code; minus the signal where one ended it."""
        return await asyncio.shield(self.ended)


class Box:
    def __init__(self, root, wrapped, user="user", uid=1000):
        self.root, self.wrapped, self.user, self.uid = root, wrapped, user, uid
        place = "/root" if uid == 0 else f"/home/{user}"
        self.home = place if wrapped else root + place
        self.environment = {}
        self.keeper = self.control = self.listener = None
        self.processes, self.numbers = {}, itertools.count(1)

    @contextlib.asynccontextmanager
    async def at_rest(self):
        """Nothing in it runs meanwhile, but for the keeper."""
        stopped = set()
        for _ in range(REST_ROUNDS if self.keeper is not None and self.keeper.returncode is None else 0):
            of = keeper.parents()
            running = {pid for pid in keeper.below(self.keeper.pid) - stopped
                       if not (self.wrapped and of.get(pid) == self.keeper.pid) and state_of(pid) not in "TtZX"}
            for pid in running:
                send(pid, signal.SIGSTOP)
            if not running and all(state_of(pid) in "TtZX" for pid in stopped):
                break
            stopped |= running
            await asyncio.sleep(0.005)
        try:
            yield
        finally:
            for pid in stopped:
                send(pid, signal.SIGCONT)

    async def open(self, environment):
        """Starts the keeper. environment: what every process gets."""
        if not os.path.isdir(self.root):
            furnish(self.root, self.user, self.uid)
        self.environment = {"HOME": self.home, "USER": self.user, "LOGNAME": self.user, "SHELL": "/bin/bash",
                            "PATH": PATH, "LANG": "C.UTF-8", **environment}
        with open(os.path.join(HERE, "keeper.py"), encoding="utf-8") as file:
            command = [python(), "-I", "-S", "-c", file.read()]
        ours, theirs = socket.socketpair()
        events, told = os.pipe2(os.O_CLOEXEC)
        # Descriptors 3 and 4 of the keeper, whatever their numbers are here.
        one, other = theirs.fileno(), told
        shuffle = ["bash", "-c", f'exec 3<&{one} 4>&{other} {one}<&- {other}>&- && exec "$@"', "bash"]
        whole = shuffle + (wrap(self.root, self.uid, self.home) if self.wrapped else []) + command
        try:
            self.keeper = await asyncio.create_subprocess_exec(
                *whole, pass_fds=(theirs.fileno(), told), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                env=self.environment)
        finally:
            theirs.close()
            os.close(told)
        self.control = ours
        lines = await reader_of(events)
        if not await asyncio.wait_for(lines.readline(), 30):
            await self.close()
            raise OSError("the keeper did not start")
        self.listener = asyncio.get_running_loop().create_task(self.listen(lines))

    async def listen(self, lines):
        while True:
            line = await lines.readline()
            if not line:
                break
            event = json.loads(line)
            process = self.processes.pop(event["id"], None)
            if process is not None and not process.ended.done():
                process.ended.set_result(event["code"])
        self.lose_all()

    def lose_all(self):
        for process in self.processes.values():
            if not process.ended.done():
                process.ended.set_result(LOST)
        self.processes.clear()

    def ask(self, wish, fds=()):
        text = json.dumps(wish).encode()
        try:
            socket.send_fds(self.control, [struct.pack(">I", len(text))], list(fds))
            self.control.sendall(text)
        except (OSError, AttributeError):
            raise OSError("the box is not running") from None

    async def start(self, argv, environment=None, stdin=False, extra=False):
        """A process in the home directory. extra: also a pipe from its descriptor 3 and one to its descriptor 4."""
        if self.control is None:
            raise OSError("the box is not running")
        output, errors = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        source = os.pipe2(os.O_CLOEXEC) if stdin else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), None)
        given, kept = [source[0], output[1], errors[1]], [source[1], output[0], errors[0]]
        if extra:
            told, commands = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
            given += [told[1], commands[0]]
            kept += [told[0], commands[1]]
        number = next(self.numbers)
        process = Process(self, number, await writer_of(kept[0]) if stdin else None, await reader_of(kept[1]),
                          await reader_of(kept[2]), ())
        if extra:
            process.extra = (await reader_of(kept[3]), await writer_of(kept[4]))
        self.processes[number] = process
        try:
            self.ask({"do": "run", "id": number, "argv": argv, "cwd": self.home,
                      "env": {**self.environment, **(environment or {})}}, given)
        finally:
            for fd in given:
                os.close(fd)
        return process

    async def call(self, script, *words, given=None):
        """Runs bash on the script to its end: (exit code, stdout, stderr). given: the bytes of its stdin."""
        process = await self.start(["bash", "-c", script, "bash", *words], stdin=given is not None)

        async def feed():
            if given is None:
                return
            try:
                process.stdin.write(given)
                await process.stdin.drain()
                process.stdin.close()
            except (BrokenPipeError, ConnectionResetError):
                pass  # it ended without reading everything; its exit code tells why

        _, output, errors = await asyncio.gather(feed(), process.stdout.read(), process.stderr.read())
        return await process.wait(), output, errors

    async def close(self):
        """Ends everything in it, at once."""
        control, self.control = self.control, None
        if control is not None:
            control.close()
            try:
                await asyncio.wait_for(self.keeper.wait(), 10)
            except asyncio.TimeoutError:
                self.keeper.kill()
                await self.keeper.wait()
        self.lose_all()

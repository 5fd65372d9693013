"""Runs inside of one devbox, starts its processes and reaps them. When the double goes away, all of them end.

Descriptor 3 is a socket of requests: four bytes of length, then JSON; the descriptors of a new process come along with
the length. Descriptor 4 takes one line of JSON for each process that has ended. The text of this file is given to
python3 -c, so it stands alone.
"""
import ctypes
import json
import os
import select
import signal
import socket
import struct
import time

PR_SET_CHILD_SUBREAPER = 36


def parents():
    """{process: its parent} of everything that /proc shows."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    found[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    return found


def below(pid):
    """Every process that descends from this one."""
    of, found, fresh = parents(), set(), {pid}
    while fresh:
        fresh = {one for one, parent in of.items() if parent in fresh and one not in found}
        found |= fresh
    return found


def send_signal(pid, number, whom):
    targets = below(pid) if whom == "below" else [pid]
    for target in targets:
        try:
            (os.killpg if whom == "group" else os.kill)(target, number)
        except OSError:
            continue


def become(wish, fds):
    """In the new process: its descriptors, its directory and its program. A failure is told on its own stderr."""
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for number, fd in enumerate(fds):
            os.dup2(fd, number, inheritable=True)
        os.closerange(len(fds), 1024)
        os.chdir(wish["cwd"])
        os.execvpe(wish["argv"][0], wish["argv"], wish["env"])
    except OSError as error:
        os.write(2, f"{wish['argv'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(126)


def started(wish, fds):
    """A new process, which has a group of its own by now: the next request may signal it."""
    reads, writes = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        become(wish, fds)
    os.close(writes)
    os.read(reads, 1)
    os.close(reads)
    return pid


class Keeper:
    def __init__(self):
        self.control, self.events, self.pids = socket.socket(fileno=3), 4, {}

    def exactly(self, length):
        parts = []
        while length > 0:
            part = self.control.recv(length)
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def take_request(self):
        head, fds, _, _ = socket.recv_fds(self.control, 4, 5)
        if not head:
            raise EOFError
        head += self.exactly(4 - len(head))
        wish = json.loads(self.exactly(struct.unpack(">I", head)[0]))
        if wish["do"] == "run":
            self.pids[wish["id"]] = started(wish, fds)
        elif wish["id"] in self.pids:
            send_signal(self.pids[wish["id"]], wish["signal"], wish["whom"])
        for fd in fds:
            os.close(fd)

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for number, known in list(self.pids.items()):
                if known == pid:
                    del self.pids[number]
                    code = os.waitstatus_to_exitcode(status)
                    os.write(self.events, json.dumps({"id": number, "code": code}).encode() + b"\n")

    def serve(self):
        awake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        os.write(self.events, b'{"ready": true}\n')
        while True:
            ready, _, _ = select.select([self.control, awake], [], [])
            if awake in ready:
                os.read(awake, 4096)
            self.reap()
            if self.control in ready:
                self.take_request()


def end_all():
    """Process 1 of a namespace takes everything with it; elsewhere each descendant is ended."""
    until = time.monotonic() + 5
    while os.getpid() != 1 and time.monotonic() < until:
        left = below(os.getpid())
        if not left:
            return
        for pid in left:
            send_signal(pid, signal.SIGKILL, "one")
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.005)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Keeper().serve()
    except (EOFError, OSError, ValueError):
        end_all()

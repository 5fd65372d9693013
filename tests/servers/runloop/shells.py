"""Named shells: one bash that stays for each name, and runs its commands one after the other.

The commands come in on its descriptor 4, each ended by NUL; after each it puts a mark behind both outputs and the exit
status on descriptor 3. Their stdin is the shell's own: a pipe into which nothing comes, and which stays open. Killing a
run ends what the shell started for it; a shell that is busy itself ends with it, and its name begins anew.
"""
import asyncio
import secrets
import signal

LOOP = """while IFS= read -r -d '' -u 4 __command; do
eval "$__command" 3>&- 4<&-
__status=$?
printf %s MARK; printf %s MARK >&2; printf '%s\\n' "$__status" >&3
done"""
KILL_TRIES = 10


class Shell:
    def __init__(self):
        self.turn = asyncio.Lock()  # serves those who wait in the order of their coming
        self.process = None
        self.mark = b""

    async def open(self, box):
        if self.process is not None and not self.process.ended.done():
            return
        self.mark = b"\x01" + secrets.token_hex(16).encode() + b"\x02"
        loop = LOOP.replace("MARK", "$'\\x01" + self.mark[1:-1].decode() + "\\x02'")
        self.process = await box.start(["bash", "-c", loop], stdin=True, extra=True)

    async def run(self, run):
        """The exit code of the run's command; that of the shell where it ended with it."""
        told, commands = self.process.extra
        commands.write(run.command.encode() + b"\0")
        outputs = [asyncio.ensure_future(self.until_mark(self.process.stdout, run.stdout)),
                   asyncio.ensure_future(self.until_mark(self.process.stderr, run.stderr))]
        line = await told.readline()
        if line.strip():
            await asyncio.gather(*outputs)
            return int(line)
        code = await self.process.wait()
        if run.devbox.box.control is None:
            run.killed = True
        await asyncio.wait(outputs, timeout=0.2)
        for one in outputs:
            one.cancel()
        return code

    async def until_mark(self, reader, output):
        """Moves what is read to the output, up to the mark."""
        kept = b""
        while True:
            part = await reader.read(1 << 16)
            kept += part
            place = kept.find(self.mark)
            if place >= 0 or not part:
                await output.add(kept[:place] if place >= 0 else kept)
                output.finish()
                return
            # What could be the beginning of a mark is kept back.
            free = len(kept)
            for length in range(min(len(kept), len(self.mark) - 1), 0, -1):
                if self.mark.startswith(kept[-length:]):
                    free -= length
                    break
            await output.add(kept[:free])
            kept = kept[free:]


async def run(one):
    """Runs a command in its shell, which its first command makes."""
    shell = one.devbox.shells.setdefault(one.shell_name, Shell())
    async with shell.turn:
        if one.killed:
            return 0
        if one.devbox.shells.get(one.shell_name) is not shell:
            raise OSError("the shell is gone")
        await shell.open(one.devbox.box)
        one.process = shell.process
        one.become("running")
        return await shell.run(one)


async def kill(one):
    """Ends the processes of the run, and the shell too where that does not help."""
    for _ in range(KILL_TRIES):
        one.process.signal(signal.SIGKILL, "below")
        if await one.reach(("completed",), 0.05):
            return
    one.process.signal(signal.SIGKILL, "group")

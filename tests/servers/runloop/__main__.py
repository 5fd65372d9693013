"""python3 tests/servers/runloop [--port N] [--key KEY] [--set NAME=VALUE]... [--fault JSON]... [--boxes KIND]

A double of the Runloop service on the loopback interface. Prints its address and serves until its stdin closes.
"""
import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import threading

import box
import knobs
import record
import service
import wire


def arguments():
    parser = argparse.ArgumentParser(prog="runloop", description="A double of the Runloop service.")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--key", default="ak_double", help="the API key that is taken")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting; VALUE is JSON or a word")
    parser.add_argument("--fault", action="append", default=[], metavar="JSON", help="a rule that spoils requests")
    parser.add_argument("--boxes", choices=("auto", "bubblewrap", "directory"), default="auto",
                        help="where commands run; auto: in bubblewrap where it works")
    parser.add_argument("--lifetime", type=float, default=3600, help="ends by itself after so many seconds")
    parser.add_argument("--record", metavar="FILE", help="writes every exchange into the file, a line of JSON each")
    parser.add_argument("--settings", action="store_true", help="lists the settings and ends")
    return parser.parse_args()


def prepare(made, options):
    """The settings and rules of the command line."""
    for one in options.set:
        name, _, value = one.partition("=")
        try:
            value = json.loads(value)
        except ValueError:
            pass  # a word
        made.knobs.turn({name: value})
    for one in options.fault:
        made.faults.add(json.loads(one))


def end_with_stdin(loop, done):
    """Ends the double at the end of its stdin."""
    def watch():
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(done.set)
    threading.Thread(target=watch, daemon=True).start()


async def serve(options, folder, recorder):
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    wrapped = options.boxes != "directory" and box.bubblewrap_works(folder)
    if options.boxes == "bubblewrap" and not wrapped:
        raise SystemExit("runloop: bubblewrap makes no sandbox here")
    made = service.Service(folder, options.key, wrapped, recorder)
    prepare(made, options)
    server = await asyncio.start_server(made.connect, "127.0.0.1", options.port, limit=wire.HEAD_LIMIT, backlog=512)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    print(made.url, flush=True)
    end_with_stdin(loop, done)
    try:
        await asyncio.wait_for(done.wait(), options.lifetime)
    except asyncio.TimeoutError:
        print("runloop: its lifetime is over", file=sys.stderr)
    server.close()
    await made.devboxes.close()


def remove(folder):
    """Also what its owner may not enter."""
    def open_up(function, path, _):
        os.chmod(os.path.dirname(path), 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, 0o700)
            shutil.rmtree(path, ignore_errors=True)
        else:
            function(path)
    shutil.rmtree(folder, onerror=open_up)


def main():
    options = arguments()
    if options.settings:
        for name, (value, text) in knobs.SETTINGS.items():
            print(f"{name}={json.dumps(value)}: {text}")
        return
    folder = tempfile.mkdtemp(prefix="runloop-double.")
    try:
        recorder = record.Recorder(options.record)
        asyncio.run(serve(options, folder, recorder))
        recorder.close()
    except wire.Problem as problem:
        raise SystemExit(f"runloop: {problem.message}") from None
    finally:
        remove(folder)


if __name__ == "__main__":
    main()

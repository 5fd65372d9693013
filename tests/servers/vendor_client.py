#!/usr/bin/env python3
"""vendor_client.py COMMAND... - runs the command beside a double; RUNLOOP_BASE_URL and RUNLOOP_API_KEY name that."""
import os
import subprocess
import sys

import double


def main():
    record = os.environ.get("RUNLOOP_RECORD")
    served = double.Double("--set", "hold_scale=0.1", *(["--record", record] if record else []))
    try:
        environment = {**os.environ, "RUNLOOP_BASE_URL": served.url, "RUNLOOP_API_KEY": double.KEY}
        return subprocess.run(sys.argv[1:], check=False, timeout=240, stdin=subprocess.DEVNULL,
                              env=environment).returncode
    finally:
        served.stop()


if __name__ == "__main__":
    sys.exit(main())

"""The quickstart, after its packages are there. See ../quickstart --help."""

import json
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import build  # noqa: E402
import feed  # noqa: E402
import kinesis  # noqa: E402
import terminal  # noqa: E402
import walk  # noqa: E402
from system import Failure, System  # noqa: E402

ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
BUILD = os.path.join(ROOT, "build")
KEPT = os.path.join(BUILD, "quickstart", "kept.json")


def main(option="", built=None, part=""):
    if option == "--stop":
        return stop_kept()
    start = time.monotonic()
    programs = build.programs(os.path.realpath(built)) if built else build.build(ROOT, BUILD)
    keep = option == "--keep"
    if keep and os.path.exists(KEPT):
        stop_kept()
    with System(programs, os.path.join(BUILD, "quickstart"), keep) as system:
        if "--kinesis" in (option, part):
            code = kinesis.show(system)
        else:
            code = max(walk.show(system), feed.show(system))
        if code != 0:
            raise Failure("This is not as it should be.")
        if keep:
            leave_running(system)
    if not keep:
        terminal.say()
        terminal.say("  Nothing is left running; `deploy/quickstart --keep` leaves it.")
    if not built:
        terminal.say("  To use the programs: cmake --install build --prefix ~/.local, or /usr with sudo.")
    terminal.say(f"  All of it took {time.monotonic() - start:.0f} s. What to read next: README.md")
    return 0


def leave_running(system):
    os.makedirs(os.path.dirname(KEPT), exist_ok=True)
    with open(KEPT, "w", encoding="utf-8") as file:
        json.dump(system.keep(), file)
    lowmark, at = system.programs["lowmark"], f"--coordinator {system.address}"
    source = os.path.join(system.directory, feed.STREAM, "shard-0.jsonl")
    terminal.say("  Left running. To look at it:\n")
    terminal.say(f"""    alias lowmark={lowmark}
    lowmark shards list {feed.STREAM} {at}
    lowmark dead-letters list {feed.STREAM} {at}
    lowmark streams get {feed.STREAM} {at}
    curl -s http://{system.http}/metrics | grep ^lowmark_""")
    for name, http in system.workers_http.items():
        if name in feed.WORKERS:
            terminal.say(f"    curl -s http://{http}/metrics | grep ^lowmark_     # worker '{name}'")
    terminal.say(f"    echo 'no JSON' >> {source}     # another dead letter")
    terminal.say(f"\n  Logs: {system.directory}/*.log\n  To stop it: deploy/quickstart --stop\n")


def stop_kept():
    """Stops what --keep left: the processes, if they still are the ones we started."""
    if not os.path.exists(KEPT):
        terminal.say("Nothing was left running.")
        return 0
    with open(KEPT, encoding="utf-8") as file:
        kept = json.load(file)
    # The servers last, so that the workers can give their shards back.
    for servers in (False, True):
        pids = [pid for name, pid in kept["pids"].items() if (name == "dev") == servers]
        if not end(pids, kept["directory"]):
            terminal.say(f"Some of these processes do not end: {pids}")
            return 1
    shutil.rmtree(kept["directory"], ignore_errors=True)
    os.remove(KEPT)
    terminal.say("Stopped what was left running.")
    return 0


def end(pids, directory):
    """SIGTERM, and whether they ended within their grace period."""
    ours = [pid for pid in pids if belongs(pid, directory)]
    for pid in ours:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 40
    while any(belongs(pid, directory) for pid in ours):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def belongs(pid, directory):
    """Whether a process lives that works in our directory."""
    try:
        return os.readlink(f"/proc/{pid}/cwd") == directory
    except OSError:
        return False


def ended_by_signal(number, _):
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended_by_signal)
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        terminal.say("\nStopped; nothing is left running.")
        sys.exit(130)
    except Failure as failure:
        terminal.say(f"\n{failure}")
        sys.exit(1)

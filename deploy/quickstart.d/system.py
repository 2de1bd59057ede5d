"""The servers and workers that the quickstart shows, as processes."""

import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import terminal

# Workers that die are found after this; the default of 30 s would be long to wait. On
# a machine that is busy otherwise, 2 s may be too short for those that live.
SESSION_TTL = os.environ.get("LOWMARK_SESSION_TTL") or "2s"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """The show cannot go on; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class System:
    """`lowmark dev` without workers, and workers of our own beside it, so that one
    can be killed. A context manager: on leaving, everything is stopped, unless it
    is to be kept and nothing went wrong."""

    def __init__(self, programs, cache, keep=False):
        self.programs = programs
        self.cache = cache  # outlives a run
        # Not below the source tree, which PostgreSQL's own user may not enter.
        self.directory = tempfile.mkdtemp(prefix="lowmark-quickstart-")
        os.chmod(self.directory, 0o755)
        self.address = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.workers_http = {}
        # `lowmark dev` finds the other programs on PATH.
        folders = [os.path.dirname(program) for program in programs.values()]
        self._environment = {**os.environ, "PATH": ":".join([*folders, os.environ["PATH"]]),
                             "LOWMARK_SESSION_TTL": SESSION_TTL}
        self._processes = {}  # Popen -> name
        self._keep = keep

    def __enter__(self):
        try:
            self._start()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, error=None, *_):
        if self._keep and error is None:
            return
        self._stop_all()
        if error is None or issubclass(error, KeyboardInterrupt):
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            terminal.say(f"Logs of all processes are in {self.directory}")

    # --- Processes -------------------------------------------------------------

    def _start(self):
        step = terminal.Step("Starting servers")
        step.update("PostgreSQL and the coordinator")
        dev = self.run("dev", [
            self.programs["lowmark"], "dev", "--data", os.path.join(self.directory, "dev"),
            "--listen", self.address, "--http-listen", self.http])
        self.wait(self._ready, "the coordinator to be ready", dev)
        step.done("PostgreSQL and a coordinator are there")

    def _ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.http}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def start_file_worker(self, stream, name, source, handler):
        """A worker of `stream` that reads files and runs the command `handler`."""
        return self.start_worker(
            stream, name, ["--source", "file", "--source-path", source],
            ["--handler", "exec", "--handler-command", shlex.join(handler)])

    def start_worker(self, stream, name, source, handler, environment=None):
        """A worker of `stream` with the flags of its source and of its handler."""
        http = f"127.0.0.1:{free_port()}"
        self.workers_http[name] = http
        return self.run(f"worker-{name}", [
            self.programs["lowmark-worker"], "--coordinator", self.address, "--stream", stream,
            *source, *handler, "--http-listen", http, "--grace", "5s"], environment)

    def run(self, name, command, environment=None):
        """A process that ends with us, and writes to a log that `log` reads."""
        with open(self._log(name), "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=self.directory,
                                       env={**self._environment, **(environment or {})},
                                       start_new_session=True,
                                       preexec_fn=None if self._keep else die_with_parent)
        self._processes[process] = name
        return process

    def _log(self, name):
        return os.path.join(self.directory, name + ".log")

    def log(self, name):
        with open(self._log(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, *processes):
        """SIGTERM, and what does not end by it within its grace period is killed."""
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._processes.pop(process, None)

    def end(self, process):
        """SIGTERM; it is waited for in the end."""
        process.terminate()

    def kill(self, process):
        process.kill()
        process.wait()
        self._processes.pop(process, None)

    def _stop_all(self):
        servers = [p for p, name in self._processes.items() if name == "dev"]
        self.stop(*[p for p in self._processes if p not in servers])
        self.stop(*servers)

    def wait(self, condition, what, *processes):
        """Until `condition()`; a Failure when one of our processes ends before."""
        deadline = time.monotonic() + 120
        while not condition():
            for process in processes:
                if process in self._processes and process.poll() is not None:
                    name = self._processes[process]
                    raise Failure(f"{name} ended with exit code {process.returncode}:\n"
                                  + tail(self._log(name)))
            if time.monotonic() > deadline:
                raise Failure(f"waited two minutes for {what}, in vain")
            time.sleep(0.05)

    # --- The coordinator ---------------------------------------------------------

    def _lowmark(self, *arguments):
        command = [self.programs["lowmark"], *arguments, "--coordinator", self.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}\n{done.stderr.strip()}")
        return done.stdout

    def create_stream(self, stream, policy):
        settings = []
        for field, value in policy.items():
            settings += ["--set", f"{field}={str(value).lower()}"]
        self._lowmark("streams", "create", stream, *settings)

    def shards(self, stream):
        return json.loads(self._lowmark("shards", "list", stream, "-o", "json"))["shards"]

    def shard(self, stream, shard):
        return json.loads(self._lowmark("shards", "get", stream, shard, "-o", "json"))

    def dead_letters(self, stream):
        listed = self._lowmark("dead-letters", "list", stream, "--limit", "0", "-o", "json")
        return json.loads(listed)["dead_letters"]

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=5) as answer:
            return answer.read().decode()

    # --- Leaving it running ------------------------------------------------------

    def keep(self):
        """What to remember for stopping it."""
        return {"pids": {name: process.pid for process, name in self._processes.items()},
                "directory": self.directory}


def tail(path, lines=15):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:]).rstrip()

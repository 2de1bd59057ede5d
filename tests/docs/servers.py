"""The programs as the documentation's commands find them."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

PROGRAMS = ("lowmark", "lowmark-coordinator", "lowmark-worker")


def helps():
    """What --help says of all programs and their commands."""
    return "\n".join(help_of([program]) for program in PROGRAMS)


def help_of(command):
    text = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout
    listed = re.search(r"^(?:Subc|C)ommands:\n((?:  .*\n)+)", text, re.MULTILINE)
    for name in re.findall(r"^  ([a-z][a-z-]*)\b", listed.group(1) if listed else "", re.MULTILINE):
        text += help_of([*command, name])
    return text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Servers:
    """`lowmark dev` in a directory of its own, with one small stream that a worker
    processes, so that every metric is there. A context manager."""

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="lowmark-docs-")
        home = self._directory.name
        os.chmod(home, 0o755)
        os.mkdir(os.path.join(home, "feed"))
        with open(os.path.join(home, "feed", "shard-0.jsonl"), "w", encoding="ascii") as file:
            file.write('{"n": 1}\n')
        self.address = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self._log = os.path.join(home, "dev.log")
        with open(self._log, "wb") as log:
            self._dev = subprocess.Popen(
                ["lowmark", "dev", "--data", os.path.join(home, "dev"), "--listen", self.address,
                 "--http-listen", self.http, "--stream", "feed", "--source-path",
                 os.path.join(home, "feed"), "--handler-command", "cat > /dev/null"],
                stdout=log, stderr=log, start_new_session=True)
        self._kafka = subprocess.Popen(["mock_kafka_server"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        try:
            self.kafka = self._kafka.stdout.readline().strip()
            self._await(lambda: "All is running" in self._said(), "lowmark dev")
            self._await(lambda: "lowmark_records_processed_total" in self.scrape(self.http),
                        "the first record to be processed")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._kafka.communicate(timeout=60)
        self._dev.send_signal(signal.SIGTERM)
        self._dev.wait(timeout=60)
        self._directory.cleanup()

    def environment(self):
        """What a reader has who followed what `lowmark dev` printed."""
        exports = re.search(r'^  export LOWMARK_COORDINATOR=(\S+) POSTGRES="(.*)"$', self._said(),
                            re.MULTILINE)
        source = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
        return {**os.environ, "LOWMARK_COORDINATOR": exports.group(1), "POSTGRES": exports.group(2),
                "CHECKOUT": source, "KAFKA": self.kafka, "COORDINATOR_HTTP": self.http}

    def metrics(self):
        """The names of all metrics of a coordinator and a worker."""
        worker = re.search(r"worker 1 +metrics http://([^/]*)/metrics", self._said()).group(1)
        text = self.scrape(self.http) + self.scrape(worker)
        return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))

    def _said(self):
        with open(self._log, encoding="utf-8") as log:
            return log.read()

    @staticmethod
    def scrape(address):
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def _await(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            if self._dev.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{what}: in vain\n{self._said()}")
            time.sleep(0.1)

"""A handler of batches, in a container beside the worker: an HTTP server on port 8080.

    handler.py                         serves
    handler.py --until-worker-ended    returns once the pod's worker has ended

The second is the container's preStop hook: Kubernetes tells all containers of a pod to stop
at once, and the batch that the worker has in processing needs its handler.

Each batch leaves lines in the file LEDGER, one write a line, so that all pods can append
to the same. They are what deploy/quickstart.d/ledger.py reads:

    {"event": "begin", "worker", "run", "shard", "epoch", "batch", "attempt", "sequences"}
    {"event": "stored", "shard", "sequence"}
    {"event": "end", "worker", "run", "outcome": "processed" | "reported", "sequence"}

SECONDS_A_RECORD is how long a record takes. Where FAILS_AT is n, the n-th record of each
batch fails.
"""

import http.server
import itertools
import json
import os
import signal
import socket
import sys
import time

PORT = 8080
WORKER = ("127.0.0.1", 7072)
RUNS = itertools.count()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # pylint: disable=invalid-name
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"batchItemFailures": [
            {"itemIdentifier": sequence} for sequence in process(event)]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def process(event):
    """Does what there is to do for each record; what failed, where it stopped."""
    about = event["lowmark"]
    sequences = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
    run = {"worker": socket.gethostname(), "run": next(RUNS)}
    write(event="begin", **run, shard=about["shard"], epoch=about["epoch"],
          batch=about["batchId"], attempt=about["attempt"], sequences=sequences)
    fails_at = int(os.environ.get("FAILS_AT", "0"))
    for number, sequence in enumerate(sequences, 1):
        time.sleep(float(os.environ["SECONDS_A_RECORD"]))
        if number == fails_at:
            write(event="end", **run, outcome="reported", sequence=sequence)
            return [sequence]
        write(event="stored", shard=about["shard"], sequence=sequence)
    write(event="end", **run, outcome="processed")
    return []


def write(**line):
    os.write(LEDGER, (json.dumps(line) + "\n").encode())


def wait_for_the_worker():
    while True:
        try:
            socket.create_connection(WORKER, timeout=1).close()
        except ConnectionRefusedError:
            return
        except OSError:
            pass
        time.sleep(0.1)


if sys.argv[1:] == ["--until-worker-ended"]:
    wait_for_the_worker()
else:
    LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    # The first process of a container ends by no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()

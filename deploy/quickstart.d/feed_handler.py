"""The handler of the second part: one process for each batch.

Takes the event on standard input, as a Lambda function gets it, and stores each
record that is good: it appends a line to its worker's log. It stops at the first
that is not and answers with its number. The log is only ever appended to, one
write a line, so it tells what happened whatever dies.

    {"event": "begin", "worker", "shard", "epoch", "batch", "attempt",
     "sequences"}
    {"event": "stored", "shard", "sequence"}
    {"event": "end", "outcome": "processed" | "reported" | "raised", "sequence", "why"}
"""

import base64
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402

WORKER, LOG, RULES, SECONDS_A_RECORD = sys.argv[1:]


def main():
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(**line):
        os.write(log, (json.dumps(line) + "\n").encode())

    event = json.load(sys.stdin)
    about = event["lowmark"]
    run = {"worker": WORKER, "run": os.getpid(), "shard": about["shard"]}
    records = [record["kinesis"] for record in event["Records"]]
    write(event="begin", **run, epoch=about["epoch"], batch=about["batchId"],
          attempt=about["attempt"], sequences=[record["sequenceNumber"] for record in records])
    check = rules.RULES[RULES]
    for record in records:
        sequence = record["sequenceNumber"]
        time.sleep(float(SECONDS_A_RECORD))  # what a write to a database might take
        try:
            check(json.loads(base64.b64decode(record["data"])))
        except rules.Rejected as why:
            write(event="end", **run, outcome="reported", sequence=sequence, why=str(why))
            print(json.dumps({"batchItemFailures": [{"itemIdentifier": sequence}]}))
            return
        except Exception as error:
            write(event="end", **run, outcome="raised", sequence=sequence,
                  why=f"crash: {error}")
            raise
        write(event="stored", shard=about["shard"], sequence=sequence)
    write(event="end", **run, outcome="processed")
    print('{"batchItemFailures": []}')


main()

"""The handler of the first part: one process for each batch.

Each record of STUMBLES fails the first time that the handler meets it, and never
again. The handler stops there; it answers with the record's number (`report`) or
fails as a whole (`raise`). What it was given and did is a line in LOG, with the
checkpoint that the coordinator had when the delivery began.
"""

import json
import os
import subprocess
import sys

ANSWER, DIRECTORY, LOWMARK, COORDINATOR = sys.argv[1:]
STUMBLES = (4, 7, 10)


def main():
    event = json.load(sys.stdin)
    about = event["lowmark"]
    shard = json.loads(subprocess.run(
        [LOWMARK, "shards", "get", about["stream"], about["shard"], "--coordinator", COORDINATOR,
         "-o", "json"], check=True, capture_output=True).stdout)
    sequences = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
    with open(f"{DIRECTORY}/ordinals.json", encoding="utf-8") as file:
        ordinal = json.load(file)
    failed = next((s for s in sequences if ordinal[s] in STUMBLES and first_time(ordinal[s])), None)
    line = {"shard": shard, "sequences": sequences, "failed": failed}
    with open(f"{DIRECTORY}/log.jsonl", "a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    if failed is None:
        print('{"batchItemFailures": []}')
    elif ANSWER == "report":
        print(json.dumps({"batchItemFailures": [{"itemIdentifier": failed}]}))
    else:
        sys.exit(f"record {ordinal[failed]} failed")


def first_time(record):
    try:
        os.close(os.open(f"{DIRECTORY}/met-{record}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    except FileExistsError:
        return False


main()

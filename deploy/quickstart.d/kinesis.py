"""`--kinesis`: the same ten records, from a stream of Kinesis, through a Lambda function
that runs in AWS' own runtime for Node. Kinesis is played by kinesalite, from npm."""

import json
import os
import subprocess

import terminal
import walk
from system import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = os.path.realpath(os.path.join(HERE, "..", "..", "tests", "node"))
STREAM = "orders"


def show(system):
    terminal.title("Ten records of Kinesis, a Lambda function")
    terminal.say(terminal.fold(
        "Ten orders in a stream of Kinesis, one batch. A Lambda function, unmodified, works through "
        "it; orders 4, 7 and 10 each fail the first time, and the function returns the number of "
        "the record, as in Lambda. In the table + is processed, x failed, . handed over but not "
        "reached."))
    terminal.say()
    modules = install()
    url = serve(system, modules)
    orders = os.path.join(system.directory, "orders.jsonl")
    with open(orders, "w", encoding="ascii") as file:
        for order in range(1, walk.RECORDS + 1):
            file.write(json.dumps({"order": order, "key": "k"}) + "\n")
    kinesis(modules, "create", url, STREAM, "1")
    kinesis(modules, "put", url, STREAM, orders)
    log = os.path.join(system.directory, "walk.jsonl")
    step = terminal.Step("Running")
    worker = start(system, modules, url, log)
    system.wait(lambda: processed(log), "the function to process all orders", worker)
    shard = None

    def passed():
        nonlocal shard
        shard = system.shards(STREAM)[0]
        return "after_sequence" in shard["checkpoint"]
    system.wait(passed, "the last checkpoint", worker)
    system.end(worker)
    step.done("all ten orders processed")
    return print_walk(read(log), shard)


def install():
    step = terminal.Step("Fetching from npm")
    step.update("kinesalite and AWS' runtime for Node; builds a part of it the first time")
    done = subprocess.run([os.path.join(NODE, "build-lambda-ric")], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Failure(f"tests/node/build-lambda-ric failed:\n{done.stderr.strip()}")
    step.done("kinesalite, aws-lambda-ric")
    return os.path.join(done.stdout.strip(), "node_modules")


def kinesis(modules, *arguments):
    done = subprocess.run(["node", os.path.join(NODE, "kinesis.js"), *arguments],
                          env={**os.environ, "NODE_PATH": modules}, capture_output=True, text=True,
                          check=False, timeout=60)
    if done.returncode != 0:
        raise Failure(f"kinesis.js {arguments[0]} failed:\n{done.stderr.strip()}")


def serve(system, modules):
    """Starts kinesalite; its URL."""
    server = system.run("kinesalite", ["node", os.path.join(NODE, "kinesis.js"), "serve"],
                        {"NODE_PATH": modules})
    system.wait(lambda: system.log("kinesalite").startswith("http"), "kinesalite to start", server)
    return system.log("kinesalite").split()[0]


def start(system, modules, url, log):
    policy = {"batch_size": walk.RECORDS, "retry_backoff.initial": "100ms"}
    system.create_stream(STREAM, policy)
    runtime = f"{modules}/.bin/aws-lambda-ric walk_function.handler"
    return system.start_worker(
        STREAM, "kinesis",
        ["--source", "kinesis", "--kinesis-stream", STREAM, "--kinesis-region", "us-east-1",
         "--kinesis-endpoint", url, "--kinesis-access-key-id", "none"],
        ["--handler", "lambda", "--handler-command", f"cd {HERE} && exec {runtime}"],
        {"LOWMARK_KINESIS_SECRET_ACCESS_KEY": "none", "WALK_LOG": log})


def read(log):
    if not os.path.exists(log):
        return []
    with open(log, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def processed(log):
    lines = read(log)
    return bool(lines) and lines[-1]["failed"] is None


def print_walk(lines, shard):
    """The checkpoint after a delivery is where the next one began; after the last, what the
    coordinator says."""
    rows = []
    for number, line in enumerate(lines, 1):
        delivery = {"records": line["orders"], "failed": line["failed"]}
        after = f"AT {lines[number]['orders'][0]}" if number < len(lines) else "AFTER 10"
        outcome = "processed" if line["failed"] is None else f"order {line['failed']} failed"
        rows.append([number, walk.span(line["orders"]), "|" + walk.strip(delivery) + "|", outcome,
                     after])
    terminal.say()
    terminal.table(["delivery", "orders", " 123456789X", "outcome", "checkpoint after it"], rows,
                   "><<<<")
    terminal.say()
    terminal.say(f"  The checkpoint of {shard['shard']}: after")
    terminal.say(f"  {shard['checkpoint']['after_sequence']}")
    terminal.say("  How to point a worker at your own stream: docs/kinesis.md")
    seen = [(line["orders"][0], row[4]) for line, row in zip(lines, rows)]
    if seen != walk.PROMISED:
        terminal.say(f"  WRONG: docs/rules.md promises {walk.PROMISED}")
        return 1
    return 0

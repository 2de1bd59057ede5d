"""What is done in the cluster, with one of the Helms, and whether it was right."""

import contextlib
import datetime
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "quickstart.d"))
import account  # noqa: E402
import ledger  # noqa: E402
import records  # noqa: E402
from source import SHARDS, Feed  # noqa: E402
from release import CHART, Release  # noqa: E402
from waiting import Failure, until  # noqa: E402
from watch import Watch  # noqa: E402

RECORDS = 10
# (first record, last record, where the handler failed): docs/rules.md.
WALK = [(1, 10, 4), (4, 10, 7), (7, 10, 10), (10, 10, None)]


class Scenario:
    def __init__(self, node, report, helm, name, directory):
        """`helm`: the program; `name`: what it is called, of which the namespace is made,
        and a directory in `directory`."""
        namespace = name.lower().replace(" ", "")
        self._report = report
        self._name = name
        self._directory = os.path.join(directory, namespace)
        for folder, mode in (("ten", 0o755), ("orders", 0o755), ("ledger", 0o777)):
            os.makedirs(self._file(folder))
            os.chmod(self._file(folder), mode)  # whatever the umask
        self._node = node
        self._release = Release(node, helm, namespace, self._directory)

    def run(self):
        self._database()
        with Watch(self._node, self._release.namespace, self._file("logs")) as watch:
            self._install()
            self._walk()
            with Feed(self._file("orders")) as feed:
                self._flows(feed)
                watch.look()
                before, begin = watch.metrics(), now()
                self._scale()
                self._upgrade()
                self._test()
                self._roll_back()
                self._drain(feed)
            watch.look()
            self._account(watch, before, begin)
        self._uninstall()

    def _file(self, *names):
        return os.path.join(self._directory, *names)

    def _step(self, name):
        return self._report.step(f"{self._name}: {name}")

    # --- Steps -------------------------------------------------------------------------

    def _database(self):
        with self._step("PostgreSQL") as step:
            self._node.kubectl("create", "namespace", self._release.namespace)
            self._release.kubectl("apply", "--filename", os.path.join(CHART, "ci", "postgresql.yaml"))
            self._release.kubectl("rollout", "status", "deployment/lowmark-postgresql", "--timeout=5m")
            step.text = "the manifest of helm/lowmark/ci"

    def _install(self):
        with open(self._file("ten", "shard-0.jsonl"), "w", encoding="ascii") as file:
            for number in range(1, RECORDS + 1):
                file.write(json.dumps({"record": number}) + "\n")
        with self._step("install") as step:
            self._release.install()
            step.text = f"{self._pods('coordinator')}, {self._pods('worker')}, all ready"

    def _walk(self):
        with self._step("ten records") as step:
            runs = until("the ten records are processed", lambda: self._runs_to_end("ten"))
            walk = account.walk(runs)
            if walk != WALK:
                raise Failure(f"the deliveries were {walk}, not {WALK}")
            step.text = "delivered " + ", ".join(span(*delivery[:2]) for delivery in walk)

    def _flows(self, feed):
        with self._step("records flow") as step:
            until("records of all shards are processed",
                  lambda: len({run.shard for run in self._runs("orders")}) == SHARDS)
            step.text = f"on {SHARDS} shards, {feed.written} written so far"

    def _scale(self):
        for workers in (3, 6, 2):
            with self._step(f"scale to {workers} workers") as step:
                self._release.upgrade(workers__orders__replicas=workers)
                leases = self._balance(workers)
                step.text = f"they hold {', '.join(map(str, leases))} shards"

    def _upgrade(self):
        for component, group, values in (
                ("coordinator", None, {"coordinator__podAnnotations__round": "2"}),
                ("worker", "orders", {"workers__orders__podAnnotations__round": "2"})):
            with self._step(f"upgrade of the {component}s") as step:
                old = self._release.names(component, group)
                self._release.upgrade(**values)
                self._replaced(old, component, group)
                self._balance(2)
                step.text = f"{len(old)} pods replaced, another annotation"
        with self._step("upgrade of all") as step:
            self._all_replaced("next", lambda: self._release.upgrade(image__tag="next"))
            step.text = "another tag of the images"

    def _test(self):
        with self._step("helm test") as step:
            output = self._release.test()
            phases = [line.split()[-1] for line in output.splitlines() if line.startswith("Phase:")]
            if phases != ["Succeeded"]:
                raise Failure(f"helm test:\n{output}")
            step.text = "Succeeded"

    def _roll_back(self):
        with self._step("helm rollback") as step:
            self._all_replaced("test", self._release.rollback)
            history = self._release.history()
            if history[-1]["status"] != "deployed":
                raise Failure(f"the history ends with {history[-1]}")
            step.text = f"the tag of before; {len(history)} revisions"

    def _drain(self, feed):
        with self._step("the last records") as step:
            feed.stop()
            ends = {shard: list(found)[-1] for shard, found in self._written().items()}
            until("all that was written is processed", lambda: ends == {
                shard["shard"]: shard["checkpoint"].get("after_sequence")
                for shard in self._release.shards("orders")}, every=1)
            step.text = f"{feed.written} written, each checkpoint at its shard's end"

    def _uninstall(self):
        with self._step("helm uninstall") as step:
            self._release.uninstall()
            # That of the test is a hook: Helm leaves those, to be looked at.
            self._release.kubectl("delete", "pod", "lowmark-test")
            until("nothing is left of the release", lambda: not self._release.remains())
            step.text = "nothing is left"
            self._node.kubectl("delete", "namespace", self._release.namespace, "--timeout=5m")

    # --- The account -------------------------------------------------------------------

    def _account(self, watch, before, begin):
        with self._step("the account") as step:
            after = watch.metrics()
            made = ledger.make(self._written(), self._lines("orders"), [], {}, None)
            failed = account.failed_calls(before, after)
            problems = account.exactly_once(made) + account.since(before, after, "orders")
            problems += account.complaints(watch.logs(), begin)
            problems += [f"leases that were not given back: {row}" for row in self._release.query(
                "SELECT kind, count(*) FROM lowmark.shard_events"
                " WHERE kind IN ('lost', 'expired', 'taken') GROUP BY kind")]
            problems += self._dead_letters()
            for name, value in (
                    ("records written, on 8 shards", made.records), ("processed", made.processed),
                    ("handed over again", made.again.total()),
                    ("processed twice", made.stored_twice), ("failed calls", failed),
                    ("pods that took part", len(after))):
                self._report.figure(f"{self._name}: {name}", value)
            if problems:
                raise Failure("\n".join(["not as it should be:"] + problems[:40]))
            step.text = f"{made.records} records, each handed over once; no failed call"

    def _dead_letters(self):
        return [f"{stream} has dead letters: {found[:2]}" for stream in ("ten", "orders") if (
            found := self._release.lowmark("dead-letters", "list", stream)["dead_letters"])]

    def _written(self):
        return records.sequences(self._file("orders"))

    def _lines(self, stream):
        """What the handlers wrote, in order; the last line may not be whole yet."""
        with contextlib.suppress(FileNotFoundError):
            with open(self._file("ledger", f"{stream}.jsonl"), encoding="ascii") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        return []

    def _runs(self, stream):
        return ledger.deliveries(self._lines(stream))

    def _runs_to_end(self, stream):
        runs = self._runs(stream)
        return runs if runs and runs[-1].outcome == "processed" else None

    # --- Waiting -----------------------------------------------------------------------

    def _pods(self, component):
        return f"{len(self._release.pods(component))} {component}s"

    def _balance(self, workers):
        """Until each worker has its share: what each holds."""
        low, high = SHARDS // workers, -(-SHARDS // workers)

        def share():
            held = self._release.leases("orders")
            return held if len(held) == workers and low <= held[0] and held[-1] <= high \
                and sum(held) == SHARDS else None
        return until(f"{workers} workers have their share of {SHARDS} shards", share, every=1)

    def _replaced(self, old, component, group=None):
        same = old & self._release.names(component, group)
        if same:
            raise Failure(f"not replaced: {same}")

    def _all_replaced(self, tag, change):
        old = {component: self._release.names(component) for component in ("coordinator", "worker")}
        change()
        for component, names in old.items():
            self._replaced(names, component)
        if self._release.images() != {tag}:
            raise Failure(f"images have the tags {self._release.images()}, not {tag} alone")
        self._balance(2)


def span(first, last):
    return str(first) if first == last else f"{first}-{last}"


def now():
    """As programs write it in their logs."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

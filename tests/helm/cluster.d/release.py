"""A release of the chart in a namespace, handled with Helm as a user handles it."""

import json
import os

import waiting

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.normpath(os.path.join(HERE, "..", "..", "..", "helm", "lowmark"))
NAME = "lowmark"
TIMEOUT = "5m"


class Release:
    def __init__(self, node, helm, namespace, directory):
        """`directory` is what the values have for DIRECTORY."""
        self.node = node
        self.namespace = namespace
        self._helm = helm
        self._values = os.path.join(directory, "values.yaml")
        with open(os.path.join(HERE, "values.yaml"), encoding="utf-8") as file:
            text = file.read().replace("DIRECTORY", directory)
        with open(self._values, "w", encoding="utf-8") as file:
            file.write(text)

    # --- Helm ----------------------------------------------------------------------

    def helm(self, *arguments):
        return self.node.command(self._helm, *arguments, "--namespace", self.namespace)

    def install(self):
        self.helm("install", NAME, CHART, "--values", self._values, "--wait", "--wait-for-jobs",
                  "--timeout", TIMEOUT)

    def upgrade(self, **values):
        """With the values of before, but for these: a__b=1 is --set a.b=1."""
        settings = [part for key, value in values.items()
                    for part in ("--set-string" if isinstance(value, str) else "--set",
                                 f"{key.replace('__', '.')}={value}")]
        self.helm("upgrade", NAME, CHART, "--reuse-values", *settings, "--wait", "--timeout", TIMEOUT)
        self.await_rest()

    def rollback(self):
        self.helm("rollback", NAME, "--wait", "--timeout", TIMEOUT)
        self.await_rest()

    def test(self):
        return self.helm("test", NAME, "--logs", "--timeout", TIMEOUT)

    def history(self):
        return json.loads(self.helm("history", NAME, "--output", "json"))

    def uninstall(self):
        self.helm("uninstall", NAME, "--wait", "--timeout", TIMEOUT)

    # --- Kubernetes ------------------------------------------------------------------

    def kubectl(self, *arguments, text=None):
        return self.node.kubectl("--namespace", self.namespace, *arguments, text=text)

    def pods(self, component, group=None):
        """Those that were not told to end."""
        selector = f"app.kubernetes.io/component={component}"
        if group:
            selector += f",lowmark.io/worker-group={group}"
        return [pod for pod in self.node.pods(self.namespace, selector)
                if "deletionTimestamp" not in pod["metadata"]]

    def names(self, component, group=None):
        return {pod["metadata"]["name"] for pod in self.pods(component, group)}

    def images(self):
        """The tags of all that runs of Lowmark's images."""
        pods = self.pods("coordinator") + self.pods("worker")
        return {container["image"].rsplit(":", 1)[1] for pod in pods
                for container in pod["spec"]["containers"] if container["name"] != "handler"}

    def await_rest(self):
        """Until the pods that were replaced are gone; `--wait` waits for the new ones alone."""
        waiting.until("all pods that were told to end have ended", lambda: not any(
            "deletionTimestamp" in pod["metadata"] for pod in self.node.pods(self.namespace)))

    def remains(self):
        """What the API server still has of the release, as KIND/NAME."""
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        # Events tell of what was, and the cluster deletes them after an hour.
        kinds = ",".join(kind for kind in kinds if not kind.startswith("events"))
        found = []
        for selector in (f"app.kubernetes.io/instance={NAME}", f"owner=helm,name={NAME}"):
            found += self.kubectl("get", kinds, "--selector", selector, "--output=name",
                                  "--ignore-not-found").split()
        return sorted(found)

    # --- Lowmark -----------------------------------------------------------------------

    def lowmark(self, *arguments):
        return json.loads(self.kubectl("exec", "deployment/lowmark-coordinator", "--", "lowmark",
                                       *arguments, "--output", "json"))

    def shards(self, stream):
        return self.lowmark("shards", "list", stream)["shards"]

    def leases(self, stream):
        """How many shards each live worker holds."""
        held = {}
        for shard in self.shards(stream):
            if shard.get("owner"):
                held[shard["owner"]] = held.get(shard["owner"], 0) + 1
        return sorted(held.values())

    def query(self, statement):
        return self.kubectl("exec", "deployment/lowmark-postgresql", "--", "psql", "--username",
                            "postgres", "--dbname", "lowmark", "--no-align", "--tuples-only",
                            "--command", statement).split("\n")[:-1]

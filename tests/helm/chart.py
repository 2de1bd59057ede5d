"""The chart, and the two Helms that render it: what the tests have in common."""

import contextlib
import functools
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
CHART = os.path.join(ROOT, "helm", "lowmark")
CACHE = os.environ["LOWMARK_HELM_CACHE"]
HELMS = {"Helm 3": os.environ["HELM3"], "Helm 4": os.environ["HELM4"]}

# What is rendered: values of ci/, on which version of Kubernetes.
NEWEST = "1.35.0"
RENDERED = [(name, NEWEST) for name in ("coordinator-only", "full", "minimal", "security", "sidecar",
                                        "workers-only")] + [("full", "1.20.0"), ("sidecar", "1.20.0")]


def values_file(name):
    return os.path.join(CHART, "ci", f"{name}-values.yaml")


def helm(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def template(program, values, kubernetes=NEWEST, *arguments):
    return helm(program, "template", "mine", CHART, "--namespace", "streams", "--kube-version",
                kubernetes, "--values", values, *arguments)


def objects(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


@functools.cache
def rendered(name, kubernetes=NEWEST, *arguments):
    done = template(HELMS["Helm 3"], values_file(name), kubernetes, *arguments)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return objects(done.stdout)


def find(things, kind, name):
    return next(t for t in things if t["kind"] == kind and t["metadata"]["name"] == name)


def variables(container):
    return {v["name"]: v.get("value") for v in container["env"]}


def arguments(container):
    """The flags that a container is given, those that are repeated as lists."""
    said = {}
    for argument in container.get("args", []):
        if argument.startswith("--"):
            name, _, value = argument[2:].partition("=")
            said[name] = [*said[name], value] if name in said else [value]
    return {name: values[0] if len(values) == 1 else values for name, values in said.items()}


class FakeCluster(http.server.BaseHTTPRequestHandler):
    """As much of an API server as Helm asks of before it installs nothing."""

    KINDS = {"/api/v1": ("ConfigMap", "Pod", "Service", "ServiceAccount", "Secret"),
             "/apis/apps/v1": ("Deployment",), "/apis/batch/v1": ("Job",),
             "/apis/keda.sh/v1alpha1": ("ScaledObject",), "/apis/policy/v1": ("PodDisruptionBudget",)}

    def answer(self):
        path = self.path.split("?")[0]
        for thing in self.server.things:
            if path == (f"/apis/{thing['apiVersion']}/namespaces/{thing['metadata']['namespace']}/"
                        f"{thing['kind'].lower()}s/{thing['metadata']['name']}"):
                return thing
        if path == "/version":
            return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            versions = [key.split("/")[2:] for key in self.KINDS if key.startswith("/apis/")]
            versions = [(g, {"groupVersion": f"{g}/{v}", "version": v}) for g, v in versions]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": group, "versions": [v], "preferredVersion": v} for group, v in versions]}
        if path in self.KINDS:
            return {"kind": "APIResourceList", "groupVersion": path.split("/", 2)[2].removeprefix(
                "apis/"), "resources": [{"name": kind.lower() + "s", "kind": kind, "namespaced": True,
                                         "verbs": ["get"]} for kind in self.KINDS[path]]}
        return None

    def do_GET(self):  # pylint: disable=invalid-name
        answer = self.answer()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer or {"kind": "Status", "code": 404}).encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def fake_cluster(*things):
    """Its address, while it runs. `things` are the objects that it has."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeCluster) as server:
        server.things = things
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class WithValues(unittest.TestCase):
    """For values that a test writes."""

    def setUp(self):
        self._directory = tempfile.TemporaryDirectory(prefix="lowmark-helm-")
        self.addCleanup(self._directory.cleanup)

    def file(self, text):
        path = os.path.join(self._directory.name, "values.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def refused(self, text):
        """What both Helms say about values that are wrong."""
        said = {}
        for name, program in HELMS.items():
            done = template(program, self.file(text))
            self.assertNotEqual(done.returncode, 0, f"{name} accepted:\n{text}")
            said[name] = done.stderr
        return said

    def accepted(self, text, *arguments):
        done = template(HELMS["Helm 3"], self.file(text), NEWEST, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return objects(done.stdout)

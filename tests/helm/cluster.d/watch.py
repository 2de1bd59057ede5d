"""What the pods of a release said while they lived: their metrics and logs.

Pods come and go, and take both with them. So metrics are read each second, the last answer
of each pod is kept, and its logs get a second name, under which they stay, whole.
"""

import glob
import http.client
import os
import threading
import urllib.request

PORTS = {"coordinator": 7071, "worker": 7072}
SECONDS = 1


class Watch:
    """From `with` on. `metrics`: {(component, pod): text}."""

    def __init__(self, node, namespace, directory):
        self._node = node
        self._namespace = namespace
        self._directory = directory
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._lock = threading.Lock()
        self._metrics = {}

    def __enter__(self):
        os.makedirs(self._directory, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def metrics(self):
        with self._lock:
            return dict(self._metrics)

    def look(self):
        """Looks now, for what is to be as of now."""
        self._keep_logs()
        for pod in self._node.pods(self._namespace, "app.kubernetes.io/name=lowmark"):
            component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            address = pod["status"].get("podIP")
            if component not in PORTS or not address:
                continue
            text = read(f"http://{address}:{PORTS[component]}/metrics")
            if text:
                with self._lock:
                    self._metrics[component, pod["metadata"]["name"]] = text

    def logs(self):
        """{POD-CONTAINER-N.log: its lines}, as the container wrote them."""
        found = {}
        for path in sorted(glob.glob(os.path.join(self._directory, "*.log"))):
            with open(path, encoding="utf-8", errors="replace") as file:
                # Each line begins with a time, the stream, and whether it is whole.
                found[os.path.basename(path)] = [line.rstrip("\n").split(" ", 3)[3] for line in file]
        return found

    def _run(self):
        while not self._ended.wait(SECONDS):
            try:
                self.look()
            except (OSError, http.client.HTTPException):
                pass  # the API server, in the end

    def _keep_logs(self):
        # A second name must be below the same mount, which /var/log is not.
        pods = os.path.join(self._node.directory, "log", "pods", f"{self._namespace}_*")
        for path in glob.glob(os.path.join(pods, "*", "*.log")):
            folder, container, number = path.rsplit("/", 2)
            pod = os.path.basename(folder).split("_")[1]
            name = os.path.join(self._directory, f"{pod}-{container}-{number}")
            try:
                os.link(path, name)
            except OSError:
                pass  # it has its second name, or is gone


def read(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read().decode()
    except (OSError, http.client.HTTPException):
        return ""

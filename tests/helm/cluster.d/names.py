"""The names of services, as a cluster's DNS has them: dnsmasq, told of each change.

A service's name is its cluster's address; a headless one has the addresses of its pods
that are ready. There is nothing else: no pods' names, no SRV records.
"""

import contextlib
import http.client
import json
import os
import signal
import threading
import time

ZONE = "svc.cluster.local"
# As long as CoreDNS lets an answer be kept.
SECONDS_TO_KEEP = 5


def hosts(services, endpoints):
    """Lines as in /etc/hosts, for objects as the API has them."""
    ready = {key(e): [a["ip"] for part in e.get("subsets") or [] for a in part.get("addresses") or []]
             for e in endpoints}
    lines = []
    for service in services:
        cluster = service["spec"].get("clusterIP")
        addresses = ready.get(key(service), []) if cluster == "None" else [cluster]
        namespace, name = key(service)
        lines += [f"{address} {name}.{namespace}.{ZONE}\n" for address in sorted(addresses)]
    return "".join(sorted(lines))


def key(thing):
    return thing["metadata"]["namespace"], thing["metadata"]["name"]


class Names:
    """Keeps a file that dnsmasq reads as the services and endpoints of a node are."""

    def __init__(self, node, file):
        self._node = node
        self._file = file
        self._lock = threading.Lock()
        self._seen = {"services": {}, "endpoints": {}}
        self._server = None
        self._write()

    def command(self, address):
        """Starts the server, at `address`."""
        return ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--user=root", "--pid-file",
                "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces",
                f"--listen-address={address}", f"--addn-hosts={self._file}",
                # Everything below is known here, so what is not there does not exist.
                "--local=/local/", "--local=/svc/", f"--local-ttl={SECONDS_TO_KEEP}"]

    def follow(self, server):
        """From now on `server`, the process, is told of changes."""
        self._server = server
        for kind in self._seen:
            threading.Thread(target=self._watch, args=(kind,), daemon=True).start()

    def _watch(self, kind):
        while self._server.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                # What there is comes first, as if it had just been added.
                with self._node.open(f"/api/v1/{kind}?watch=true") as events:
                    for line in events:
                        self._see(kind, json.loads(line))
            time.sleep(0.2)

    def _see(self, kind, event):
        with self._lock:
            if event["type"] in ("ADDED", "MODIFIED"):
                self._seen[kind][key(event["object"])] = event["object"]
            elif event["type"] == "DELETED":
                self._seen[kind].pop(key(event["object"]), None)
            if self._write():
                self._server.send_signal(signal.SIGHUP)

    def _write(self):
        """Whether anything is other than it was."""
        text = hosts(self._seen["services"].values(), self._seen["endpoints"].values())
        if os.path.exists(self._file):
            with open(self._file, encoding="ascii") as file:
                if file.read() == text:
                    return False
        with open(self._file + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(self._file + ".new", self._file)
        return True

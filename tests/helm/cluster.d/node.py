"""A node of Kubernetes, which is all of a cluster, as processes beside each other.

For a process that is alone in namespaces of its own for processes, mounts and the network:
nothing of the node is seen outside, and all of it ends with that process. What the node's
programs insist on writing to is mounted over first.
"""

import contextlib
import glob
import json
import os
import secrets
import ssl
import subprocess
import urllib.request

from names import Names
from waiting import Failure, until

ADDRESS = "10.99.0.1"
API = "https://127.0.0.1:6443"
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"

NETWORK = {
    "cniVersion": "0.4.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False,
         "hairpinMode": True,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]],
                  "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}

CONTAINERD = """\
version = 2
root = "{directory}/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:test"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/network"
"""

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{api}", insecure-skip-tls-verify: true}}}}]
users: [{{name: admin, user: {{token: {token}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
current-context: test
"""


class Node:
    def __init__(self, programs, kubectl, directory):
        """`programs`: where those of `kubernetes` are. `directory`: an empty one."""
        self.directory = directory
        self.kubeconfig = os.path.join(directory, "kubeconfig")
        self.environment = {**os.environ, "KUBECONFIG": self.kubeconfig,
                            "PATH": f"{programs}:{os.environ['PATH']}"}
        self._kubectl = kubectl
        self._token = secrets.token_hex(16)
        self._processes = {}  # name -> Popen

    # --- Starting and stopping -----------------------------------------------------

    def start(self, images):
        """Comes up, with `images`, docker archives, at hand."""
        self._write_files()
        self._make_room()
        self._run("containerd", "containerd", "--config", self._file("containerd.toml"))
        self._wait("containerd answers", "containerd", lambda: self._ctr("version"))
        for image in images:
            self._ctr("images", "import", image, check=True)
        self._start_control_plane()
        self._start_node()
        self._start_names()
        self._wait("the node is ready", "kubelet", self._is_ready)

    def stop(self):
        """Ends it in order, so that no container's cgroup is left behind."""
        for name in [n for n in self._processes if n != "containerd"]:
            self._end(name)
        if "containerd" in self._processes:
            containers = self._ctr("containers", "list", "--quiet").split()
            for container in containers:
                self._ctr("tasks", "kill", "--signal", "SIGKILL", container)
            for container in containers:
                self._ctr("tasks", "delete", "--force", container)
            self._end("containerd")
        for empty in glob.glob("/sys/fs/cgroup/**/k8s.io", recursive=True):
            with contextlib.suppress(OSError):
                os.rmdir(empty)

    def tag(self, image, name):
        """Gives an image that is there another name."""
        self._ctr("images", "tag", image, name, check=True)

    def _write_files(self):
        for folder in ("network", "kubelet", "log", "keys"):
            os.makedirs(self._file(folder))
        for name, text in (
                ("network/10-pods.conflist", json.dumps(NETWORK)),
                ("containerd.toml", CONTAINERD.format(directory=self.directory)),
                ("kubeconfig", KUBECONFIG.format(api=API, token=self._token)),
                ("keys/tokens.csv", f'{self._token},admin,1,"system:masters"\n'),
                ("resolv.conf", "")):
            with open(self._file(name), "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(self.kubeconfig, 0o600)
        run("openssl", "genrsa", "-out", self._file("keys/accounts.key"), "2048")

    def _make_room(self):
        # Mounts of pods must be seen by the containers' own namespaces.
        run("mount", "--make-rshared", "/")
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.makedirs("/var/lib/kubelet", exist_ok=True)
        run("mount", "--bind", self._file("kubelet"), "/var/lib/kubelet")
        run("mount", "--bind", self._file("log"), "/var/log")
        # The node's address is on a cable that leads nowhere.
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "node", "type", "veth", "peer", "name", "nowhere")
        run("ip", "link", "set", "nowhere", "up")
        run("ip", "address", "add", f"{ADDRESS}/24", "dev", "node")
        run("ip", "link", "set", "node", "up")
        run("ip", "route", "add", "default", "dev", "node")
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1")

    def _start_control_plane(self):
        etcd = "http://127.0.0.1:2379"
        self._run("etcd", "etcd", "--data-dir", self._file("etcd"), "--listen-client-urls", etcd,
                  "--advertise-client-urls", etcd, "--listen-peer-urls", "http://127.0.0.1:2380")
        key = self._file("keys/accounts.key")
        self._run("apiserver", "kube-apiserver", f"--etcd-servers={etcd}", "--secure-port=6443",
                  "--insecure-port=0", f"--advertise-address={ADDRESS}",
                  "--endpoint-reconciler-type=none", f"--cert-dir={self._file('keys')}",
                  f"--token-auth-file={self._file('keys/tokens.csv')}",
                  f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
                  "--service-account-issuer=https://kubernetes.default",
                  f"--service-cluster-ip-range={SERVICES}", "--authorization-mode=RBAC",
                  "--kubelet-preferred-address-types=InternalIP")
        self._wait("the API server is ready", "apiserver", self._serves)
        common = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false",
                  "--bind-address=127.0.0.1", "--port=0"]
        self._run("controllers", "kube-controller-manager", *common, "--controllers=*,-nodeipam",
                  f"--service-account-private-key-file={key}")
        self._run("scheduler", "kube-scheduler", *common)

    def _start_node(self):
        common = [f"--kubeconfig={self.kubeconfig}", "--hostname-override=node"]
        # What a machine that is itself a container does not let it do is turned off.
        self._run("kubelet", "kubelet", *common, f"--node-ip={ADDRESS}", f"--address={ADDRESS}",
                  "--container-runtime=remote",
                  "--container-runtime-endpoint=unix:///run/containerd.sock",
                  "--cgroup-driver=cgroupfs", "--cgroups-per-qos=false",
                  "--enforce-node-allocatable=", "--fail-swap-on=false", "--max-open-files=20000",
                  "--oom-score-adj=0", "--eviction-hard=", "--image-gc-high-threshold=100",
                  "--volume-plugin-dir=/var/lib/kubelet/plugins", "--read-only-port=0",
                  "--healthz-bind-address=127.0.0.1", "--anonymous-auth=true",
                  "--authorization-mode=AlwaysAllow", "--cluster-domain=cluster.local",
                  f"--cluster-dns={ADDRESS}", f"--resolv-conf={self._file('resolv.conf')}")
        self._run("proxy", "kube-proxy", *common, f"--cluster-cidr={PODS}",
                  "--healthz-bind-address=127.0.0.1:10256", "--conntrack-max-per-core=0",
                  "--metrics-bind-address=127.0.0.1:10249")

    def _start_names(self):
        names = Names(self, self._file("hosts"))
        # It reads the file again when told so; before it has started, that would end it.
        self._run("names", *names.command(ADDRESS))
        self._wait("dnsmasq has started", "names", lambda: "started" in self._log("names"))
        names.follow(self._processes["names"])

    # --- Using it --------------------------------------------------------------------

    def kubectl(self, *arguments, text=None):
        """What kubectl prints; a Failure with its words where it fails."""
        return self.command(self._kubectl, *arguments, text=text)

    def command(self, *command, text=None):
        done = subprocess.run(command, input=text, env=self.environment, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def open(self, path, timeout=None):
        """The API server's answer to GET, as a stream; of a watch, one that goes on."""
        request = urllib.request.Request(API + path, headers={
            "Authorization": f"Bearer {self._token}"})
        # Its certificate is one that it made for itself just now.
        return urllib.request.urlopen(request, timeout=timeout,
                                      context=ssl._create_unverified_context())

    def get(self, path):
        with self.open(path, timeout=30) as answer:
            return json.load(answer)

    def pods(self, namespace, selector=""):
        query = f"?labelSelector={selector}" if selector else ""
        return self.get(f"/api/v1/namespaces/{namespace}/pods{query}")["items"]

    # --- Processes ---------------------------------------------------------------------

    def _file(self, name):
        return os.path.join(self.directory, name)

    def _run(self, name, *command):
        with open(self._file(f"{name}.log"), "wb") as log:
            # Not in the terminal's group: Ctrl-C is for us, who end them in order.
            self._processes[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, start_new_session=True)

    def _log(self, name):
        with open(self._file(f"{name}.log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def _end(self, name):
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, what, name, condition):
        def condition_or_end():
            if self._processes[name].poll() is not None:
                lines = self._log(name).splitlines()
                raise Failure(f"{name} ended:\n" + "\n".join(lines[-15:]))
            return condition()
        until(what, condition_or_end)

    def _ctr(self, *arguments, check=False):
        done = subprocess.run(
            ["ctr", "--address", "/run/containerd.sock", "--namespace", "k8s.io", *arguments],
            env=self.environment, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise Failure(f"ctr {' '.join(arguments)}\n{done.stderr}")
        return done.stdout if done.returncode == 0 else ""

    def _serves(self):
        try:
            with self.open("/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _is_ready(self):
        nodes = self.get("/api/v1/nodes")["items"]
        return any(c["type"] == "Ready" and c["status"] == "True"
                   for n in nodes for c in n["status"]["conditions"])


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")

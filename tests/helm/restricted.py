"""The Pod Security Standard "restricted", as far as a manifest shows it."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
           "projected", "secret"}


def pod_of(thing):
    """The pod that an object is or makes, None for others."""
    if thing["kind"] == "Pod":
        return thing["spec"]
    return ((thing.get("spec") or {}).get("template") or {}).get("spec")


def problems(pod):
    """What of a pod's spec the standard forbids."""
    security = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is on"
    for volume in pod.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
    if security.get("runAsUser") == 0:
        yield "runs as user 0"
    for container in pod.get("initContainers", []) + pod["containers"]:
        for problem in of_container(container, security):
            yield f"container {container['name']}: {problem}"


def of_container(container, pod):
    own = container.get("securityContext", {})
    if own.get("privileged"):
        yield "is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may escalate privileges"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "may run as root"
    if own.get("runAsUser") == 0:
        yield "runs as user 0"
    seccomp = own.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
    if seccomp not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "keeps capabilities"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities"
    # Not of the standard, but of ours.
    if own.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root"
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield "has a port of the host"

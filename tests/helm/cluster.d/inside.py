"""What runs in the namespaces of the node: see ../cluster. One argument, a file of JSON."""

import glob
import json
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import Node  # noqa: E402
from report import Report  # noqa: E402
from scenario import Scenario  # noqa: E402
from waiting import Failure  # noqa: E402


def main():
    # As Ctrl-C, so that what was begun is ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    report = Report(config["report"])
    node = Node(config["programs"], config["kubectl"], os.path.join(config["directory"], "node"))
    node.environment.update({f"HELM_{kind}_HOME": os.path.join(config["directory"], "helm")
                             for kind in ("CACHE", "CONFIG", "DATA")})
    try:
        with report.step("start the node") as step:
            node.start(sorted(glob.glob(os.path.join(config["images"], "*.tar"))))
            for image in ("coordinator", "worker"):
                node.tag(f"localhost/lowmark-{image}:test", f"localhost/lowmark-{image}:next")
            step.text = "Kubernetes " + node.get("/version")["gitVersion"]
        for name, helm in config["helms"].items():
            Scenario(node, report, helm, name, config["directory"]).run()
    except Failure as failure:
        print(f"\ntests/helm/cluster: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        node.stop()
    return 0


sys.exit(main())

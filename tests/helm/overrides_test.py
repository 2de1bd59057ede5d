"""What operators set over the chart's own, where a plain merge would not install."""

import unittest

from chart import WithValues, find

DATABASE = "database: {url: x}\n"
COORDINATOR = "mine-lowmark-coordinator"
WORKER = "mine-lowmark-worker-orders"


def group(fields):
    return ("workers: {orders: {stream: orders, source: {type: file, path: /data},"
            " handler: {type: exec, command: cat}, %s}}" % fields)


class OverridesTest(WithValues):
    """What operators set over the chart's own, where a plain merge would not install."""

    def pod(self, things, name=COORDINATOR, kind="Deployment"):
        return find(things, kind, name)["spec"]["template"]["spec"]

    def test_recreate_takes_no_rolling_update(self):
        things = self.accepted(DATABASE + "coordinator: {strategy: {type: Recreate}}\n" +
                               group("strategy: {type: Recreate}"))
        for name in (COORDINATOR, WORKER):
            self.assertEqual(find(things, "Deployment", name)["spec"]["strategy"], {"type": "Recreate"})

    def test_what_is_reached_from_outside_is_grpc_alone(self):
        for kind, services in (("ClusterIP", {COORDINATOR: ["grpc", "http"]}),
                               ("LoadBalancer", {COORDINATOR: ["grpc"], COORDINATOR + "-http": ["http"]}),
                               ("NodePort", {COORDINATOR: ["grpc"], COORDINATOR + "-http": ["http"]})):
            things = self.accepted(DATABASE + "coordinator: {service: {type: %s}}" % kind)
            for name, ports in services.items():
                service = find(things, "Service", name)["spec"]
                self.assertEqual([p["name"] for p in service["ports"]], ports)
                self.assertEqual(service["type"], kind if name == COORDINATOR else "ClusterIP")

    def test_a_probe_has_one_kind(self):
        things = self.accepted(DATABASE + "coordinator: {livenessProbe: {tcpSocket: {port: grpc}},"
                               " readinessProbe: {periodSeconds: 9}}")
        container = self.pod(things)["containers"][0]
        self.assertNotIn("httpGet", container["livenessProbe"])
        self.assertEqual(container["readinessProbe"]["httpGet"]["path"], "/readyz")
        self.assertEqual(container["readinessProbe"]["periodSeconds"], 9)

    def test_a_spread_with_a_selector_keeps_it(self):
        things = self.accepted(DATABASE + "coordinator: {topologySpreadConstraints: [{topologyKey: z,"
                               " maxSkew: 1, whenUnsatisfiable: DoNotSchedule, labelSelector:"
                               " {matchLabels: {team: data}}}]}")
        spread = self.pod(things)["topologySpreadConstraints"]
        self.assertEqual(spread[0]["labelSelector"], {"matchLabels": {"team": "data"}})

    def test_labels_are_said_once_and_selectors_stay(self):
        things = self.accepted(DATABASE + "commonLabels: {app.kubernetes.io/part-of: platform,"
                               " app.kubernetes.io/component: other}\n")
        deployment = find(things, "Deployment", COORDINATOR)
        self.assertEqual(deployment["metadata"]["labels"]["app.kubernetes.io/part-of"], "platform")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        for name, value in deployment["spec"]["selector"]["matchLabels"].items():
            self.assertEqual(labels[name], value)

    def test_jobs_and_tests_go_where_coordinators_go(self):
        things = self.accepted(
            "database: {url: x}\nmigrations: {mode: job}\nstreams: {orders: {}}\n"
            "jobPodAnnotations: {sidecar.istio.io/inject: 'false'}\n"
            "coordinator: {nodeSelector: {pool: a}, tolerations: [{key: a}], priorityClassName: high,"
            " podSecurityContext: {fsGroup: 7}}")
        pods = [t["spec"]["template"] for t in things if t["kind"] == "Job"]
        pods.append(find(things, "Pod", "mine-lowmark-test"))
        self.assertEqual(len(pods), 3)
        for pod in pods:
            self.assertEqual(pod["spec"]["nodeSelector"], {"pool": "a"})
            self.assertEqual(pod["spec"]["tolerations"], [{"key": "a"}])
            self.assertEqual(pod["spec"]["priorityClassName"], "high")
            self.assertEqual(pod["spec"]["securityContext"]["fsGroup"], 7)
            self.assertEqual(pod["metadata"]["annotations"]["sidecar.istio.io/inject"], "false")

    def test_a_proxy_outlives_its_coordinator_and_migrates_with_it(self):
        things = self.accepted(DATABASE + "migrations: {mode: job}\n"
                               "coordinator: {extraContainers: [{name: proxy, image: p}]}")
        job = next(t for t in things if t["kind"] == "Job")["spec"]["template"]["spec"]
        for pod in (self.pod(things), job):
            self.assertEqual([(c["name"], c["restartPolicy"]) for c in pod["initContainers"]],
                             [("proxy", "Always")])
            self.assertEqual(len(pod["containers"]), 1)

    def test_each_group_may_have_a_service_account(self):
        things = self.accepted(DATABASE + group("serviceAccountName: orders, revisionHistoryLimit: 2,"
                                                " extraPodSpec: {dnsPolicy: Default}"))
        self.assertEqual(self.pod(things, WORKER)["serviceAccountName"], "orders")
        self.assertEqual(self.pod(things, WORKER)["dnsPolicy"], "Default")
        self.assertEqual(find(things, "Deployment", WORKER)["spec"]["revisionHistoryLimit"], 2)
        self.assertEqual(self.pod(things)["serviceAccountName"], "mine-lowmark")

    def test_keda_takes_the_names(self):
        long = "g" * 30
        things = self.accepted(DATABASE + "fullnameOverride: " + "n" * 40 + "\n" +
                               group("autoscaling: {enabled: true, type: keda}").replace("orders:", long + ":"))
        scaled = next(t for t in things if t["kind"] == "ScaledObject")
        self.assertLessEqual(len(scaled["metadata"]["name"]), 54)
        names = [t["metadata"]["name"] for t in things if t["kind"] == "Deployment"]
        self.assertIn(scaled["spec"]["scaleTargetRef"]["name"], names)

    def test_workers_alone_need_no_token_of_an_operator(self):
        values = ("coordinator: {enabled: false, address: 'a:1'}\nauth: {enabled: %s, existingSecret: x,"
                  " allowInsecure: true}\n" + group("replicas: 1"))
        self.assertNotIn("Pod", [t["kind"] for t in self.accepted(values % "true")])
        self.assertIn("Pod", [t["kind"] for t in self.accepted(values % "false")])

    def rules(self, values):
        rules = find(self.accepted("metrics: {prometheusRule: {enabled: true%s}}\n" % values[0] + values[1]),
                     "PrometheusRule", "mine-lowmark")["spec"]["groups"][0]["rules"]
        return {rule["alert"]: rule["expr"] for rule in rules}

    def test_alerts_are_about_their_own_release(self):
        rules = self.rules(("", DATABASE))
        self.assertEqual(rules["LowmarkNoCoordinator"], 'absent(lowmark_lease_waiters{namespace="streams"})')
        self.assertIn('{namespace="streams", kind="forced"}[10m]', rules["LowmarkHandoffsForced"])
        self.assertNotIn("{}", "".join(rules.values()))
        rules = self.rules((", selector: ''", DATABASE))
        self.assertEqual(rules["LowmarkNoCoordinator"], "absent(lowmark_lease_waiters)")
        self.assertIn('{kind="forced"}[10m]', rules["LowmarkHandoffsForced"])
        alone = "coordinator: {enabled: false, address: 'a:1'}\n"
        self.assertNotIn("LowmarkNoCoordinator", self.rules(("", alone + group("replicas: 1"))))

    def test_streams_whose_workers_are_scaled_to_nothing_may_be_held_by_nobody(self):
        unowned = 'lowmark_shards_unowned{namespace="streams", stream!~"%s"}'
        self.assertIn(unowned % "", self.rules(("", DATABASE))["LowmarkShardsUnowned"])
        keda = "autoscaling: {enabled: true, type: keda, minReplicas: %d}"
        groups = "workers: {%s}" % ", ".join(
            f"{name}: {{stream: {stream}, source: {{type: file, path: /data}},"
            f" handler: {{type: exec, command: cat}}, {keda % least}}}"
            for name, stream, least in (("one", "a.b", 0), ("two", "c", 0), ("three", "d", 1)))
        self.assertIn(unowned % "a[.]b|c",
                      self.rules(("", DATABASE + groups))["LowmarkShardsUnowned"])


if __name__ == "__main__":
    unittest.main()

"""What operators set over the chart's own, where a plain merge would not install."""

import unittest

from chart import HELMS, NEWEST, WithValues, fake_cluster, find, objects, template

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

    def test_jobs_act_as_coordinators_do(self):
        for hooks in ("false", "true"):
            things = self.accepted(
                "database: {existingSecret: x}\nstreams: {orders: {}}\n"
                "migrations: {mode: job, useHelmHooks: %s}\n"
                "coordinator: {serviceAccountName: cloud}" % hooks)
            jobs = [t["spec"]["template"]["spec"] for t in things if t["kind"] == "Job"]
            self.assertEqual(len(jobs), 2)
            for pod in (*jobs, find(things, "Pod", "mine-lowmark-test")["spec"], self.pod(things)):
                self.assertEqual(pod["serviceAccountName"], "cloud")

    def test_a_hook_has_no_service_account_that_is_not_there_yet(self):
        values = ("database: {existingSecret: x}\nmigrations: {mode: job, useHelmHooks: %s}\n"
                  "serviceAccount: {create: %s, name: ours}")
        for hooks, create, account in (("true", "true", "default"), ("true", "false", "ours"),
                                       ("false", "true", "ours")):
            things = self.accepted(values % (hooks, create))
            job = next(t for t in things if t["kind"] == "Job")["spec"]["template"]["spec"]
            self.assertEqual(job["serviceAccountName"], account)

    def test_names_that_yaml_takes_for_something_else_stay_names(self):
        for name in ("2024", "true", "1e3", "null"):
            group_name = group("replicas: 1, topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1,"
                               " whenUnsatisfiable: DoNotSchedule}], pdb: {enabled: true}").replace(
                                   "{orders:", "{'%s':" % name)
            things = self.accepted(
                DATABASE + "fullnameOverride: marks\nnameOverride: '7'\n"
                "networkPolicy: {enabled: true}\nmetrics: {podMonitor: {enabled: true}}\n" + group_name)
            deployment = find(things, "Deployment", "marks-worker-" + name)
            said = deployment["spec"]["selector"]["matchLabels"]
            self.assertEqual(said, {
                "app.kubernetes.io/name": "7", "app.kubernetes.io/instance": "mine",
                "app.kubernetes.io/component": "worker", "lowmark.io/worker-group": name})
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            self.assertLessEqual(said.items(), labels.items())
            spread = self.pod(things, "marks-worker-" + name)["topologySpreadConstraints"][0]
            self.assertEqual(spread["labelSelector"]["matchLabels"], said)
            for thing in things:
                for value in thing["metadata"]["labels"].values():
                    self.assertIsInstance(value, str)

    def number(self, program, values, live):
        """How many workers an upgrade asks for while `live` run; with None there are none yet."""
        there = [] if live is None else [{
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": live},
            "metadata": {"name": WORKER, "namespace": "streams",
                         "labels": {"app.kubernetes.io/managed-by": "Helm"},
                         "annotations": {"meta.helm.sh/release-name": "mine",
                                         "meta.helm.sh/release-namespace": "streams"}}}]
        with fake_cluster(*there) as address:
            done = template(program, self.file(values), NEWEST, "--dry-run=server",
                            "--disable-openapi-validation", "--kube-apiserver", address)
        self.assertEqual(done.returncode, 0, done.stderr)
        return find(objects(done.stdout), "Deployment", WORKER)["spec"].get("replicas")

    def test_workers_that_are_scaled_keep_the_number_that_runs(self):
        scaled = DATABASE + group("autoscaling: {enabled: true, type: keda, minReplicas: %d}")
        for program in HELMS.values():
            self.assertEqual(self.number(program, scaled % 0, 6), 6)
        for least, live, kept in ((0, 0, 0), (3, 1, 3), (1, 0, 1), (0, None, None)):
            with self.subTest(least=least, live=live):
                self.assertEqual(self.number(HELMS["Helm 3"], scaled % least, live), kept)
        self.assertEqual(self.number(HELMS["Helm 3"], DATABASE + group("replicas: 2"), 6), 2)

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

"""What the chart renders."""

import glob
import json
import os
import re
import subprocess
import tempfile
import unittest

from chart import CHART, HELMS, HERE, NEWEST, RENDERED, ROOT, WithValues, arguments, fake_cluster, find, helm, objects, rendered, template, values_file, variables


class LintTest(unittest.TestCase):
    def test_lints_strictly(self):
        for name, program in HELMS.items():
            for values in [os.path.join(CHART, "values.yaml"), *glob.glob(values_file("*"))]:
                with self.subTest(helm=name, values=os.path.basename(values)):
                    done = helm(program, "lint", "--strict", CHART, "--values", values)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertIn("0 chart(s) failed", done.stdout)

    def test_packages(self):
        for name, program in HELMS.items():
            with self.subTest(helm=name), tempfile.TemporaryDirectory() as directory:
                done = helm(program, "package", CHART, "--destination", directory)
                self.assertEqual(done.returncode, 0, done.stderr)
                package = glob.glob(os.path.join(directory, "lowmark-*.tgz"))[0]
                listed = subprocess.run(["tar", "-tzf", package], check=True, capture_output=True,
                                        text=True).stdout
                self.assertIn("lowmark/files/alerts.yaml", listed)
                self.assertNotIn("/ci/", listed)
                done = template(program, values_file("full"))
                from_package = helm(program, "template", "mine", package, "--namespace", "streams",
                                    "--kube-version", NEWEST, "--values", values_file("full"))
                self.assertEqual(from_package.stdout, done.stdout)


class GoldenTest(unittest.TestCase):
    """Both Helms render what golden/ has. tests/helm/run --update writes it."""

    maxDiff = None

    def test_golden(self):
        for values, kubernetes in RENDERED:
            path = os.path.join(HERE, "golden", f"{values}-{kubernetes}.yaml")
            for name, program in HELMS.items():
                with self.subTest(helm=name, golden=os.path.basename(path)):
                    done = template(program, values_file(values), kubernetes)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    if os.environ.get("LOWMARK_UPDATE_GOLDEN"):
                        with open(path, "w", encoding="utf-8") as file:
                            file.write(done.stdout)
                    with open(path, encoding="utf-8") as file:
                        self.assertEqual(done.stdout, file.read())

    def test_no_golden_is_left_over(self):
        self.assertEqual(sorted(os.listdir(os.path.join(HERE, "golden"))),
                         sorted(f"{values}-{version}.yaml" for values, version in RENDERED))


class ChartTest(WithValues):
    """What matters of what is rendered, one by one."""

    def test_numbers_are_written_as_they_were(self):
        things = self.accepted("database: {url: x}\n"
                               "coordinator: {settings: {committers: 12345678, balance-moves: 0.25}}")
        said = arguments(find(things, "Deployment", "mine-lowmark-coordinator")["spec"]["template"]
                         ["spec"]["containers"][0])
        self.assertEqual(said, {"committers": "12345678", "balance-moves": "0.25"})
        streams = find(rendered("full"), "ConfigMap", "mine-lowmark-streams")["data"]["streams.yaml"]
        self.assertIn("maximum_batch_bytes: 6291456\n", streams)

    def test_flags_of_parts_and_lists(self):
        things = self.accepted("""
            database: {url: x}
            coordinator: {settings: {some-path: [/a, /b], session-ttl: 20s}}
            workers:
              orders:
                stream: orders
                source: {type: kafka, kafka: {brokers: "a:1,b:1", topic: orders}, key-field: k}
                handler: {type: lambda, command: node, lambda: {copies: 2}}
                settings: {kafka-property: [security.protocol=ssl, n=1], threads: 4}
            """)
        worker = find(things, "Deployment", "mine-lowmark-worker-orders")
        worker = worker["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(arguments(worker), {
            "source": "kafka", "kafka-brokers": "a:1,b:1", "kafka-topic": "orders",
            "source-key-field": "k", "handler": "lambda", "handler-command": "node",
            "lambda-copies": "2", "threads": "4",
            "kafka-property": ["security.protocol=ssl", "n=1"]})
        coordinator = find(things, "Deployment", "mine-lowmark-coordinator")
        coordinator = coordinator["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(coordinator["args"], ["serve", "--session-ttl=20s", "--some-path=/a",
                                               "--some-path=/b"])

    def test_a_stop_has_the_time_it_takes(self):
        things = rendered("sidecar")
        pod = find(things, "Deployment", "mine-lowmark-coordinator")["spec"]["template"]["spec"]
        self.assertGreater(pod["terminationGracePeriodSeconds"], 5 + 20)
        pod = find(things, "Deployment", "mine-lowmark-worker-orders")["spec"]["template"]["spec"]
        self.assertGreater(pod["terminationGracePeriodSeconds"], 60)

    def test_a_sidecar_outlives_its_worker_where_kubernetes_can(self):
        name = "mine-lowmark-worker-orders"
        pod = find(rendered("sidecar", "1.29.0"), "Deployment", name)["spec"]["template"]["spec"]
        self.assertEqual([c["name"] for c in pod["containers"]], ["worker"])
        self.assertEqual(pod["initContainers"][0]["restartPolicy"], "Always")
        pod = find(rendered("sidecar", "1.28.0"), "Deployment", name)["spec"]["template"]["spec"]
        self.assertEqual([c["name"] for c in pod["containers"]], ["worker", "function"])
        self.assertNotIn("restartPolicy", pod["containers"][1])

    def test_workers_that_are_scaled_have_no_number_of_their_own(self):
        things = rendered("full")
        for group in ("orders", "refunds", "returns"):
            self.assertNotIn("replicas", find(things, "Deployment",
                                              f"mine-lowmark-worker-{group}")["spec"])

    def test_keda_asks_the_coordinators_where_it_has_no_triggers(self):
        group = ("workers: {orders: {stream: orders, source: {type: file, path: /data},"
                 " handler: {type: exec, command: cat}, autoscaling: {enabled: true, type: keda%s}}}")

        def trigger(text):
            spec = find(self.accepted(text), "ScaledObject", "mine-lowmark-worker-orders")["spec"]
            self.assertEqual(len(spec["triggers"]), 1)
            return spec["triggers"][0]
        self.assertEqual(trigger("database: {url: x}\n" + group % ""), {
            "type": "external", "metadata": {
                "scalerAddress": "mine-lowmark-coordinator-headless.streams.svc:7070",
                "stream": "orders", "shardsPerWorker": "10", "wakeEvery": "10m"}})
        away = trigger("coordinator: {enabled: false, address: 'dns:///marks:7070'}\n" +
                       group % ", scaler: {targetLagAge: 30s}")["metadata"]
        self.assertEqual((away["scalerAddress"], away["targetLagAge"]), ("marks:7070", "30s"))
        self.assertEqual(trigger("database: {url: x}\n" + group % ", triggers: [{type: cron}]"),
                         {"type": "cron"})

    def test_the_test_pod_has_one_container(self):
        # With more, Helm does not know whose logs `helm test --logs` is to print.
        for values in ("full", "minimal", "sidecar", "security"):
            pod = find(rendered(values), "Pod", "mine-lowmark-test")["spec"]
            self.assertEqual([c["name"] for c in pod["containers"]], ["streams"])

    def test_keda_has_the_certificates_that_coordinators_ask_for(self):
        things = self.accepted(
            "database: {url: x}\n"
            "tls: {enabled: true, existingSecret: t, clientCA: {existingSecret: c},"
            " client: {existingSecret: c}}\n"
            "workers: {orders: {stream: orders, source: {type: file, path: /data},"
            " handler: {type: exec, command: cat}, autoscaling: {enabled: true, type: keda}}}")
        trigger = find(things, "ScaledObject", "mine-lowmark-worker-orders")["spec"]["triggers"][0]
        self.assertEqual(trigger["metadata"]["enableTLS"], "true")
        secrets = find(things, "TriggerAuthentication", trigger["authenticationRef"]["name"])
        self.assertEqual(secrets["spec"]["secretTargetRef"], [
            {"parameter": "caCert", "name": "t", "key": "ca.crt"},
            {"parameter": "tlsClientCert", "name": "c", "key": "tls.crt"},
            {"parameter": "tlsClientKey", "name": "c", "key": "tls.key"}])

    def test_a_migration_has_what_coordinators_have_to_reach_the_database(self):
        things = rendered("full")
        job = find(things, "Job", "mine-lowmark-migrate")["spec"]["template"]["spec"]
        pod = find(things, "Deployment", "mine-lowmark-coordinator")["spec"]["template"]["spec"]
        self.assertEqual(job["volumes"], pod["volumes"])
        for field in ("volumeMounts", "envFrom"):
            self.assertEqual(job["containers"][0][field], pod["containers"][0][field])
        said = variables(job["containers"][0])
        self.assertEqual(said["PGSSLROOTCERT"], "/etc/postgresql/ca.crt")
        self.assertIn("LOWMARK_DATABASE", said)

    def test_each_pod_gets_the_secrets_it_needs_and_no_others(self):
        things = rendered("security")

        def files(pod):
            volume = next(v for v in pod["volumes"] if v["name"] == "security")
            return {i["path"]: (s["secret"]["name"], i["key"]) for s in volume["projected"]["sources"]
                    for i in s["secret"]["items"]}

        client = {"ca.crt": ("lowmark-tls", "ca.crt"), "client.crt": ("lowmark-client-tls", "tls.crt"),
                  "client.key": ("lowmark-client-tls", "tls.key")}
        admin = {"admin-tokens": ("lowmark-tokens", "admin")}
        worker = {"worker-tokens": ("lowmark-tokens", "worker")}
        coordinator = find(things, "Deployment", "mine-lowmark-coordinator")["spec"]["template"]["spec"]
        self.assertEqual(files(coordinator), {
            **client, **admin, **worker, "server.crt": ("lowmark-tls", "tls.crt"),
            "server.key": ("lowmark-tls", "tls.key"),
            "client-ca.crt": ("lowmark-client-tls", "ca.crt")})
        workers = find(things, "Deployment", "mine-lowmark-worker-orders")["spec"]["template"]["spec"]
        self.assertEqual(files(workers), {**client, **worker})
        job = next(t for t in things if t["kind"] == "Job")["spec"]["template"]["spec"]
        test = find(things, "Pod", "mine-lowmark-test")["spec"]
        for pod in (job, test):
            self.assertEqual(files(pod), {**client, **admin})
        # Every file that an option names is mounted where it says.
        for pod in (coordinator, workers, job, test):
            for container in pod["containers"]:
                mount = next(m for m in container["volumeMounts"] if m["name"] == "security")
                named = [v.split("=")[-1] for v in list(variables(container).values()) +
                         container.get("args", []) if v and "/etc/lowmark-security" in v]
                self.assertGreaterEqual(len(named), 4)
                for path in named:
                    self.assertEqual(os.path.dirname(path), mount["mountPath"])
                    self.assertIn(os.path.basename(path), files(pod))

    def test_without_security_nothing_is_said_of_it(self):
        for name in ("full", "minimal", "sidecar", "workers-only", "coordinator-only"):
            text = json.dumps(rendered(name))
            for word in ("lowmark-security", "LOWMARK_TLS", "TOKEN"):
                self.assertNotIn(word, text)

    def test_a_mesh_may_encrypt_tokens(self):
        things = self.accepted("database: {url: x}\n"
                               "auth: {enabled: true, existingSecret: t, allowInsecure: true}")
        container = find(things, "Deployment", "mine-lowmark-coordinator")["spec"]["template"]["spec"]
        said = variables(container["containers"][0])
        self.assertEqual(said["LOWMARK_ALLOW_INSECURE_TOKENS"], "true")
        self.assertNotIn("LOWMARK_TLS_CA", said)

    def test_cert_manager_makes_what_the_values_name(self):
        with open(os.path.join(CHART, "ci", "cert-manager.yaml"), encoding="utf-8") as file:
            made = {c["spec"]["secretName"]: c["spec"] for c in objects(file.read())
                    if c["kind"] == "Certificate"}
        self.assertLessEqual({"lowmark-tls", "lowmark-client-tls"}, set(made))
        done = helm(HELMS["Helm 3"], "template", "lowmark", CHART, "--namespace", "streams",
                    "--values", values_file("security"))
        self.assertEqual(done.returncode, 0, done.stderr)
        worker = find(objects(done.stdout), "Deployment", "lowmark-worker-orders")
        address = variables(worker["spec"]["template"]["spec"]["containers"][0])["LOWMARK_COORDINATOR"]
        self.assertIn(address.removesuffix(":7070"), made["lowmark-tls"]["dnsNames"])

    def test_a_jobs_name_changes_with_what_it_does(self):
        def job(*arguments):
            return next(t["metadata"]["name"] for t in rendered("minimal", NEWEST, *arguments)
                        if t["kind"] == "Job")
        self.assertEqual(job(), job())
        self.assertNotEqual(job(), job("--set", "streams.orders.config.batch_size=7"))
        self.assertNotEqual(job(), job("--set", "image.tag=v2"))
        self.assertEqual(job(), job("--set", "coordinator.replicas=7"))

    def test_only_another_connection_string_restarts_coordinators(self):
        def pod(*arguments):
            return find(rendered("coordinator-only", NEWEST, *arguments), "Deployment",
                        "marks-coordinator")["spec"]["template"]
        self.assertEqual(pod(), pod("--set", "streams.orders.config.batch_size=7"))
        self.assertNotEqual(pod(), pod("--set", "database.url=other"))

    def test_selectors_select_only_their_own(self):
        things = rendered("full")
        pods = {t["metadata"]["name"]: t["spec"]["template"]["metadata"]["labels"] for t in things
                if t["kind"] in ("Deployment", "Job")}

        def selected(selector):
            return sorted(n for n, labels in pods.items() if selector.items() <= labels.items())

        for thing in things:
            if thing["kind"] == "Deployment":
                name = thing["metadata"]["name"]
                self.assertEqual(selected(thing["spec"]["selector"]["matchLabels"]), [name])
            if thing["kind"] == "Service":
                self.assertEqual(selected(thing["spec"]["selector"]), ["mine-lowmark-coordinator"])
        policy = find(things, "NetworkPolicy", "mine-lowmark-coordinator")["spec"]["ingress"][0]
        self.assertEqual(selected(policy["from"][0]["podSelector"]["matchLabels"]), sorted(pods))

    def test_a_groups_values_beat_the_defaults_even_where_they_are_empty(self):
        group = ("database: {url: x}\n"
                 "workerDefaults: {replicas: 3, pdb: {enabled: true}, settings: {threads: 4},"
                 " topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable:"
                 " DoNotSchedule}], securityContext: {readOnlyRootFilesystem: true}}\n"
                 "workers: {orders: {stream: orders, source: {type: file, path: /data},"
                 " handler: {type: exec, command: cat}, %s}}")
        things = self.accepted(group % "replicas: 0, pdb: {enabled: false}, "
                               "topologySpreadConstraints: [], settings: {capacity: 2}, "
                               "securityContext: {readOnlyRootFilesystem: false}")
        deployment = find(things, "Deployment", "mine-lowmark-worker-orders")
        pod = deployment["spec"]["template"]["spec"]
        self.assertEqual(deployment["spec"]["replicas"], 0)
        self.assertNotIn("topologySpreadConstraints", pod)
        self.assertIs(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], False)
        self.assertEqual([t["metadata"]["name"] for t in things
                          if t["kind"] == "PodDisruptionBudget"], ["mine-lowmark-coordinator"])
        said = arguments(pod["containers"][0])
        self.assertEqual((said["threads"], said["capacity"]), ("4", "2"))

    def test_long_names_fit(self):
        things = self.accepted("database: {url: x}\nfullnameOverride: " + "n" * 70)
        names = [t["metadata"]["name"] for t in things if t["kind"] == "Service"]
        self.assertEqual(len(names), 2)
        self.assertLessEqual(max(map(len, names)), 63)

    def test_notes_give_the_next_three_commands(self):
        for program in HELMS.values():
            with fake_cluster() as address:
                done = helm(program, "install", "mine", CHART, "--dry-run=client",
                            "--disable-openapi-validation", "--namespace",
                            "streams", "--kube-apiserver", address, "--values",
                            values_file("minimal"))
            self.assertEqual(done.returncode, 0, done.stderr)
            notes = done.stdout[done.stdout.index("NOTES:"):]
            self.assertEqual(re.findall(r"^\d\. ", notes, re.MULTILINE), ["1. ", "2. ", "3. "])
            self.assertIn("rollout status deployment/mine-lowmark-coordinator", notes)
            self.assertIn("helm test mine --namespace streams", notes)

    def test_needs_kubernetes_1_20(self):
        for program in HELMS.values():
            done = template(program, values_file("minimal"), "1.19.16")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(">=1.20.0-0", done.stderr)

    def test_versions_agree(self):
        def said(path, pattern):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                return set(re.findall(pattern, file.read(), re.MULTILINE))
        version = said("CMakeLists.txt", r"^project\(lowmark VERSION (\S+)")
        self.assertEqual(len(version), 1)
        self.assertEqual(said("helm/lowmark/Chart.yaml", r"^appVersion: (\S+)"), version)
        self.assertEqual(said("deploy/Dockerfile", r"^ARG VERSION=(\S+)"), version)
        self.assertEqual(said("deploy/compose.yaml", r"image: lowmark-\w+:(\S+)"), version)

    def test_readme_is_made_of_the_values(self):
        made = subprocess.run([os.path.join(HERE, "readme")], capture_output=True, text=True,
                              check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        with open(os.path.join(CHART, "README.md"), encoding="utf-8") as file:
            self.assertEqual(made.stdout, file.read(), "run tests/helm/run --update")


if __name__ == "__main__":
    unittest.main()

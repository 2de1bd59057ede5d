"""Shows for each rule what it finds, and what it lets through."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import rules  # noqa: E402


def found(files):
    """The rules that find something in these files, as (rule, path, line)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, 'w', encoding='utf-8') as file:
                file.write(text)
            if text.startswith('#!'):
                os.chmod(full, 0o755)
        return [(f.rule, f.path, f.line) for f in rules.check(rules.Tree(root, list(files)))]


def include(path, *names):
    return {path: ''.join(f'#include "{name}"\n' for name in names)}


class IncludeTest(unittest.TestCase):

    def refused(self, path, name):
        self.assertEqual(found(include(path, name)), [('include', path, 1)], (path, name))

    def taken(self, path, name):
        self.assertEqual(found(include(path, name)), [], (path, name))

    def test_core_includes_nobody(self):
        for name in ('store/store.h', 'service/process/mutex.h', 'lowmark/v1/stream.pb.h',
                     'grpcpp/server.h', 'google/protobuf/any.pb.h', 'worker/worker.h',
                     'service/coordinator.h'):
            self.refused('service/core/step.cc', name)
        for name in ('service/core/policy.h', 'absl/time/time.h', 'vector'):
            self.taken('service/core/step.cc', name)

    def test_store_sees_core(self):
        self.refused('store/memory/memory_store.cc', 'service/coordinator.h')
        self.refused('store/postgres/postgres_store.cc', 'lowmark/v1/stream.pb.h')
        self.taken('store/memory/memory_store.cc', 'service/core/lease.h')
        self.taken('store/postgres/queries.cc', 'pqxx/pqxx')

    def test_coordinator_sees_neither_wire_nor_database(self):
        self.refused('service/coordinator.cc', 'grpcpp/server.h')
        self.refused('service/coordinator.cc', 'service/rpc/convert.h')
        self.refused('service/coordinator.cc', 'store/postgres/postgres_store.h')
        self.taken('service/coordinator.cc', 'store/store.h')
        self.taken('service/main.cc', 'store/postgres/postgres_store.h')

    def test_rpc_sees_no_implementation(self):
        self.refused('service/rpc/server.cc', 'store/memory/memory_store.h')
        self.taken('service/rpc/server.cc', 'lowmark/v1/coordinator.grpc.pb.h')

    def test_worker_headers_show_nothing_of_the_wire(self):
        for name in ('lowmark/v1/coordinator.pb.h', 'grpcpp/channel.h', 'worker/internal/lease.h',
                     'service/process/mutex.h'):
            path = 'worker/worker.h'
            self.assertIn(('include', path, 1), found(include(path, name)))
        for path in ('worker/handler/http.h', 'worker/source/file/file_source.h'):
            self.assertIn(('include', path, 1), found(include(path, 'worker/internal/lease.h')))
        self.refused('worker/internal/lease.cc', 'service/coordinator.h')
        self.taken('worker/internal/lease.cc', 'lowmark/v1/coordinator.grpc.pb.h')

    def test_security_is_plain_but_one_header_of_it_public(self):
        self.refused('service/security/pem.cc', 'grpcpp/server.h')
        self.refused('service/security/access.cc', 'service/coordinator.h')
        self.taken('service/security/access.cc', 'service/process/mutex.h')
        for name, taken in (('connection_security.h', True), ('client_secrets.h', False)):
            wrong = ('include', 'worker/options.h', 1)
            files = include('worker/options.h', 'service/security/' + name)
            self.assertEqual(wrong not in found(files), taken, name)
        self.taken('worker/internal/runner.cc', 'service/security/client_secrets.h')

    def test_command_line_is_a_client(self):
        self.refused('service/cli/main.cc', 'service/coordinator.h')
        self.refused('service/cli/main.cc', 'store/store.h')
        self.taken('service/cli/main.cc', 'service/dev/postgres_cluster.h')

    def test_pqxx_stays_in_store_postgres(self):
        for path in ('service/coordinator.cc', 'store/memory/memory_store.cc',
                     'tests/e2e/some.cc', 'service/main.cc'):
            self.refused(path, 'pqxx/pqxx')
        self.taken('tests/store/fence.cc', 'pqxx/pqxx')

    def test_outbox_source_sees_connections_and_no_store(self):
        path = 'worker/source/postgres/outbox_database.cc'
        for name in ('pqxx/pqxx', 'store/postgres/connection_pool.h', 'store/postgres/options.h'):
            self.taken(path, name)
        self.refused(path, 'store/postgres/postgres_store.h')
        self.refused('worker/source/file/file_source.cc', 'store/postgres/connection_pool.h')
        self.refused('worker/source/kafka/client.cc', 'pqxx/pqxx')

    def test_prometheus_stays_in_metrics(self):
        self.refused('service/coordinator.cc', 'prometheus/counter.h')
        self.taken('service/metrics.cc', 'prometheus/counter.h')
        self.taken('service/process/endpoint.cc', 'prometheus/exposer.h')

    def test_nothing_includes_tests(self):
        self.refused('service/report.cc', 'tests/support/fake.h')


class OtherRulesTest(unittest.TestCase):

    def test_clocks_in_core(self):
        path = 'service/core/lease.cc'
        for line in ('auto t = absl::Now();', 'std::chrono::steady_clock::now();', 'time(nullptr);',
                     'std::random_device{}();'):
            self.assertEqual(found({path: line + '\n'}), [('clock', path, 1)])
        self.assertEqual(found({path: '// not absl::Now() here\nint uptime(int);\n'}), [])
        self.assertEqual(found({'service/report.cc': 'absl::Now();\n'}), [])

    def test_leftovers(self):
        for line, rule in (('// TODO: later', 'todo'), ('// FIXME', 'todo'),
                           ('GTEST_SKIP();', 'skip'), ('TEST(A, DISABLED_B) {', 'skip'),
                           ('  // TEST(A, B) {', 'dead-test')):
            self.assertEqual(found({'service/a.cc': f'\n{line}\n'}), [(rule, 'service/a.cc', 2)])
        self.assertEqual(found({'service/a.cc': '// toDo and XXXL are words\n'}), [])

    def test_sleeping_in_tests(self):
        path = 'tests/a/b.cc'
        for line in ('std::this_thread::sleep_for(x);', 'absl::SleepFor(x);', '  sleep(1);'):
            self.assertEqual(found({path: line + '\n'}), [('sleep', path, 1)])
        self.assertEqual(found({'service/b.cc': 'absl::SleepFor(x);\n'}), [])

    def test_a_line_can_be_allowed_with_a_reason(self):
        line = 'absl::SleepFor(x);'
        self.assertEqual(found({'tests/a.cc': f'{line}  // tidy: allow sleep, it polls\n'}), [])
        self.assertEqual(found({'tests/a.cc': f'// tidy: allow sleep, it polls\n{line}\n'}), [])
        self.assertEqual(len(found({'tests/a.cc': f'{line}  // tidy: allow sleep\n'})), 1)
        self.assertEqual(len(found({'tests/a.cc': f'{line}  // tidy: allow todo, so\n'})), 1)

    def test_length(self):
        self.assertEqual(found({'service/a.cc': '\n' * 400}), [])
        self.assertEqual(found({'service/a.cc': '\n' * 401}), [('length', 'service/a.cc', 401)])
        self.assertEqual(found({'docs/a.md': '\n' * 1000}), [])

    def test_trailing_space(self):
        for end in (' ', '\t', '\r'):
            self.assertEqual(found({'docs/a.md': f'a\nb{end}\n'}), [('space', 'docs/a.md', 2)])

    def test_include_guard(self):
        good = '#ifndef LOWMARK_STORE_STORE_H_\n#define LOWMARK_STORE_STORE_H_\n#endif\n'
        self.assertEqual(found({'store/store.h': good}), [])
        self.assertEqual(found({'store/other.h': good}), [('guard', 'store/other.h', 1)])

    def test_unregistered_test(self):
        test = {'tests/a/b_test.cc': ''}
        self.assertEqual(found(test), [('test', 'tests/a/b_test.cc', 1)])
        self.assertEqual(found({**test, 'tests/a/CMakeLists.txt': 'x(n b_test.cc)\n'}), [])
        self.assertEqual(found({**test, 'tests/CMakeLists.txt': 'x(n a/b_test.cc)\n'}), [])
        self.assertEqual(len(found({**test, 'tests/a/CMakeLists.txt': 'x(n bb_test.cc)\n'})), 1)

    def test_links(self):
        text = 'see [x](other.md#part), [y](https://example.com) and [z](#here)\n'
        self.assertEqual(found({'docs/a.md': text}), [('link', 'docs/a.md', 1)])
        self.assertEqual(found({'docs/a.md': text, 'docs/other.md': ''}), [])
        self.assertEqual(found({'docs/a.md': f'```\n{text}```\n'}), [])

    def test_shell(self):
        self.assertEqual(found({'deploy/a': '#!/usr/bin/env bash\nif true; then\n'})[0][:2],
                         ('shell', 'deploy/a'))
        self.assertEqual(found({'deploy/a': '#!/bin/sh\necho ok\n'}), [])

    def test_python(self):
        self.assertEqual(found({'tests/a.py': 'def f(:\n'}), [('python', 'tests/a.py', 1)])


if __name__ == '__main__':
    unittest.main()

"""What a machine can check of the house style: rules over the lines of files.

Each rule is a function that is given a Tree and yields Findings. `run` applies
them all; self_test.py shows for each what it finds.

A line that must break a rule says so, with the reason, in a comment at its end
or on the line before: `tidy: allow NAME, because ...`.
"""

import os
import re
import shutil
import subprocess
from typing import NamedTuple

CODE = ('.h', '.cc')
LONGEST_FILE = 400


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    text: str


class Tree:
    """The tracked files below a root, read once."""

    def __init__(self, root, paths=None):
        self.root = root
        self.paths = sorted(paths if paths is not None else tracked(root))
        self._lines = {}

    def full(self, path):
        return os.path.join(self.root, path)

    def lines(self, path):
        if path not in self._lines:
            with open(self.full(path), encoding='utf-8', errors='replace', newline='') as file:
                self._lines[path] = file.read().split('\n')
        return self._lines[path]

    def code(self):
        return [p for p in self.paths if p.endswith(CODE)]

    def scripts(self, *interpreters):
        """Files that start with a #! line naming one of the interpreters."""
        for path in self.paths:
            if not os.access(self.full(path), os.X_OK):
                continue
            first = self.lines(path)[0]
            if first.startswith('#!') and re.split(r'[/ ]', first)[-1] in interpreters:
                yield path

    def allowed(self, path, number, rule):
        lines = self.lines(path)
        marker = 'tidy: allow ' + rule + ','
        return any(marker in line for line in lines[max(0, number - 2):number])


def tracked(root):
    """Paths that git tracks or would; all of them where there is no git."""
    listed = subprocess.run(
        ['git', '-C', root, 'ls-files', '--cached', '--others', '--exclude-standard'],
        capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = listed.stdout.splitlines()
    else:
        paths = []
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if not f.startswith(('.', 'build'))]
            paths += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return [p for p in paths if os.path.isfile(os.path.join(root, p))]


# --- Who may include whom ----------------------------------------------------

INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")')
WIRE = ('grpc', 'google/', 'lowmark/v1/', 'keda/')
OURS = ('service/', 'store/', 'worker/', 'tests/', 'lowmark/v1/')
# The files that put the parts together; they may see all of them.
WIRING = ('service/main.cc', 'service/serve.h', 'service/serve.cc', 'worker/main.cc')


# What speaks to a PostgreSQL.
POSTGRES = ('store/postgres/', 'worker/source/postgres/')
PUBLIC_WORKER = re.compile(r'worker/(handler/)?[^/]+\.h|worker/source/[^/]+/[^/]+_source\.h')


# What is about security, and yet of public headers.
PUBLIC_SECURITY = 'service/security/connection_security.h'


def is_public_worker_header(path):
    return PUBLIC_WORKER.fullmatch(path) is not None


def may_include(path, name):
    """What is wrong with `path` including `name`; None where nothing is."""
    base = os.path.basename(path)
    if path.startswith('tests/'):
        if name.startswith('pqxx') and not path.startswith('tests/store/'):
            return 'only store/postgres and its tests may see pqxx; go through store/store.h'
        return None
    if name.startswith('pqxx') and not path.startswith(POSTGRES):
        return 'only store/postgres and the outbox source may see pqxx; go through store/store.h'
    if name.startswith('prometheus/') and not (
            'metrics' in base or path.startswith('service/process/endpoint')):
        return 'only metrics files may see prometheus; give the metrics a method for it'
    if name.startswith('tests/'):
        return 'nothing but tests may include tests'
    if path in WIRING:
        return None
    ours = name.startswith(OURS)
    if path.startswith('service/core/'):
        if (ours and not name.startswith('service/core/')) or name.startswith(WIRE):
            return 'service/core is pure: it may include nothing of Lowmark but itself'
    elif path.startswith('store/'):
        allowed = ('service/core/', 'store/', 'service/process/')
        if (ours and not name.startswith(allowed)) or name.startswith(WIRE):
            return 'the store may see service/core and service/process alone'
    elif is_public_worker_header(path):
        core = name.startswith('service/core/') or name == PUBLIC_SECURITY
        if name.startswith(WIRE) or (ours and not core and not is_public_worker_header(name)):
            return ('a public header of the worker may include service/core and other public '
                    'headers of the worker alone')
    elif path.startswith('worker/'):
        allowed = ('service/core/', 'service/process/', 'service/security/',
                   'service/rpc/channel.h', 'service/rpc/convert.h',
                   'service/rpc/convert_stats.h', 'service/rpc/message_size.h',
                   'service/rpc/status.h', 'worker/', 'lowmark/v1/')
        if path.startswith(POSTGRES):
            allowed += ('store/postgres/connection_pool.h', 'store/postgres/options.h')
        if ours and not name.startswith(allowed):
            return 'the worker may see service/core, service/process and the wire alone'
    elif path.startswith('service/cli/'):
        allowed = ('service/cli/', 'service/core/', 'service/dev/', 'service/process/',
                   'service/security/', 'service/rpc/channel.h', 'service/rpc/convert.h',
                   'service/rpc/message_size.h', 'service/rpc/quiet.h', 'service/rpc/status.h',
                   'lowmark/v1/')
        if ours and not name.startswith(allowed):
            return 'the command line is a client: it may see the wire, not the coordinator'
    elif path.startswith('service/rpc/'):
        if name.startswith('store/') and name != 'store/store.h':
            return 'service/rpc may see store/store.h, not what is behind it'
    elif path.startswith('service/security/'):
        allowed = ('service/core/', 'service/process/', 'service/security/')
        if (ours and not name.startswith(allowed)) or name.startswith(WIRE):
            return 'service/security may see service/core and service/process alone'
    elif path.startswith(('service/process/', 'service/dev/')):
        allowed = ('service/core/', 'service/process/', 'service/dev/')
        if (ours and not name.startswith(allowed)) or name.startswith(WIRE):
            return 'service/process and service/dev may see service/core alone'
    elif path.startswith('service/'):
        if name.startswith(WIRE) or name.startswith('service/rpc/'):
            return 'the coordinator is plain C++: the wire stays in service/rpc'
        if name.startswith('store/') and name != 'store/store.h':
            return 'the coordinator may see store/store.h, not what is behind it'
    return None


def includes(tree):
    for path in tree.code():
        for number, line in enumerate(tree.lines(path), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            wrong = may_include(path, match.group(1)[1:-1])
            if wrong:
                yield Finding(path, number, 'include', wrong)


def include_guards(tree):
    for path in tree.code():
        if not path.endswith('.h'):
            continue
        guard = 'LOWMARK_' + re.sub(r'[^A-Za-z0-9]', '_', path).upper() + '_'
        if not any(line == '#ifndef ' + guard for line in tree.lines(path)):
            yield Finding(path, 1, 'guard', 'the include guard must be ' + guard)


# --- What must not be there ----------------------------------------------------

CLOCKS = re.compile(r'absl::Now\(|GetCurrentTimeNanos|(system|steady|high_resolution)_clock|'
                    r'\b(gettimeofday|clock_gettime|time)\(|random_device|\brand\(')


def raw_clocks(tree):
    for path in tree.code():
        if not path.startswith('service/core/'):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            if CLOCKS.search(line.split('//')[0]):
                yield Finding(path, number, 'clock',
                              'service/core has no clock and no randomness; take them as arguments')


LEFTOVERS = (
    ('todo', re.compile(r'\b(TODO|FIXME|XXX|HACK)\b'), 'do it now, or drop it'),
    ('skip', re.compile(r'\bGTEST_SKIP\b'), 'a test that cannot run has failed'),
    ('skip', re.compile(r'\bDISABLED_'), 'enable the test, or remove it'),
    ('dead-test', re.compile(r'^\s*//\s*TEST(_F|_P)?\('), 'a test is run or removed'),
)
SLEEPS = re.compile(r'\b(sleep_for|sleep_until|SleepFor|usleep|nanosleep)\b|[^_\w]sleep\(')


def leftovers(tree):
    own = os.path.join('tests', 'tidy') + os.sep
    for path in tree.paths:
        if path.startswith(own) or not path.endswith(CODE + ('.py', '.sql', '.proto', '.txt')):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            for rule, pattern, advice in LEFTOVERS:
                if pattern.search(line):
                    yield Finding(path, number, rule, advice)


def sleeps_in_tests(tree):
    for path in tree.code():
        if not path.startswith('tests/'):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            if SLEEPS.search(line.split('//')[0]):
                yield Finding(path, number, 'sleep',
                              'do not sleep and hope: wait for a condition with a deadline')


def long_files(tree):
    scripts = set(tree.scripts('bash', 'sh', 'python3'))
    for path in tree.paths:
        if path in scripts or path.endswith(CODE + ('.py',)):
            length = len(tree.lines(path)) - 1
            if length > LONGEST_FILE:
                yield Finding(path, length, 'length',
                              f'has {length} lines; split it below {LONGEST_FILE}')


BINARY = ('.png', '.jpg', '.gif', '.ico', '.pb', '.bin', '.gz', '.svg')


def trailing_space(tree):
    for path in tree.paths:
        if path.endswith(BINARY):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            if line.endswith((' ', '\t', '\r')):
                yield Finding(path, number, 'space', 'remove the white space at the end')


# --- What must be there --------------------------------------------------------


def registered_tests(tree):
    for path in tree.paths:
        if not path.endswith('_test.cc'):
            continue
        folder, name = os.path.split(path)
        lists = []
        while folder:
            lists.append(os.path.join(folder, 'CMakeLists.txt'))
            folder = os.path.dirname(folder)
        if not any(re.search(r'(^|[\s/(])' + re.escape(name) + r'\b', '\n'.join(tree.lines(l)))
                   for l in lists if l in tree.paths):
            yield Finding(path, 1, 'test', 'is built by no CMakeLists.txt, so it never runs')


LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


def links(tree):
    for path in tree.paths:
        if not path.endswith('.md'):
            continue
        fenced = False
        for number, line in enumerate(tree.lines(path), 1):
            fenced ^= line.lstrip().startswith('```')
            if fenced:
                continue
            for target in LINK.findall(line):
                file = target.split('#')[0]
                if not file or re.match(r'[a-z]+:', file):
                    continue
                if not os.path.exists(os.path.join(tree.root, os.path.dirname(path), file)):
                    yield Finding(path, number, 'link', f'{file} does not exist')


def shell_scripts(tree):
    scripts = list(tree.scripts('bash', 'sh'))
    for path in scripts:
        checked = subprocess.run(['bash', '-n', tree.full(path)], capture_output=True, text=True,
                                 check=False)
        if checked.returncode != 0:
            yield Finding(path, 1, 'shell', checked.stderr.strip())
    if not scripts or not shutil.which('shellcheck'):
        return
    checked = subprocess.run(['shellcheck', '-x', '-f', 'gcc', *scripts], cwd=tree.root,
                             capture_output=True, text=True, check=False)
    for line in checked.stdout.splitlines():
        match = re.match(r'(.*?):(\d+):\d+: \w+: (.*)', line)
        if match:
            yield Finding(match.group(1), int(match.group(2)), 'shell', match.group(3))


def python_scripts(tree):
    for path in [p for p in tree.paths if p.endswith('.py')] + list(tree.scripts('python3')):
        try:
            compile('\n'.join(tree.lines(path)), path, 'exec')
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, 'python', error.msg)


RULES = (includes, include_guards, raw_clocks, leftovers, sleeps_in_tests, long_files,
         trailing_space, registered_tests, links, shell_scripts, python_scripts)


def check(tree):
    """All findings that no line allows."""
    return [finding for rule in RULES for finding in rule(tree)
            if not tree.allowed(finding.path, finding.line, finding.rule)]

"""What the tests of installation share: commands that must succeed, and a failure that tells."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'cli'))
import servers  # pylint: disable=wrong-import-position,unused-import


def run(*command, env=None, cwd=None):
    """Runs a command that must succeed; returns what it printed."""
    result = subprocess.run(command, env={**os.environ, 'LC_ALL': 'C', **(env or {})}, cwd=cwd,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit('%s\nended with %d:\n%s' % (
            ' '.join(command), result.returncode, result.stdout))
    return result.stdout


def expect(condition, what):
    if not condition:
        raise SystemExit('FAILED: ' + what)


def tree(root):
    """The files below a folder, by their paths in it."""
    return sorted(os.path.relpath(os.path.join(folder, name), root)
                  for folder, _, names in os.walk(root) for name in names)

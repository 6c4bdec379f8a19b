"""A program of tests: functions that fail by an AssertionError, run one after the other."""

import argparse
import sys
import time

_tests = []


def test(function):
    """Registers a test: it takes what run() is given."""
    _tests.append(function)
    return function


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def wait(done, what, seconds=60):
    """Until `done()`; a failure that says `what` there is to wait for."""
    end = time.time() + seconds
    while not done():
        check(time.time() < end, 'after %d s: %s' % (seconds, what))
        time.sleep(0.1)


def parse_options(description, *required):
    """The command line: each of `required`, and which tests to run."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument('--server', required='server' in required)
    for name in required:
        if name != 'server':
            parser.add_argument('--' + name, required=True)
    parser.add_argument('--sanitizers', default='', help='those that the programs were built with')
    parser.add_argument('-k', default='', help='only tests whose name contains this')
    return parser.parse_args()


def run(world, options, before=lambda: None):
    """Runs the tests on `world`, each after `before`, and ends the program."""
    failed = False
    for function in _tests:
        if options.k not in function.__name__:
            continue
        before()
        try:
            function(world)
            print('ok     ' + function.__name__, flush=True)
        except AssertionError as error:
            failed = True
            print('FAILED %s: %s' % (function.__name__, error), flush=True)
    sys.exit(failed)

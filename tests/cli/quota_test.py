#!/usr/bin/env python3
"""Alarms and the quota: raised, shown, ended; and service comes back without an operator.

  quota_test.py --server build/bin/gaveld --gavelctl build/bin/gavelctl [-k NAME]

What etcd has too is played on etcd and on Gavel by etcdctl, and on Gavel by etcdctl and by
gavelctl, and compared.
"""
import argparse
import contextlib
import json
import re
import sys
import urllib.error
import urllib.request

import scenes
from checks import check, wait
from gavelctl import Gavelctl, protobuf_without_header
from raw_grpc import Connection
from report import Report
from servers import Cluster, etcdctl, free_port, need

NOSPACE, CORRUPT = 1, 2
FULL = 'etcdserver: mvcc: database space exceeded'
QUOTA = 4_000_000
VALUE = b'v' * 100_000


def activate(cluster, member, kind):
    """As no command of etcdctl can."""
    with contextlib.closing(Connection(cluster.ports[0][0])) as connection:
        request = bytes([8, 1, 16, member, 24, kind])
        check(connection.call('/etcdserverpb.Maintenance/Alarm', request) != b'', 'no alarm')


def say_writes(stage):
    """What is written, and read, while an alarm is raised."""
    stage.say('put', 'k', 'w')
    stage.say('lease', 'grant', '600')
    for operation in ('put k w', 'del none', 'get k'):
        stage.say('txn', stdin=('\n%s\n\n\n' % operation).encode())
    stage.say('txn', stdin=b'version("k") > "0"\n\nget k\n\nput k w\n\n')
    stage.say('get', 'k')
    stage.say('get', 'k', '--consistency=s')
    stage.say('del', 'k')
    stage.say('compaction', '2')


def say_json(stage, *arguments):
    """The answers of etcd 3.4 about alarms have no header."""
    done = stage.run(*arguments, write_out='json')
    stage.note('$ %s -w json' % ' '.join(arguments),
               re.sub(r'"header":\{[^{}]*\},?', '', done.text()))
    check(done.code == 0, done.err)


def alarms_are_etcds(stage):
    lease = json.loads(stage.run('lease', 'grant', '600', write_out='json').text())['ID']
    for kind in (NOSPACE, CORRUPT):
        stage.note('alarm %d' % kind)
        stage.run('put', 'k', 'v')
        activate(stage.cluster, 5, kind)
        activate(stage.cluster, 7, kind)
        activate(stage.cluster, 0, kind)
        listed = stage.run('alarm', 'list')
        stage.note('$ alarm list', '\n'.join(sorted(listed.text().splitlines())))
        status = json.loads(stage.run('endpoint', 'status', write_out='json').text())
        stage.note('errors', '\n'.join(sorted(status[0]['Status']['errors'])))
        say_writes(stage)
        if kind == CORRUPT:
            stage.say('lease', 'revoke', '%016x' % lease)
        disarmed = stage.run('alarm', 'disarm')
        stage.note('$ alarm disarm', '\n'.join(sorted(disarmed.text().splitlines())))
        stage.say('alarm', 'list')
        stage.say('alarm', 'disarm')
        say_json(stage, 'alarm', 'disarm')
        say_json(stage, 'alarm', 'list')
    stage.say('lease', 'revoke', '%016x' % lease)
    activate(stage.cluster, 9, NOSPACE)
    stage.say('alarm', 'list')
    say_json(stage, 'alarm', 'list')
    say_json(stage, 'alarm', 'disarm')
    stage.say('put', 'k', 'x')
    stage.say('alarm', 'list', 'extra')
    stage.say('alarm', 'list', write_out='table')


def forms(stage):
    """Every format in which alarms are written."""
    for alarms in ((), ((5, NOSPACE),), ((5, NOSPACE), (5, CORRUPT), (7, NOSPACE), (5, 9))):
        for alarm in alarms:
            activate(stage.cluster, *alarm)
        for form in ('simple', 'fields', 'json'):
            stage.say('alarm', 'list', write_out=form)
        listed = stage.run('alarm', 'list', write_out='protobuf')
        stage.note('$ alarm list -w protobuf', protobuf_without_header(listed.out).hex())
    stage.say('alarm', 'disarm', write_out='json')
    stage.say('alarm', 'disarm', write_out='json')


def put(cluster, key, member=0):
    return etcdctl(cluster.endpoint(member), 'put', key, stdin=VALUE)


def fill(cluster, member=0):
    """Puts keys until one is refused for want of space; how many went in."""
    for number in range(1000):
        done = put(cluster, 'fill%d' % number, member)
        if done.code != 0:
            check(done.code == 1 and FULL in done.err, done.err)
            return number
    raise AssertionError('nothing was refused')


def alarms_of(cluster, member=0):
    listed = etcdctl(cluster.endpoint(member), 'alarm', 'list')
    check(listed.code == 0, listed.err)
    return listed.text().splitlines()


@contextlib.contextmanager
def serving(server, size, *extra):
    with contextlib.closing(Cluster(server, size, extra)) as cluster:
        cluster.start()
        cluster.wait_ready()
        yield cluster


def page(url):
    """(status, text) of a page."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def a_full_quota_heals_by_itself(options):
    with serving(options.server, 3, '--quota-backend-bytes=%d' % QUOTA) as cluster:
        wait(lambda: any('the quota is set' in cluster.log(member) for member in range(3)),
             'no quota is set')
        filled = fill(cluster, 1)
        check(QUOTA * 0.9 < filled * len(VALUE) < QUOTA, filled)
        for member in range(3):
            wait(lambda: len(alarms_of(cluster, member)) == 1, 'no alarm')  # pylint: disable=W0640
            refused = put(cluster, 'k', member)
            check(refused.code == 1 and FULL in refused.err, refused.err)
        check(re.fullmatch(r'memberID:\d+ alarm:NOSPACE ', alarms_of(cluster)[0]),
              alarms_of(cluster))
        cluster.stop()
        cluster.start()
        cluster.wait_ready()
        check(len(alarms_of(cluster)) == 1, 'a restart makes it forgotten')
        check(etcdctl(cluster.endpoint(), 'get', 'fill0').code == 0, 'no read')
        deleted = etcdctl(cluster.endpoint(), 'del', 'fill', '--prefix', write_out='json')
        check(deleted.code == 0, deleted.err)
        revision = json.loads(deleted.text())['header']['revision']
        check(len(alarms_of(cluster)) == 1, 'the history still is there')
        check(etcdctl(cluster.endpoint(), 'compaction', str(revision)).code == 0, 'no compaction')
        for member in range(3):
            wait(lambda: put(cluster, 'k', member).code == 0, 'no put')  # pylint: disable=W0640
            check(alarms_of(cluster, member) == [], 'the alarm stays')
        for said in ('an alarm is raised', 'an alarm has ended'):
            wait(lambda: said in cluster.log(0),  # pylint: disable=W0640
                 'it is not told that ' + said)


def health_and_metrics_tell(options):
    metrics = 'http://127.0.0.1:%d' % free_port()
    with serving(options.server, 1, '--quota-backend-bytes=%d' % QUOTA,
                 '--listen-metrics-urls=' + metrics) as cluster:
        check(page(metrics + '/health') == (200, '{"health":"true","reason":""}'), 'not healthy')
        fill(cluster)
        check(page(metrics + '/health') == (503, '{"health":"false","reason":"ALARM NOSPACE"}\n'),
              page(metrics + '/health'))
        check(page(metrics + '/health?exclude=NOSPACE')[0] == 200, 'not excluded')
        text = page(metrics + '/metrics')[1]
        values = dict(line.rsplit(' ', 1) for line in text.splitlines() if line[:1] != '#')
        check(float(values['etcd_server_quota_backend_bytes']) == QUOTA, 'another quota')
        check(float(values['gavel_quota_used_bytes']) > QUOTA * 0.9, 'used')
        alarms = {name: value for name, value in values.items()
                  if name.startswith('etcd_debugging_server_alarms{')}
        check(list(alarms.values()) == ['1'] and 'alarm_type="NOSPACE"' in list(alarms)[0], alarms)
        gavelctl = Gavelctl(options.gavelctl)
        health = gavelctl(cluster.endpoint(), 'endpoint', 'health')
        check(health.code == 1 and 'active alarm(s): NOSPACE' in health.err, health.err)
        # A larger quota is enough.
        cluster.stop()
        cluster.extra[0] = '--quota-backend-bytes=%d' % (2 * QUOTA)
        cluster.start()
        cluster.wait_ready()
        wait(lambda: put(cluster, 'k').code == 0, 'no put')
        check(page(metrics + '/health')[0] == 200, 'still not healthy')
        # One below what is stored is told, and refuses what adds to it.
        cluster.stop()
        cluster.extra[0] = '--quota-backend-bytes=%d' % (QUOTA // 2)
        cluster.start()
        cluster.wait_ready()
        wait(lambda: 'the quota is below what is stored' in cluster.log(), 'not told')
        refused = put(cluster, 'k')
        check(refused.code == 1 and FULL in refused.err, refused.err)
        check(etcdctl(cluster.endpoint(), 'get', 'fill0').code == 0, 'no read')


def a_disk_below_its_reserve_is_an_alarm_until_there_is_space(options):
    with serving(options.server, 3) as cluster:
        check(put(cluster, 'k').code == 0, 'no put')
        cluster.stop(2)
        cluster.extra = ['--disk-reserve-bytes=%d' % (1 << 60)]
        cluster.start(2)
        cluster.wait_ready(2)
        wait(lambda: len(alarms_of(cluster)) == 1, 'no alarm')
        refused = put(cluster, 'k')
        check(refused.code == 1 and FULL in refused.err, refused.err)
        check(etcdctl(cluster.endpoint(2), 'del', 'k').code == 0, 'no deletion')
        wait(lambda: 'free space on the disk' in cluster.log(2), 'it does not say what to do')
        cluster.stop(2)
        cluster.extra = []
        cluster.start(2)
        cluster.wait_ready(2)
        wait(lambda: alarms_of(cluster) == [], 'the alarm stays')
        check(put(cluster, 'k').code == 0, 'no put')


TESTS = [a_full_quota_heals_by_itself, health_and_metrics_tell,
         a_disk_below_its_reserve_is_an_alarm_until_there_is_space]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--server', required=True)
    parser.add_argument('--gavelctl', required=True)
    parser.add_argument('-k', default='', help='only tests whose name contains this')
    parser.add_argument('-v', action='store_true', help='print what Gavel showed')
    options = parser.parse_args()
    report = Report()
    if options.k in 'alarms_are_etcds':
        report('alarms_are_etcds',
               scenes.compare(alarms_are_etcds, need('etcd'), options.server, options.v))
    for scene in (alarms_are_etcds, forms):
        name = scene.__name__ + '_by_gavelctl'
        if options.k in name:
            stages = {'etcdctl': scenes.Stage(options.server),
                      'gavelctl': scenes.Stage(options.server, gavelctl=options.gavelctl)}
            report(name, scenes.compare_stages(scene, stages, options.v))
    for test in TESTS:
        if options.k in test.__name__:
            try:
                test(options)
                report(test.__name__, [])
            except AssertionError as failure:
                report(test.__name__, [str(failure)])
    sys.exit(1 if report.failed else 0)


main()

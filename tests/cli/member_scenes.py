"""Clusters that grow and shrink, and what is printed of them, for the tests of `member`."""
import os
import re
import subprocess
import time

import versions
from servers import Cluster, etcdctl, free_port


class GrowingCluster(Cluster):
    """A cluster to which members are added; `peer(n)` is the peer URL of the member n."""

    def __init__(self, binary, size):
        super().__init__(binary, size)
        self.founders = size

    def peer(self, member):
        while len(self.ports) <= member:
            self.ports.append((free_port(), free_port()))
            self.processes.append(None)
        return 'http://127.0.0.1:%d' % self.ports[member][1]

    def arguments(self, member=0):
        ports, self.ports = self.ports, self.ports[:self.founders]
        try:
            return super().arguments(member)
        finally:
            self.ports = ports

    def start_founders(self):
        self.start(*range(self.founders))
        self.wait_ready(*range(self.founders))
        # Members must have been connected for a while; nothing is changed, since the URL is taken.
        end = time.time() + 60
        while 'unhealthy' in etcdctl(self.endpoint(), 'member', 'add', 'x',
                                     '--peer-urls=' + self.peer(0)).err and time.time() < end:
            time.sleep(0.2)

    def start_as_told(self, member, variables):
        """Starts a member with what `member add` has printed, and where it listens."""
        client = 'http://' + self.endpoint(member)
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(('ETCD', 'GAVEL'))}
        with open(self.log_path(member), 'ab') as log:
            self.processes[member] = subprocess.Popen(
                [self.binary, '--data-dir=' + self.data_dir(member),
                 '--listen-client-urls=' + client, '--advertise-client-urls=' + client,
                 '--listen-peer-urls=' + self.peer(member)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment, **variables})

    def ids(self):
        """Ids by the number of the member whose peer URL they have, the lowest of several."""
        done = etcdctl(self.endpoint(), 'member', 'list', write_out='simple')
        ports = {str(peer): number for number, (_, peer) in enumerate(self.ports)}
        found = {}
        for line in done.text().splitlines():
            fields = line.split(', ')
            numbers = [ports[url.rsplit(':', 1)[-1]] for url in fields[3].split(',')]
            found[min(numbers)] = int(fields[0], 16)
        return found


def variables_in(text):
    """What is to be set, as a shell would read the lines NAME="value"."""
    return dict(re.findall(r'^(ETCD_\w+)="(.*)"$', text, re.M))


class Names:
    """Replaces what a cluster has for itself alone: ids, ports and terms, each by the number of
    the member. Members come in the order of their ids, which is chance: they are sorted anew."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._ids = {}

    def learn(self):
        """Ids are remembered, so that those of removed members are known too."""
        for member, number in self._cluster.ids().items():
            self._ids[number] = 'ID%d' % member

    def _id(self, number):
        return self._ids.get(number, 'CLUSTER' if number > 1 << 40 else str(number))

    def _ports(self, text):
        for member, (client, peer) in enumerate(self._cluster.ports):
            text = text.replace(':%d' % client, ':CLIENT%d' % member)
            text = text.replace(':%d' % peer, ':PEER%d' % member)
        return text

    def text(self, text):
        text = self._ports(text)
        text = re.sub(r'(?<=Member |luster )([ 0-9a-f]{16})(?= |$)',
                      lambda m: self._id(int(m.group(), 16)), text, flags=re.M)
        text = re.sub(r'\b[0-9a-f]{12,16}\b', lambda m: self._id(int(m.group(), 16)), text)
        text = re.sub(r'(?<=":)\d{12,20}\b|(?<=" : )\d{12,20}\b',
                      lambda m: self._id(int(m.group())), text)
        text = re.sub(r'"raft_term":\d+', '"raft_term":N', text)
        text = re.sub(r'"RaftTerm" : \d+', '"RaftTerm" : N', text)
        text = re.sub(r'(?<="members":\[)[^\]].*(?=\]\})',
                      lambda m: ','.join(sorted(re.findall(r'\{[^{}]*\}', m.group()))), text)
        text = re.sub(r'(?<=ETCD_INITIAL_CLUSTER=")[^"]*',
                      lambda m: ','.join(sorted(m.group().split(','))), text)
        if re.match(r'ID\d, ', text):  # A list in the simple format.
            text = ''.join(sorted(text.splitlines(keepends=True)))
        return text

    def protobuf(self, message):
        """The fields of an encoded answer, its members sorted."""
        def member(content):
            return [(number, self._id(value) if number == 1 else
                     self._ports(value.decode()) if number in (2, 3, 4) else value)
                    for number, value in versions.decode(content)]
        fields = []
        for number, content in versions.decode(message):
            if number == 1:
                content = [(n, self._id(v) if n < 3 else 'N') for n, v in versions.decode(content)]
            else:
                content = member(content)
            fields.append((number, content))
        return repr(fields[:1] + sorted(fields[1:], key=repr))

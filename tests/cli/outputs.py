"""Replaces in what etcdctl prints whatever every server says in its own way."""
import base64
import re

OWN = [
    (r'"(cluster_id|member_id|raft_term|ID|leader|raftTerm|raftIndex|raftAppliedIndex)":\d+',
     r'"\1":N'),
    (r'"(ClusterID|MemberID|RaftTerm|Leader|RaftIndex|ID)" : \d+', r'"\1" : N'),
    (r'127\.0\.0\.1:\d+', 'ENDPOINT'),
    (r'took = [0-9.]+[mµn]?s', 'took = T'),
    (r'"took":"[^"]*"', '"took":"T"'),
    (r'"Took" : "[^"]*"', '"Took" : "T"'),
    (r'\b[0-9]+\.[0-9]+[mµ]s\b', 'T'),
    (r'\b[0-9a-f]{14,16}\b', 'ID'),
    (r'-{3,}', '---'),
    (r' +', ' '),
]


def replace_own(text):
    for pattern, replacement in OWN:
        text = re.sub(pattern, replacement, text)
    return text


def refusal(result):
    """etcdctl's last line of complaint, without the log line before it."""
    lines = [line for line in result.err.splitlines() if not line.startswith('{')]
    return replace_own(lines[-1]) if lines else ''


class Leases:
    """Gives the leases of one server names, L1, L2 ..., in the order in which they are met."""

    def __init__(self):
        self._names = {}

    def _name(self, number):
        return self._names.setdefault(number, 'L%d' % (len(self._names) + 1))

    def replace(self, text):
        """Ids are 16 hexadecimal digits, decimal ones in JSON and fields, or stand in a key behind
        a slash; there and in decimal they are shorter if they are small by chance."""
        text = re.sub(r'("(?:cluster_id|member_id|ClusterID|MemberID)" ?: ?)\d+', r'\1N', text)
        text = re.sub(r'(?:(?<=":)|(?<=": )|(?<=" : ))[0-9]{11,19}\b',
                      lambda match: self._name(int(match.group())), text)
        text = re.sub(r'((?<![0-9a-f])[0-9a-f]{15}|(?<=/)[0-9a-f]{9,15})[0-9a-f]?(?![0-9a-f])',
                      lambda match: self._name(int(match.group(), 16)), text)
        return re.sub(r'"key":"([A-Za-z0-9+/=]+)"', self._key, text)

    def _key(self, match):
        """A key in JSON may have a lease's id at its end."""
        key = base64.b64decode(match.group(1)).decode('latin1')
        if re.search(r'/[0-9a-f]{9,16}$', key) is None:
            return match.group()
        return '"key":"%s"' % self.replace(key)

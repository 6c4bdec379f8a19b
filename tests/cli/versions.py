"""What etcd and etcdctl write in another way since 3.4, field by field.

The yardsticks of these tests are Debian's etcd 3.4 and its etcdctl. Each function takes an output
to the form of the other version if what it takes away or replaces is exactly what it must be;
anything else stays, and then shows as a difference. Outputs may have been through `outputs.OWN`
before.
"""
import re

# Those of gavelctl, and of etcdctl 3.6; etcdctl 3.4 has those that are marked.
STATUS_COLUMNS = [
    ('endpoint', True), ('id', True), ('version', True), ('storage version', False),
    ('db size', True), ('in use', False), ('percentage not in use', False), ('quota', False),
    ('is leader', True), ('is learner', True), ('raft term', True), ('raft index', True),
    ('raft applied index', True), ('errors', True), ('downgrade target version', False),
    ('downgrade enabled', False)]
# What a server of this release says in the columns that 3.4 lacks.
STATUS_NEW = {'storage version': r'3\.7\.0', 'in use': r'[\d.]+ [kMG]?B',
              'percentage not in use': r'\d+%', 'quota': r'2\.1 GB',
              'downgrade target version': '', 'downgrade enabled': 'false'}
HASH_COLUMNS = [('endpoint', True), ('hash', True), ('hash revision', False)]
HASH_NEW = {'hash revision': r'\d+'}


def without_columns(cells, columns, new):
    """The cells of the old columns; all of them if a new one is not what it must be."""
    names = [name for name, _ in columns]
    if len(cells) != len(columns) or not all(
            re.fullmatch(new[name], cell) for name, cell in zip(names, cells) if name in new):
        return cells
    return [cell for cell, (_, old) in zip(cells, columns) if old]


def simple_line(line, columns, new):
    return ', '.join(without_columns(line.split(', '), columns, new))


def table_line(line, columns, new):
    if line.startswith('+'):  # As outputs.OWN leaves it: a frame is as wide as its cells.
        whole = line.count('+') - 1 == len(columns)
        return '+--' * sum(old for _, old in columns) + '+' if whole else line
    cells = [cell.strip() for cell in line.split('|')[1:-1]]
    if [cell.lower() for cell in cells] == [name for name, _ in columns]:
        cells = [name.upper() for name, old in columns if old]
    else:
        cells = without_columns(cells, columns, new)
    return re.sub(' +', ' ', '| %s |' % ' | '.join(cells))


def lines(text, one):
    return ''.join(one(line) + '\n' for line in text.splitlines())


def status_of_3_4(text, fmt):
    """Of `endpoint status`: without storage version, size in use, quota and downgrade."""
    if fmt == 'simple':
        return lines(text, lambda line: simple_line(line, STATUS_COLUMNS, STATUS_NEW))
    if fmt == 'table':
        return lines(text, lambda line: table_line(line, STATUS_COLUMNS, STATUS_NEW))
    if fmt == 'json':
        return text.replace(
            ',"storageVersion":"3.7.0","dbSizeQuota":2147483648,"downgradeInfo":{}', '')
    return re.sub(
        r'"StorageVersion" : "3\.7\.0"\n((?:.*\n){1})"DBSizeInUse" : \d+\n'
        r'"DBSizeQuota" : 2147483648\n((?:.*\n){7})"DowngradeTargetVersion" : ""\n'
        r'"DowngradeEnabled" : false\n', r'\1\2', text)


def hash_of_3_4(text, fmt):
    """Of `endpoint hashkv`: without the hash's revision, which is that of the header."""
    if fmt == 'simple':
        return lines(text, lambda line: simple_line(line, HASH_COLUMNS, HASH_NEW))
    if fmt == 'table':
        return lines(text, lambda line: table_line(line, HASH_COLUMNS, HASH_NEW))
    if fmt == 'json':
        return re.sub(r'("revision":(\d+),"raft_term":\w+},"hash":\d+,"compact_revision":-?\d+)'
                      r',"hash_revision":\2}', r'\1}', text)
    return re.sub(r'("Revision" : (\d+)\n(?:.*\n){3})"HashRevision" : \2\n', r'\1', text)


def hex_ids(text, fmt):
    """What --hex writes since 3.5: ids in hexadecimal, in JSON as text."""
    if fmt == 'json':
        return re.sub(r'"(cluster_id|member_id|ID)":(\d+)',
                      lambda m: '"%s":"%x"' % (m.group(1), int(m.group(2))), text)
    return re.sub(r'"(ClusterID|MemberID|ID|(?:Prev)?Lease)" : (\d+)',
                  lambda m: '"%s" : %016x' % (m.group(1), int(m.group(2))), text)


def without_revision_0(text):
    """-w fields leaves the revision out where a header has none."""
    return text.replace('"Revision" : 0\n', '')


def any_status(text, fmt):
    """What two servers cannot have in common: version, sizes, terms and indexes."""
    if fmt == 'json':
        text = re.sub(r'"version":"3\.\d+\.\d+","dbSize":[1-9]\d*', '"version":"V","dbSize":B',
                      text)
        return re.sub(r'"(raftIndex|raftAppliedIndex|dbSizeInUse)":(N|[1-9]\d*)\b', r'"\1":N', text)
    if fmt == 'fields':
        text = re.sub(r'"Version" : "3\.\d+\.\d+"\n"DBSize" : [1-9]\d*\n',
                      '"Version" : "V"\n"DBSize" : B\n', text)
        return re.sub(r'"(RaftIndex|RaftAppliedIndex)" : (N|[1-9]\d*)\n', r'"\1" : N\n', text)
    bar = ', ' if fmt == 'simple' else ' | '
    text = re.sub(r'%s3\.\d+\.\d+%s[1-9][\d.]* [kMG]?B%s' % ((re.escape(bar),) * 3),
                  bar + 'V' + bar + 'B' + bar, text)
    return re.sub(r'(true|false)%s[1-9]\d*%s[1-9]\d*%s[1-9]\d*(?=,| )' % ((re.escape(bar),) * 3),
                  r'\1' + (bar + 'N') * 3, text)


def any_hash(text, fmt):
    """The hash is only comparable between members of one cluster."""
    if fmt == 'json':
        return re.sub(r'"hash":[1-9]\d*,', '"hash":H,', text)
    if fmt == 'fields':
        return re.sub(r'"Hash" : [1-9]\d*\n', '"Hash" : H\n', text)
    if fmt == 'simple':
        return re.sub(r', [1-9]\d*$', ', H', text, flags=re.M)
    return re.sub(r'\| [1-9]\d* \|$', '| H |', text, flags=re.M)


def decode(message):
    """The fields of an encoded message: (number, number or bytes)."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        tag = varint()
        if tag & 7 == 2:
            length = varint()
            content = message[at:at + length]
            at += length
        else:
            content = varint()
        fields.append((tag >> 3, content))
    return fields


def any_members(message):
    """An encoded list of members, its header apart, without ids and ports."""
    members = []
    for number, content in decode(message):
        if number == 1:
            continue
        member = [(field, 'ID' if field == 1 and value > 1 << 32 else
                   re.sub(rb'127\.0\.0\.1:\d+', b'ENDPOINT', value) if field in (3, 4) else value)
                  for field, value in decode(content)]
        members.append((number, member))
    return repr(members)


STATUS = 'E, a1b2, 3.7.1, 3.7.0, 395 kB, 395 kB, 0%, 2.1 GB, true, false, 1, 4, 4, , , false\n'
OLD_STATUS = 'E, a1b2, 3.7.1, 395 kB, true, false, 1, 4, 4, \n'


def near_misses():
    """What must not be taken for what it is nearly: a list of those that are."""
    wrong = []

    def check(equal, a, b):
        if (a == b) != equal:
            wrong.append('%r %s %r' % (a, 'differs from' if equal else 'is taken for', b))
    check(True, status_of_3_4(STATUS, 'simple'), OLD_STATUS)
    for a, b in ((', 3.7.0,', ', 3.6.0,'), ('2.1 GB', '2.2 GB'), (', false\n', ', true\n'),
                 (', , , false', ', , 3.6, false'), (' 395 kB, 0%', ' 395, 0%'),
                 ('true, false', 'false, false'), ('4, 4', '4, 5'), (', , , f', ', x, , f')):
        check(False, status_of_3_4(STATUS.replace(a, b), 'simple'), OLD_STATUS)
    check(True, any_status(OLD_STATUS, 'simple'), any_status(
        'E, a1b2, 3.4.23, 20 MB, true, false, 2, 51, 52, \n', 'simple'))
    for a, b in ((' 3.7.1', ' 4.0.0'), ('395 kB', '0 B'), ('true', 'false'), ('1, 4', '0, 4'),
                 ('4, \n', '4, corrupt\n'), ('4, \n', '0, \n')):
        check(False, any_status(OLD_STATUS.replace(a, b), 'simple'),
              any_status(OLD_STATUS, 'simple'))
    old = '{"header":{"revision":2,"raft_term":1},"hash":7,"compact_revision":-1}'
    check(True, hash_of_3_4(old[:-1] + ',"hash_revision":2}', 'json'), old)
    check(False, hash_of_3_4(old[:-1] + ',"hash_revision":3}', 'json'), old)
    check(False, any_hash(old.replace(':7', ':0'), 'json'), any_hash(old, 'json'))
    check(False, any_hash(old.replace('-1', '5'), 'json'), any_hash(old, 'json'))
    check(False, hash_of_3_4('E, 7, x\n', 'simple'), 'E, 7\n')
    check(False, hex_ids('"Lease" : 10\n', 'fields'), '"Lease" : 0000000000000010\n')
    member = b'\x12\x12\x08\xff\xff\xff\xff\x7f\x12\x02m0\x1a\x06ftp://'
    for a, b in ((b'm0', b'm1'), (b'ftp', b'sip'), (b'\xff\xff\x7f', b'\x80\x80\x00')):
        check(False, any_members(member.replace(a, b)), any_members(member))
    return wrong

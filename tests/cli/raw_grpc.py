"""Unary calls of gRPC on one connection that stays open, which etcdctl never keeps."""
import socket
import struct

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
FRAME_BYTES_MAX = 16384
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def _frame(kind, flags, stream, payload):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


def _header(name, value):
    """A literal without index and Huffman's code; both are shorter than 127 bytes."""
    return b'\0' + bytes([len(name)]) + name + bytes([len(value)]) + value


def field(number, value):
    """A field of a protobuf message that holds bytes."""
    head, size = bytes([number << 3 | 2]), len(value)
    while size > 127:
        head, size = head + bytes([size & 127 | 128]), size >> 7
    return head + bytes([size]) + value


class Connection:
    def __init__(self, port, seconds=20):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=seconds)
        self.socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, b''))
        self.stream = -1

    def close(self):
        self.socket.close()

    def _read(self, size):
        data = b''
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError('the server closed the connection')
            data += part
        return data

    def call(self, method, message):
        """Returns when the call is answered, whatever the answer; its bytes."""
        self.stream += 2
        headers = b''.join(_header(*pair) for pair in [
            (b':method', b'POST'), (b':scheme', b'http'), (b':path', method.encode()),
            (b':authority', b'test'), (b'content-type', b'application/grpc'), (b'te', b'trailers')])
        message = struct.pack('>BI', 0, len(message)) + message
        frames = _frame(HEADERS, END_HEADERS, self.stream, headers)
        for start in range(0, len(message), FRAME_BYTES_MAX):
            part = message[start:start + FRAME_BYTES_MAX]
            last = start + FRAME_BYTES_MAX >= len(message)
            frames += _frame(DATA, END_STREAM if last else 0, self.stream, part)
        self.socket.sendall(frames)
        answer = b''
        while True:
            head = self._read(9)
            size = int.from_bytes(head[:3], 'big')
            kind, flags, stream = struct.unpack('>BBI', head[3:])
            payload = self._read(size)
            if kind == SETTINGS and not flags & ACK:
                self.socket.sendall(_frame(SETTINGS, ACK, 0, b''))
            elif kind == PING and not flags & ACK:
                self.socket.sendall(_frame(PING, ACK, 0, payload))
            if stream != self.stream:
                continue
            if kind == DATA:
                answer += payload
            if kind == HEADERS and flags & END_STREAM:
                return answer

    def put(self, key, value):
        """True if it was acknowledged: an answer has a message, an error has none."""
        try:
            return self.call('/etcdserverpb.KV/Put', field(1, key) + field(2, value)) != b''
        except OSError:
            return False

"""What a puppet can do to the channel on which it talks to the engine."""

import os
import socket
import stat

from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import TensorMeta, encode_layout


def channel():
    """The stub's own end, found as an attacker inside the model would find it."""
    for name in os.listdir("/proc/self/fd"):
        # The list has the descriptor with which it was read in it, which is closed by now.
        if os.path.islink(f"/proc/self/fd/{name}") and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
            sock = socket.socket(fileno=os.dup(int(name)))
            if sock.type == socket.SOCK_SEQPACKET:
                return sock
            sock.close()
    raise LookupError("no channel")


class WireDeeds:
    """Ways of breaking the protocol."""

    def write_garbage(self, hexadecimal):
        with channel() as sock:
            sock.send(bytes.fromhex(hexadecimal))
            sock.setblocking(True)

    def close_channel(self):
        with channel() as sock:
            sock.shutdown(socket.SHUT_RDWR)

    def hand_over_files(self, count):
        """Descriptors that nobody asked for, with a frame that is fine in itself."""
        pairs = [os.pipe() for _ in range(count)]
        with channel() as sock:
            for pair in pairs:
                socket.send_fds(sock, [frames.encode_keys(frames.RELEASE, ())], list(pair))
        for end in (end for pair in pairs for end in pair):
            os.close(end)

    def answer_for(self, key):
        """An answer to a request that somebody else has."""
        with channel() as sock:
            sock.send(frames.encode_responses([frames.ResponseFrame(key, 0, frames.FINAL, b"", b"", ())]))

    def point_at(self, segment, offset, nbytes, lease, own_segment=False):
        """Answer this request with bytes that lie wherever the test says."""
        if own_segment:
            segment = max(self.request_session()._allocator._free)
        key = self.request._key
        layout = encode_layout([TensorMeta("RESULT", 11, (nbytes // 4,))])
        descriptor = frames.Descriptor(segment, offset, nbytes, lease)
        response = frames.ResponseFrame(key, 0, frames.FINAL | frames.INPUTS_RELEASED, layout, b"", [descriptor])
        with channel() as sock:
            sock.send(frames.encode_responses([response]))

    def scribble(self):
        """Overwrite all shared memory that this process can write to."""
        segments = [item for item in self.request_session().segments._by_id.values() if item.writable]
        for segment in segments:
            segment.array[:] = 0xFF
        return len(segments)

    def request_session(self):
        import gc

        from pyserve_stub.session import Session

        return next(item for item in gc.get_objects() if isinstance(item, Session))

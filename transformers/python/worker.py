# A persistent worker: reads requests from fd 3, answers on fd 4, ends at the
# end of fd 3. The frames are described in worker.go. Standard output is the
# user's and goes where standard error goes.
import json
import signal
import struct
from io import BytesIO

LAST, ABORT, LENGTH = 1 << 31, 1 << 30, (1 << 30) - 1
RESULT, FAILURE, PIECE = 0, 1, 2


def main(path, transform, before, after, chunk):
    names, chunk = (transform, before, after), int(chunk)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the host says when to stop
    for fd in (3, 4):
        keep_to_ourselves(fd)
    requests = os.fdopen(3, "rb", 1 << 16)
    sys.stdout = sys.stderr
    try:
        # Not under the file's name: code.py would hide the standard module
        # code, which pdb, and through it torch, imports.
        module = load(path, "etl_code")
        run = bind_chunks(module, path, names, chunk) if chunk else bind(module, path, names)
    except BaseException as error:
        report(path, error, describe_module, with_trace=True)
        return 1
    reply(RESULT, b"")
    while True:
        try:
            if chunk:
                serve_chunks(path, run, requests)
                continue
            request = receive(requests)
        except (EOFError, Gone):
            return 0
        if request is not ABORT:
            serve(path, run, *request)
            request = None  # free the body while we wait


def serve(path, run, info, data):
    try:
        result = run(data, lambda: json.loads(info.decode("utf-8")))
    except BaseException as error:  # also sys.exit(): the worker is not the user's to end
        report(path, error, describe_failure)
    else:
        reply(RESULT, result)
    flush()


def serve_chunks(path, run, requests):
    info = exactly(requests, struct.unpack("!I", exactly(requests, 4))[0])
    body = Body(requests)
    try:
        result = run(body.read, lambda data: reply(PIECE, data), lambda: json.loads(info.decode("utf-8")))
    except Gone:
        raise
    except BaseException as error:
        report(path, error, describe_failure)
    else:
        reply(RESULT, result)
    flush()
    body.skip()


class Gone(Exception):
    """The host has gone in the middle of an object. Not an EOFError, which users' code may well handle."""


class Body(object):
    """One object, read from the host as it is asked for."""

    def __init__(self, requests):
        self.requests, self.left, self.last, self.aborted = requests, 0, False, False  # left: of the current piece

    def read(self, size):
        parts = []
        while size > 0 and self.more():
            parts.append(self.take(size))
            size -= len(parts[-1])
        if self.aborted:
            raise IOError("the object's source failed")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def more(self):
        """Whether there are bytes left, after it has begun with the next piece where need be."""
        while self.left == 0 and not self.last:
            word = struct.unpack("!I", self.exactly(4))[0]
            self.left, self.aborted = word & LENGTH, bool(word & ABORT)
            self.last = self.aborted or bool(word & LAST)
        return self.left > 0

    def take(self, size):
        """At most size bytes of the current piece."""
        size = min(size, self.left)
        self.left -= size
        return self.exactly(size)

    def exactly(self, size):
        try:
            return exactly(self.requests, size)
        except EOFError:
            raise Gone

    def skip(self):
        """Reads what is left, so that the next request comes next."""
        while self.more():
            self.take(1 << 16)


def report(path, error, describe, with_trace=False):
    trace = sys.exc_info()[2]
    summary = describe(path, error, trace)
    if not isinstance(error, BadCode):
        text = format_trace(path, error, trace)
        sys.stderr.write(text)
        if with_trace:
            summary += "\n" + text
    flush()
    if not isinstance(summary, bytes):
        summary = summary.encode("utf-8", "replace")
    reply(FAILURE, summary)


def flush():
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        pass  # the user closed or replaced them


def receive(requests):
    """The next (info, body), or ABORT when the host took it back."""
    info = exactly(requests, struct.unpack("!I", exactly(requests, 4))[0])
    body = None
    while True:
        word = struct.unpack("!I", exactly(requests, 4))[0]
        if word & ABORT:
            return ABORT
        piece = exactly(requests, word & LENGTH)
        if body is None and word & LAST:
            return info, piece
        if body is None:
            body = BytesIO()
        body.write(piece)
        if word & LAST:
            return info, body.getvalue()  # shares BytesIO's memory: joining pieces would need the body twice


def exactly(requests, size):
    data = requests.read(size)
    if len(data) < size:
        raise EOFError
    return data


def reply(status, payload):
    head = struct.pack("!BQ", status, len(payload))
    if len(payload) <= 1 << 16:
        return write(head + bytes(payload))
    write(head)
    write(payload)


def write(data):
    rest = memoryview(data)
    while len(rest):
        rest = rest[os.write(4, rest):]


def keep_to_ourselves(fd):
    """Programs that the user's code starts must not hold our ends open."""
    import fcntl

    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

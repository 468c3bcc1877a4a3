# The part that worker.py and io.py share; both are run with it in front.
# Python 2.7 and 3. The interpreter's start-up is paid for by every object of
# io://, so rare modules are imported where they are used.
import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]  # put there by -c: what lies in the host's working folder is not to be imported

import os
import types


class BadCode(Exception):
    """The user's module or its result is not what it must be. One line, no traceback."""


def load(path, name, code=None):
    """Runs the module at path under that name and returns it."""
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    sys.argv = [path]
    if code is None:
        code = compile(read(path), path, "exec", 0, True)
    exec(code, module.__dict__)
    return module


def read(path):
    with open(path, "rb") as f:
        return f.read()


def parameters(function):
    """How many positional parameters function requires, the names of all, and their annotations."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    bound = 0
    if isinstance(function, types.MethodType):
        bound, function = 1, function.__func__
    code = getattr(function, "__code__", None)
    if code is None:
        return by_signature(function)
    names = list(code.co_varnames[bound : code.co_argcount])
    required = len(names) - len(function.__defaults__ or ())
    if not names and code.co_flags & 0x04:  # only *args: takes the bytes
        return 1, [""], {}
    try:
        return required, names, getattr(function, "__annotations__", {})
    except Exception:  # those that are evaluated late may name what is not there
        return required, names, {}


def by_signature(function):
    try:
        import inspect

        found = inspect.signature(function).parameters.values()
    except (AttributeError, TypeError, ValueError):  # Python 2; some functions written in C
        return 1, [""], {}
    kinds = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not kinds and any(p.kind == p.VAR_POSITIONAL for p in found):
        return 1, [""], {}
    notes = dict((p.name, p.annotation) for p in kinds if p.annotation is not p.empty)
    return len([p for p in kinds if p.default is p.empty]), [p.name for p in kinds], notes


def find(module, path, name, default=None):
    """The module's function of that name, or of the default name, or None."""
    function = getattr(module, name or default, None)
    if callable(function):
        return function
    if name:
        raise BadCode('%s defines no function "%s"' % (os.path.basename(path), name))
    return None


def find_all(module, path, names, chunk):
    """The functions of the three names, and transform's parameters, all checked."""
    transform = find(module, path, names[0])
    before = find(module, path, names[1], "before")
    after = find(module, path, names[2], "after")
    required, takes, notes = parameters(transform)
    check_count(names[0], required, len(takes), before or after, chunk)
    return transform, before, after, takes, notes


def check_count(name, required, total, hooks, chunk):
    if total == 0:
        raise BadCode("%s takes no argument: that form is for io:// only" % name)
    if required > 2:
        raise BadCode("%s requires %d arguments: it is called with the bytes and, if it takes two, the context"
                      % (name, required))
    if total < 2 and chunk:
        raise BadCode("%s takes 1 argument: with a chunk size it is called with the chunk and the context, "
                      "or with a reader and a writer" % name)
    if total < 2 and hooks:
        raise BadCode("%s takes 1 argument: with before or after it is called with the bytes and the context" % name)


def bind(module, path, names):
    """Returns run(data, info), which makes the calls that one object needs.

    names are those of transform, before and after. info() is the dict that
    becomes the context; it is called only when some function wants a context.
    """
    transform, before, after, takes, _ = find_all(module, path, names, 0)

    def call(data, info):
        if len(takes) == 1:
            return binary(transform(data), names[0])
        return binary(transform(data, info()), names[0])

    def call_hooks(data, info):
        context = info()
        if before:
            before(context)
        result = transform(data, context)
        if result is not None:
            context["result"] = result
        return conclude(context, after, names)

    return call_hooks if before or after else call


def conclude(context, after, names):
    """What after makes of the context, or what stands in it."""
    if after:
        result = after(context)
        if result is not None:
            context["result"] = result
    return binary(context.get("result"), after and (names[2] or "after") or names[0])


def bind_chunks(module, path, names, chunk):
    """Returns run(read, write, info), which makes the calls for an object in chunks.

    read(n) gives the object's next n bytes, fewer at its end only; write takes
    pieces of the result, and what run returns is the rest of it.
    """
    transform, before, after, takes, notes = find_all(module, path, names, chunk)

    def call_stream(read, write, info):
        reader, writer = Reader(read, chunk), Writer(write)
        try:
            transform(reader, writer)
            writer.flush()
        finally:
            reader._read = writer._write = too_late
        return b""

    def call_chunks(read, write, info):
        context = info()
        size = context["size"]
        if before:
            before(context)
        context["transformed-length"], context["remaining-length"] = 0, size
        while True:
            data = read(chunk)
            if not data:
                break
            transform(data, context)
            context["transformed-length"] += len(data)
            if size >= 0:
                context["remaining-length"] = size - context["transformed-length"]
        if not context["transformed-length"]:
            context.setdefault("result", b"")  # nobody was called who could set it
        if not after and context.get("result") is None:
            raise BadCode('%s left no bytes in context["result"], and there is no after' % names[0])
        return conclude(context, after, names)

    return call_stream if not before and not after and is_stream(takes, notes) else call_chunks


# What the parameters of transform(reader, writer) may be called in short.
STREAM_NAMES = ("r", "rfile", "src", "source", "w", "wfile", "out", "output", "dst", "sink")


def is_stream(takes, notes):
    """Whether transform wants a reader and a writer, by its parameters, rather than a chunk and the context."""
    names = [name.lower() for name in takes[:2]]
    texts = [str(notes.get(name, "")).lower() for name in takes[:2]]
    if any(word in names[1] for word in ("context", "ctx")):
        return False
    if any(word in texts[1] for word in ("context", "dict", "mapping")):
        return False
    return any(word in text for text in names + texts for word in ("reader", "writer", "stream")) \
        or any(name in STREAM_NAMES for name in names)


def too_late(_):
    """Stands for read and write once the object is done: what is left over of it must not touch the next."""
    raise BadCode("a reader or a writer was used after transform had returned")


class Reader(object):
    """The object, in chunks of at most that many bytes: iterate, or read."""

    def __init__(self, read, chunk):
        self._read, self._chunk = read, chunk

    def read(self, size=None):
        """The next chunk, or the next size bytes; b"" at the end."""
        if size is not None and size < 0:
            return self.read_all()
        return self._read(self._chunk if size is None else size)

    def read_all(self):
        """All the rest, which then stands in memory."""
        return b"".join(self)

    def __iter__(self):
        return self

    def __next__(self):
        data = self._read(self._chunk)
        if not data:
            raise StopIteration
        return data

    next = __next__  # Python 2


class Writer(object):
    """The result. Small pieces are gathered, for each costs a system call here and another at the host."""

    GATHER = 1 << 16

    def __init__(self, write):
        self._write, self._kept = write, bytearray()

    def write(self, data):
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise BadCode("writer.write takes bytes, not %s" % type(data).__name__)
        data = memoryview(data).tobytes() if isinstance(data, memoryview) else data
        if len(self._kept) + len(data) > self.GATHER:
            self.flush()
        if len(data) >= self.GATHER:
            self._write(data)
        else:
            self._kept += data
        return len(data)

    def flush(self):
        if self._kept:
            self._write(bytes(self._kept))
            del self._kept[:]


def binary(result, name):
    if isinstance(result, (bytes, bytearray)):
        return result
    if isinstance(result, memoryview):
        return result.tobytes()  # whatever its shape and strides
    raise BadCode("%s must return bytes, not %s" % (name, "None" if result is None else type(result).__name__))


def place(path, error, trace):
    """The error as one line of text, and its line in the user's module or None."""
    name = type(error).__name__
    if isinstance(error, BadCode):
        return str(error), None
    if isinstance(error, SyntaxError) and error.filename == path:
        return "%s: %s" % (name, error.msg), error.lineno
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno  # the last, so the innermost, wins
        trace = trace.tb_next
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    return "%s: %s" % (name, text[:2000]) if text else name, line


def describe_failure(path, error, trace):
    """What is said of one object: 'ValueError: bad input (code.py line 4)'."""
    text, line = place(path, error, trace)
    return "%s (%s line %s)" % (text, os.path.basename(path), line) if line else text


def describe_module(path, error, trace):
    """What is said of the module: 'code.py line 3: SyntaxError: invalid syntax'."""
    text, line = place(path, error, trace)
    return "%s line %s: %s" % (os.path.basename(path), line, text) if line else text


def format_trace(path, error, trace):
    """The traceback's lines, from the user's module on."""
    import traceback

    start = trace
    while start is not None and start.tb_frame.f_code.co_filename != path:
        start = start.tb_next
    if start is None and not isinstance(error, SyntaxError):
        start = trace
    return "".join(traceback.format_exception(type(error), error, start))

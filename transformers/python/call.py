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


def positional(function):
    """How many positional parameters function requires, how many it can take."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    bound = 0
    if isinstance(function, types.MethodType):
        bound, function = 1, function.__func__
    code = getattr(function, "__code__", None)
    if code is None:
        return by_signature(function)
    total = code.co_argcount - bound
    required = total - len(function.__defaults__ or ())
    if total == 0 and code.co_flags & 0x04:  # only *args: takes the bytes
        return 1, 1
    return required, total


def by_signature(function):
    try:
        import inspect

        parameters = inspect.signature(function).parameters.values()
    except (AttributeError, TypeError, ValueError):  # Python 2; some functions written in C
        return 1, 1
    kinds = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not kinds and any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return 1, 1
    return len([p for p in kinds if p.default is p.empty]), len(kinds)


def find(module, path, name, default=None):
    """The module's function of that name, or of the default name, or None."""
    function = getattr(module, name or default, None)
    if callable(function):
        return function
    if name:
        raise BadCode('%s defines no function "%s"' % (os.path.basename(path), name))
    return None


def bind(module, path, names):
    """Returns run(data, info), which makes the calls that one object needs.

    names are those of transform, before and after. info() is the dict that
    becomes the context; it is called only when some function wants a context.
    """
    transform = find(module, path, names[0])
    before = find(module, path, names[1], "before")
    after = find(module, path, names[2], "after")
    required, total = positional(transform)
    if total == 0:
        raise BadCode("%s takes no argument: that form is for io:// only" % names[0])
    if required > 2:
        raise BadCode("%s requires %d arguments: it is called with the bytes and, if it takes two, the context"
                      % (names[0], required))

    def call(data, info):
        if total == 1:
            return binary(transform(data), names[0])
        return binary(transform(data, info()), names[0])

    def call_hooks(data, info):
        context = info()
        if before:
            before(context)
        result = transform(data) if total == 1 else transform(data, context)
        context["result"] = result
        if after:
            result = after(context)
            if result is None:
                result = context.get("result")
        return binary(result, after and (names[2] or "after") or names[0])

    return call_hooks if before or after else call


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

# The fork server of io://: an interpreter that has compiled the user's module
# and imported what the module begins with, and that is forked for each object.
# io.py stands in front and runs the module in the fork.
#
# It is asked on the socket fd 3, by packets: a byte and the object's number,
# which is followed by what the byte needs. fork.go has the other end.
import _signal
import atexit
import gc

if sys.version_info[0] > 2:
    import _io
    import _socket
    import select

CONTROL = 3
NUMBER = 8  # bytes
NEVER_FORKS = b"X"  # and why: the host is to start a process for each object
ANEW = b"A"  # and what is to be set aside
READY = b"R"
FORK, KILL = b"F", b"K"  # to us; fork comes with standard input, output and error
STARTED, ENDED, FAILED = b"P", b"S", b"E"  # process id; wait status; text


def serve(path, *arguments):
    names, aside = arguments[:4], [name for name in arguments[4].split(",") if name]
    if sys.version_info[0] == 2:
        os.write(CONTROL, NEVER_FORKS + b"Python 2 cannot receive files")
        return 0
    os.set_inheritable(CONTROL, False)
    serve.module = sys.modules["__main__"]
    lazy_site()
    try:
        compiled = prepare(path, names[0])
    except BaseException:
        compiled = None  # each object finds and tells it
    else:
        preload(path, compiled[2], aside)
    os.write(CONTROL, READY)
    Server(path, names, compiled).run()


# What the user's module imports


def preload(path, tree, aside):
    """Imports what the module begins with, unless that does what must be done for each object.

    Where an import fails, prints, opens files, leaves threads or children
    behind, or takes SIGCHLD, which a fork would share or miss, the host starts
    another interpreter that has the module set aside.
    """
    seen, printed = os.pipe()
    os.dup2(printed, 1)
    os.close(printed)
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.modules["__main__"].__file__ = path
    sys.argv = [path]
    for name, members in imports(tree.body):
        if name in aside:
            continue
        files = count("fd")
        try:
            __import__(name, {}, {}, members)
            sys.stdout.flush()
            clean = count("fd") == files and not select.select([seen], [], [], 0)[0] and alone()
        except BaseException:
            clean = False
        if not clean:
            os.write(CONTROL, ANEW + name.encode("utf-8"))
            os._exit(0)
    os.close(seen)
    find_rest(tree.body)


def imports(body):
    """(name, members) of the imports with which the module begins.

    What follows anything but imports and constants is not known to be imported
    by every object, in the same environment: os.environ may have been changed.
    """
    for node in body:
        kind = type(node).__name__
        if kind == "Import":
            for alias in node.names:
                yield alias.name, ()
        elif kind == "ImportFrom" and node.level == 0:
            if node.module != "__future__":
                yield node.module, [alias.name for alias in node.names]
        elif kind == "Try" and all(quiet(n) for h in node.handlers for n in h.body) and all(map(quiet, node.body)) \
                and not node.orelse and not node.finalbody:
            for found in imports(node.body):
                yield found
        elif not quiet(node):
            return


def quiet(node):
    """Whether a statement is an import, or changes nothing but names of the module."""
    kind = type(node).__name__
    if kind == "Assign" and not all(type(t).__name__ == "Name" for t in node.targets):
        return False
    if kind in ("Assign", "Expr"):
        return type(node.value).__name__ in ("Constant", "Str", "Bytes", "Num", "NameConstant")
    return kind in ("Import", "ImportFrom", "Pass")


def count(what):
    return len(os.listdir("/proc/self/" + what))


def alone():
    """Whether there are no threads and no children, and SIGCHLD is nobody's."""
    if _signal.getsignal(_signal.SIGCHLD) != _signal.SIG_DFL or _signal.set_wakeup_fd(-1) != -1:
        return False
    try:
        os.waitpid(-1, os.WNOHANG)
        return False
    except OSError:
        pass
    if count("task") == 1:
        return True
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        return False
    # Libraries that know of forks, as OpenBLAS does, end their threads before one.
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    for _ in range(20):
        if count("task") == 1:
            return True
        select.select([], [], [], 0.001)  # a thread that was waited for is seen a moment longer
    return False


def find_rest(body):
    """Looks for what is imported later, so that objects need not make site-packages importable."""
    queue = list(body)
    while queue:
        node = queue.pop()
        names = [alias.name for alias in node.names] if type(node).__name__ == "Import" else []
        if type(node).__name__ == "ImportFrom" and node.level == 0:
            names = [node.module]
        for name in set(name.split(".")[0] for name in names):
            look_for(name)
        for field in getattr(node, "_fields", ()):
            value = getattr(node, field, None)
            queue += value if isinstance(value, list) else [value]


def look_for(name):
    try:
        name in sys.modules or any(f.find_spec(name, None) for f in list(sys.meta_path) if hasattr(f, "find_spec"))
    except Exception:
        pass  # the object that imports it will say why


# The server


class Server(object):
    def __init__(self, path, names, compiled):
        self.path, self.names, self.compiled = path, names, compiled
        self.control = _socket.socket(fileno=CONTROL)
        self.children, self.numbers = {}, {}  # process ids by number, and the other way round
        self.woken, self.wake = os.pipe()
        for fd in (self.woken, self.wake):
            os.set_blocking(fd, False)
        # SIGTERM reaches the group; the host says when to stop, by closing its end.
        self.before = [(n, _signal.signal(n, h)) for n, h in (
            (_signal.SIGCHLD, lambda *_: None), (_signal.SIGTERM, _signal.SIG_IGN), (_signal.SIGINT, _signal.SIG_IGN))]
        _signal.set_wakeup_fd(self.wake)

    def run(self):
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.woken, select.POLLIN)
        gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()  # a collection in a fork must not touch, and so copy, what is the same for all
        while True:
            for fd, _ in poll.poll():
                if fd == self.woken:
                    os.read(fd, 4096)
                    self.reap()
                else:
                    self.obey()

    def obey(self):
        size = 3 * 4
        message, ancillary, _, _ = self.control.recvmsg(1 + NUMBER, _socket.CMSG_SPACE(size), _socket.MSG_CMSG_CLOEXEC)
        if not message:
            self.end()
        number = message[1:]
        if message[:1] == FORK:
            data = ancillary[0][2]
            self.fork(number, [int.from_bytes(data[i : i + 4], sys.byteorder) for i in range(0, size, 4)])
        elif number in self.children:
            kill_group(self.children[number])

    def fork(self, number, files):
        try:
            pid = os.fork()
        except OSError as error:
            pid = -1
            self.control.send(FAILED + number + str(error).encode("utf-8", "replace"))
        if pid == 0:
            self.become(files)
        for fd in files:
            os.close(fd)
        if pid < 0:
            return
        try:
            os.setpgid(pid, pid)  # whoever is first, this or the child
        except OSError:
            pass
        self.children[number], self.numbers[pid] = pid, number
        self.control.send(STARTED + number + pid.to_bytes(4, sys.byteorder))

    def reap(self):
        while self.numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self.numbers.pop(pid, None)
            if number is not None:
                del self.children[number]
                self.control.send(ENDED + number + status.to_bytes(4, sys.byteorder))

    def end(self):
        """Nobody wants the results any more."""
        _signal.set_wakeup_fd(-1)
        for pid in self.numbers:
            kill_group(pid)
        for pid in self.numbers:
            os.waitpid(pid, 0)
        os._exit(0)

    # From here on in the fork

    def become(self, files):
        """Runs the module as a process of its own would, and never returns."""
        code = 1
        try:
            os.setpgid(0, 0)
            for fd, file in enumerate(files):
                os.dup2(file, fd)
            _signal.set_wakeup_fd(-1)
            self.control.detach()
            os.closerange(CONTROL, max(files + [self.wake, self.woken]) + 1)  # all of it is ours
            for number, handler in self.before:
                _signal.signal(number, handler)
            reseed()
            code = finish(exit_code(run, self.path, self.names, self.compiled))
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)


def kill_group(pid):
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, _signal.SIGKILL)
        except OSError:
            pass


def reseed():
    """Gives generators that are seeded at import the seeds that a process of its own would have."""
    random = sys.modules.get("random")
    if random and not hasattr(os, "register_at_fork"):
        random.seed()
    numpy = sys.modules.get("numpy.random.mtrand")
    if numpy:
        numpy.seed()


def exit_code(function, *arguments):
    try:
        return function(*arguments)
    except SystemExit as error:
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code & 0xFF
        sys.stderr.write("%s\n" % error.code)
        return 1


def finish(code):
    """Does what the end of an interpreter does that can be seen from outside."""
    if "threading" in sys.modules:
        quietly(sys.modules["threading"]._shutdown)  # waits for threads
    quietly(atexit._run_exitfuncs)
    drop(sys.modules.pop("__main__").__dict__)
    for thing in gc.get_objects():  # before a collection, which closes files in any order
        if issubclass(type(thing), _io._IOBase):
            flush_file(thing)
    gc.collect()  # finalizers
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not quietly(stream.flush):
            code = code or 120  # as the interpreter has it
    return code


def drop(names):
    """Lets go of what the module made, the last first, for it may need the others."""
    for name in reversed(list(names)):
        value = names[name]
        if gc.is_tracked(value) and not isinstance(value, (type, types.FunctionType, types.ModuleType)):
            names[name] = value = None


def flush_file(file):
    try:
        file.closed or file in (sys.stdout, sys.stderr) or file.flush()
    except Exception:
        pass  # as when an interpreter ends


def quietly(function):
    try:
        function()
        return True
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return False

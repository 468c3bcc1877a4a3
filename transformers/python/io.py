# Runs the user's module once, for one object: standard input to standard
# output. Started with -S, see lazy_site; fork.py runs it too.


def main(path, *names):
    main.module = sys.modules["__main__"]  # held: Python 2 empties a module that nobody holds
    lazy_site()
    return run(path, names)


def run(path, names, compiled=None):
    """Runs the module, which may have been compiled already, and returns the exit code."""
    names, chunk, name = names[:3], int(names[3]), names[0]
    try:
        code, driven, _ = compiled or prepare(path, name)
        module = load(path, "__main__", code)
        if not driven:
            drive(module, path, names, chunk)
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:
        trace = sys.exc_info()[2]
        if not isinstance(error, BadCode):
            sys.stderr.write(format_trace(path, error, trace))
        sys.stderr.write(describe_failure(path, error, trace) + "\n")
        return 1
    return 0


def prepare(path, name):
    """The module's code, whether running it calls the function of that name, and its syntax tree."""
    tree = compile(read(path), path, "exec", 0x400, True)  # 0x400: PyCF_ONLY_AST; the module ast is slow to import
    return compile(tree, path, "exec", 0, True), runs_itself(tree, name), tree


def drive(module, path, names, chunk):
    """Calls transform for a module that only defines it, in any form."""
    transform = find(module, path, names[0])
    if parameters(transform)[0] == 0:
        transform()
        return
    source, write = getattr(sys.stdin, "buffer", sys.stdin), getattr(sys.stdout, "buffer", sys.stdout).write
    if chunk:
        run = bind_chunks(module, path, names, chunk)
        write(run(source.read, write, lambda: describe_object(-1)))
        return
    run = bind(module, path, names)
    data = source.read()
    write(run(data, lambda: describe_object(len(data))))


def describe_object(size):
    return {"bucket": "", "name": "", "args": "", "size": size}


def runs_itself(tree, name):
    """Whether running the module already calls the function of that name.

    True when a call of it stands outside every function, also below `if
    __name__ == "__main__":`, or in a function that is called so, by name.
    """
    bodies = {}
    seen, queue = set(), calls(tree.body, bodies)
    while queue:
        called = queue.pop()
        if called == name:
            return True
        if called not in seen:
            seen.add(called)
            queue += calls(bodies.get(called, ()), {})
    return False


def calls(nodes, bodies):
    """Names called by the nodes, not by functions defined there; those go to bodies."""
    found, queue = [], list(nodes)
    while queue:
        node = queue.pop()
        kind = type(node).__name__
        if kind in ("FunctionDef", "AsyncFunctionDef"):
            bodies[node.name] = node.body
            continue
        if kind in ("ClassDef", "Lambda"):
            continue
        if kind == "Call" and type(node.func).__name__ == "Name":
            found.append(node.func.id)
        for field in getattr(node, "_fields", ()):
            value = getattr(node, field, None)
            queue += value if isinstance(value, list) else [value]
    return found


class LazySite(object):
    """Makes site-packages importable when an import first misses the standard library."""

    def __init__(self):
        import _thread

        self.lock = _thread.allocate_lock()

    def find_spec(self, name, path=None, target=None):
        with self.lock:  # the other thread's import waits for the first's search path
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                import site

                site.main()
        for finder in list(sys.meta_path):  # all: a .pth file may have added one
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None


def lazy_site():
    """Does what -S left out, if the module needs it.

    The module site, with all the .pth files, takes 3 ms of a bare interpreter's
    start-up of 10, and 36 of 44 in a well-filled installation, for every
    object. Modules of the standard library and on PYTHONPATH need none of it.
    Where it shows: before the first such import, what asks site-packages by
    other means than importing (importlib.metadata) finds nothing there.
    """
    if sys.version_info[0] == 2:
        import site

        site.main()
        return
    import builtins

    builtins.exit = builtins.quit = sys.exit  # site's, that scripts end with
    sys.meta_path.append(LazySite())

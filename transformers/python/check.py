# Looks at the user's module without running it. Prints what is wrong, if
# anything is, to standard error and exits with 1.

# Calls that can define a name where no syntax tree shows it.
DYNAMIC = ("exec", "globals", "locals", "setattr", "vars")


def main(path, name, before, after, chunk, mode):
    try:
        tree = compile(read(path), path, "exec", 0x400, True)
        compile(tree, path, "exec", 0, True)  # finds what the parser does not: return outside function
        check(tree, path, (name, before or "before", after or "after"), int(chunk), mode)
        for hook in (before, after):
            if hook and not list(definitions(tree, hook)):
                raise BadCode('%s defines no function "%s"' % (os.path.basename(path), hook))
    except BaseException as error:
        trace = sys.exc_info()[2]
        sys.stderr.write(describe_module(path, error, trace) + "\n")
        if not isinstance(error, BadCode):
            sys.stderr.write(format_trace(path, error, trace))
        return 1
    return 0


def check(tree, path, names, chunk, mode):
    name = names[0]
    found = list(definitions(tree, name))
    if not found:
        raise BadCode('%s defines no function "%s"' % (os.path.basename(path), name))
    node = found[0]
    if len(found) > 1 or type(node).__name__ != "FunctionDef" or node.decorator_list:
        return
    required, total = counts(node.args)
    if mode == "io" and required == 0:
        return
    hooks = any(type(d).__name__ == "FunctionDef" for hook in names[1:] for d in definitions(tree, hook))
    check_count("%s line %d: %s" % (os.path.basename(path), node.lineno, name), required, total, hooks, chunk)


def counts(args):
    total = len(getattr(args, "posonlyargs", ())) + len(args.args)
    if total == 0 and args.vararg:
        return 1, 1
    return total - len(args.defaults), total


def definitions(tree, name):
    """Nodes outside functions that give the module that name, or may."""
    queue = list(tree.body)
    while queue:
        node = queue.pop(0)
        kind = type(node).__name__
        if kind in ("FunctionDef", "AsyncFunctionDef", "ClassDef"):
            if node.name == name:
                yield node
            continue
        if kind == "Lambda":
            continue
        if kind == "Name" and node.id == name and type(node.ctx).__name__ == "Store":
            yield node
        if kind == "Name" and node.id in DYNAMIC:
            yield node
        if kind == "Exec":  # Python 2
            yield node
        if kind == "alias" and (node.asname or node.name.split(".")[0]) in (name, "*"):
            yield node
        for field in getattr(node, "_fields", ()):
            value = getattr(node, field, None)
            queue += value if isinstance(value, list) else [value]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

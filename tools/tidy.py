#!/usr/bin/env python3
"""House rules that a compiler does not know. Usage: tidy.py [REPOSITORY]. Exit 1 if one is broken.

layers  every #include "module/…" goes down, as declared in src/CMakeLists.txt
try     TRY() stands alone, initialises a variable, or is returned
banned  calls that have a better replacement here
size    files over 800 lines
words   names of registries' hosts
"""
import pathlib
import re
import sys

# (what, where it is allowed, what to use in its place)
BANNED = [
    (r"\bthrow\b", (), "return Error(Code::…, …)"),
    (r"\bsystem\(", (), "os::run"),
    (r"\bstd::cout\b", ("cli", "main"), "the Terminal of cli/"),
    (r"\bgetenv\(", ("main",), "a field of the configuration, filled in main/"),
    (r"(?<![\w.>])::open\(", ("os", "runtime"), "os::open_file"),
]
MAX_LINES = 800


def modules(src):
    allowed = {}
    text = (src / "CMakeLists.txt").read_text()
    for module, deps in re.findall(r"^kist_module\((\w+)\s+DEPS ?([\w ]*?)(?: LIBS [^)]*)?\)", text, re.M):
        later = set(deps.split()) - allowed.keys()
        if later:
            yield f"src/CMakeLists.txt: error: {module} depends on {later}, declared below it", None
        allowed[module] = {module, *deps.split()}
    yield None, allowed


def layer_errors(src, sources):
    allowed = {}
    for error, found in modules(src):
        if error:
            yield error
        allowed = found or allowed
    for path in sources:
        module = path.relative_to(src).parts[0]
        if module == "main":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            to = re.match(r'#include "(\w+)/', line)
            if to and to[1] not in allowed.get(module, set()) and to[1] != "generated":
                yield f"{path}:{number}: error: {module}/ may not include {to[1]}/"


def try_errors(sources):
    for path in sources:
        if path.name == "result.h":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
            for use in re.finditer(r"\bTRY\(", code):
                before = code[: use.start()]
                # What stands before it on the line may be a whole condition, never half a call.
                closed = before.count("(") == before.count(")")
                if not closed or not re.search(r"(^|[;{)=:]|\breturn|\belse)\s*$", before):
                    yield f"{path}:{number}: error: TRY inside a larger expression"


def banned_errors(src, sources):
    for path in sources:
        module = path.relative_to(src).parts[0]
        if path.name.endswith("_test.cpp"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
            for pattern, modules_allowed, instead in BANNED:
                if module not in modules_allowed and re.search(pattern, code):
                    yield f"{path}:{number}: error: '{pattern}' is banned here; use {instead}"


def size_errors(sources):
    for path in sources:
        count = len(path.read_text().splitlines())
        if count > MAX_LINES:
            yield f"{path}: error: {count} lines, more than {MAX_LINES}: split it along a seam"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    src = root / "src"
    sources = sorted(p for p in src.rglob("*.*") if p.suffix in (".h", ".cpp"))
    errors = [*layer_errors(src, sources), *try_errors(sources), *banned_errors(src, sources),
              *size_errors(sources)]
    print("\n".join(errors) or f"tidy: {len(sources)} files, no errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())

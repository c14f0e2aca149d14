#!/usr/bin/env python3
"""Makes tiny wheels and source distributions, the same bytes every time; also hostile ones.

As a module: wheel("thing", "1.0", {"thing.py": b"x = 1\\n"}) gives (file name, bytes).
As a program: make_wheel.py FOLDER NAME VERSION [REQUIREMENT…] writes one and prints its path.
"""
import base64
import gzip
import hashlib
import io
import pathlib
import stat
import struct
import sys
import tarfile
import zipfile

EPOCH = (1980, 1, 1, 0, 0, 0)


class Entry:
    """One member of a zip, with all that a hostile archive may want to say about it."""

    def __init__(self, name, content=b"", mode=0o644, link=False, method=zipfile.ZIP_STORED):
        self.name = name
        self.content = content
        self.mode = mode | (stat.S_IFLNK if link else stat.S_IFREG)
        self.method = method


def make_zip(entries):
    """The entries as they are: names are neither checked nor made unique."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, EPOCH)
            info.filename = entry.name  # ZipInfo cleans it; hostile names must stay.
            info.external_attr = entry.mode << 16
            info.compress_type = entry.method
            info.create_system = 3
            archive.NameToInfo.pop(entry.name, None)  # Else duplicates are warned about.
            archive.writestr(info, entry.content)
    return out.getvalue()


def record_line(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def metadata(name, version, requires=(), requires_python=None, extras=()):
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return ("\n".join(lines) + "\n").encode()


def wheel(name, version, files=None, *, requires=(), requires_python=None, extras=(),
          tag="py3-none-any", scripts=None, extra=(), record=None, wheel_version="1.0"):
    """`files`: content by name. `scripts`: console scripts, {"name": "module:function"}.
    `extra`: Entry objects that RECORD does not know. `record`: its text, to lie in."""
    module = name.replace("-", "_")
    if files is None:
        files = {f"{module}.py": f'__version__ = "{version}"\n'.encode()}
    info = f"{module}-{version}.dist-info"
    entries = [Entry(path, content) for path, content in files.items()]
    entries.append(Entry(f"{info}/METADATA", metadata(name, version, requires, requires_python, extras)))
    pure = "true" if tag.endswith("-any") else "false"
    entries.append(Entry(f"{info}/WHEEL", (f"Wheel-Version: {wheel_version}\nGenerator: make_wheel\n"
                                           f"Root-Is-Purelib: {pure}\nTag: {tag}\n").encode()))
    if scripts:
        lines = "".join(f"{script} = {target}\n" for script, target in scripts.items())
        entries.append(Entry(f"{info}/entry_points.txt", f"[console_scripts]\n{lines}".encode()))
    if record is None:
        record = "".join(record_line(e.name, e.content) for e in entries) + f"{info}/RECORD,,\n"
    entries.append(Entry(f"{info}/RECORD", record.encode()))
    return f"{module}-{version}-{tag}.whl", make_zip(list(extra) + entries)


def many_entries(count):
    """A zip64 of empty files, packed by hand: zipfile would take minutes for a million."""
    local = struct.Struct("<4s5H3I2H").pack(b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 9, 0)
    central = struct.Struct("<4s6H3I5H2I")
    names = [b"m/%07d" % i for i in range(count)]
    body = b"".join(local + name for name in names)
    size = len(local) + 9
    directory = b"".join(
        central.pack(b"PK\1\2", 0x314, 20, 0, 0, 0, 33, 0, 0, 0, 9, 0, 0, 0, 0, 0o100644 << 16, i * size)
        + name for i, name in enumerate(names))
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xffff, 0xffff, len(directory), 0xffffffff, 0)
    return body + directory + end64 + locator + end


BACKEND = '''
import base64, hashlib, io, os, zipfile
INFO = "{module}-{version}.dist-info"
META = {metadata!r}
def get_requires_for_build_wheel(config_settings=None): return []
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.makedirs(os.path.join(folder, INFO))
    open(os.path.join(folder, INFO, "METADATA"), "wb").write(META)
    return INFO
def build_wheel(folder, config_settings=None, metadata_directory=None):
{hook}
    name = "{module}-{version}-py3-none-any.whl"
    files = {{"{module}.py": open("{module}.py", "rb").read(), INFO + "/METADATA": META,
             INFO + "/WHEEL": b"Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}}
    record = ""
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{{path}},sha256={{digest}},{{len(content)}}\\n"
        archive.writestr(INFO + "/RECORD", record + INFO + "/RECORD,,\\n")
    return name
'''


def sdist(name, version, *, requires=(), hook="    pass"):
    """Builds without any requirement: the backend lies in the archive. `hook`: Python lines that
    build_wheel runs first, indented by four."""
    module = name.replace("-", "_")
    meta = metadata(name, version, requires)
    files = {
        "PKG-INFO": meta,
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.format(module=module, version=version, metadata=meta, hook=hook).encode(),
        f"{module}.py": f'__version__ = "{version}"\n'.encode(),
    }
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            info = tarfile.TarInfo(f"{module}-{version}/{path}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return f"{module}-{version}.tar.gz", gzip.compress(plain.getvalue(), mtime=0)


def hostile(kind, name="evil", version="1.0"):
    """A wheel that is wrong in one way: (file name, bytes)."""
    module = f"{name}.py"
    if kind == "dotdot":
        return wheel(name, version, extra=[Entry("../../../../tmp/evil", b"x")])
    if kind == "absolute":
        return wheel(name, version, extra=[Entry("/tmp/evil", b"x")])
    if kind == "backslash":
        return wheel(name, version, extra=[Entry("..\\..\\evil", b"x")])
    if kind == "symlink":
        return wheel(name, version, extra=[Entry("link", b"/etc", link=True), Entry("link/evil", b"x")])
    if kind == "case":
        return wheel(name, version, {"A.py": b"1\n", "a.py": b"2\n", module: b""})
    if kind == "duplicate":
        return wheel(name, version, extra=[Entry(module, b"first\n")])
    if kind == "file-and-folder":
        return wheel(name, version, extra=[Entry("x", b"1"), Entry("x/y", b"2")])
    if kind == "record-hash":
        info = f"{name}-{version}.dist-info"
        return wheel(name, version, record=record_line(module, b"other content") + f"{info}/METADATA,,\n"
                     f"{info}/WHEEL,,\n{info}/RECORD,,\n")
    if kind == "record-missing":
        return wheel(name, version, record=f"{name}-{version}.dist-info/RECORD,,\n")
    if kind == "bomb":
        return wheel(name, version, extra=[Entry("bomb", bytes(1200 << 20), method=zipfile.ZIP_DEFLATED)])
    if kind == "entries":
        return f"{name}-{version}-py3-none-any.whl", many_entries(1_000_000)
    if kind == "lying-size":
        file_name, data = wheel(name, version, extra=[Entry("big", bytes(100_000), method=zipfile.ZIP_DEFLATED)])
        return file_name, data.replace(struct.pack("<I", 100_000), struct.pack("<I", 10))
    if kind == "other-name":
        return f"{name}-{version}-py3-none-any.whl", wheel("other", version)[1]
    if kind == "wheel-version":
        return wheel(name, version, wheel_version="2.0")
    if kind == "not-utf8":
        file_name, data = wheel(name, version, extra=[Entry("nXme", b"x")])
        return file_name, data.replace(b"nXme", b"n\xffme")
    if kind == "not-a-zip":
        return f"{name}-{version}-py3-none-any.whl", b"this is not a zip\n" * 100
    raise KeyError(kind)


def main():
    folder, name, version, *requires = sys.argv[1:]
    file_name, data = wheel(name, version, requires=requires)
    path = pathlib.Path(folder, file_name)
    path.write_bytes(data)
    print(path)


if __name__ == "__main__":
    main()

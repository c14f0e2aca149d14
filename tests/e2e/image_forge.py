"""Images made by hand, layer by layer, good ones and hostile ones."""
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, kind=tarfile.REGTYPE, content=b"", mode=0o644, uid=0, gid=0, target="", mtime=1000000000, xattrs=()):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, uid, gid, mtime
    info.linkname, info.size = target, len(content)
    if xattrs:
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in xattrs}
    return info, content


def folder(name, mode=0o755, **more):
    return entry(name, tarfile.DIRTYPE, mode=mode, **more)


def link(name, target, **more):
    return entry(name, tarfile.SYMTYPE, target=target, mode=0o777, **more)


def hard(name, target, **more):
    return entry(name, tarfile.LNKTYPE, target=target, **more)


def layer(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def config_of(tars, **run):
    return json.dumps({
        "created": "2024-01-18T01:04:14Z", "architecture": "amd64", "os": "linux", "config": run,
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        "history": [{"created_by": f"layer {i}"} for i in range(len(tars))]}).encode()


class Layout:
    """An OCI layout in a folder."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.manifests = []
        (self.path / "blobs/sha256").mkdir(parents=True)
        (self.path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, media_type, name=None):
        described = digest(data)
        (self.path / "blobs/sha256" / (name or described)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": name or described, "size": len(data)}

    def image(self, name, tars, compress=None, **run):
        """`compress`: a function, and what it adds to the media type."""
        pack, suffix = compress or (lambda tar: gzip.compress(tar, 1, mtime=0), "+gzip")
        config = config_of(tars, **run)
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": self.blob(config, "application/vnd.oci.image.config.v1+json"),
                    "layers": [self.blob(pack(tar), LAYER + suffix) for tar in tars]}
        self.manifest(name, manifest)
        return digest(config)

    def manifest(self, name, manifest):
        described = self.blob(json.dumps(manifest).encode(),
                              "application/vnd.oci.image.manifest.v1+json")
        described["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.manifests.append(described)
        self.write_index()

    def write_index(self):
        (self.path / "index.json").write_text(json.dumps(
            {"schemaVersion": 2, "manifests": self.manifests}))


def plain(tar):
    return tar


def changing_layers():
    """Everything that one layer can do to those below it."""
    return [
        layer(folder("d"), entry("d/kept", content=b"kept"), entry("d/gone", content=b"gone"),
              folder("opaque"), entry("opaque/old", content=b"old"),
              folder("opaque/sub"), entry("opaque/sub/deep", content=b"deep"),
              folder("becomes-file"), entry("becomes-file/in", content=b"in"),
              entry("becomes-folder", content=b"file"), link("becomes-real", "d"),
              entry("shared", content=b"shared", mode=0o640, uid=3, gid=4),
              hard("shared-too", "shared", mode=0o640, uid=3, gid=4), folder("tmp", 0o1777), folder("locked", 0o700, uid=7, gid=8),
              folder("gone-folder"), entry("gone-folder/x", content=b"x"),
              folder("reborn"), entry("reborn/before", content=b"before"),
              entry("suid", content=b"#!suid", mode=0o4755), entry("sgid", content=b"#!sgid", mode=0o2755),
              entry("empty"), entry("secret", content=b"none may", mode=0),
              entry("with space é \\ 'quotes'", content=b"odd"),
              entry("n" * 200 + "/" + "m" * 200, content=b"long"),
              entry("attr", content=b"attr", xattrs=[("user.note", "hello")])),
        layer(folder("d", 0o711, uid=1), entry("d/.wh.gone"), entry("d/new", content=b"new"),
              folder("opaque"), entry("opaque/.wh..wh..opq"), entry("opaque/fresh", content=b"fresh"),
              entry("becomes-file", content=b"now a file"),
              folder("becomes-folder"), entry("becomes-folder/in", content=b"in"),
              folder("becomes-real"), entry("becomes-real/in", content=b"in"),
              entry("across", content=b"across"),
              entry(".wh.gone-folder"), entry(".wh.reborn"), entry(".wh.was-never-there")),
        layer(hard("linked", "across"), entry("across", content=b"changed after"),
              folder("reborn", 0o750), entry("reborn/after", content=b"after"),
              link("l", "/etc/../d/kept"), link("dangling", "../../../nowhere")),
    ]

"""archive.py OUT NAME CONFIG LAYER...: an OCI image layout as a tar archive, of layers that are tar archives.

The layout is that of the OCI image specification (image-layout.md); what overlayfs notes as removed becomes what layers note it
by (layer.md, whiteouts).
"""

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
import tempfile


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return "sha256:" + found.hexdigest()


def with_whiteouts(path):
    """The layer with overlayfs' devices 0/0 as files `.wh.NAME`; the same layer where there is none."""
    with tarfile.open(path) as layer:
        if not any(member.ischr() for member in layer):
            return path
    out = tempfile.NamedTemporaryFile(dir=os.path.dirname(path), suffix=".tar", delete=False)
    with tarfile.open(path) as layer, tarfile.open(out.name, "w") as changed:
        for member in layer:
            if member.ischr() and (member.devmajor, member.devminor) == (0, 0):
                folder, name = os.path.split(member.name)
                changed.addfile(tarfile.TarInfo(os.path.join(folder, ".wh." + name)))
            else:
                changed.addfile(member, layer.extractfile(member) if member.isreg() else None)
    return out.name


def main(out, name, config, *layers):
    layers = [with_whiteouts(layer) for layer in layers]
    digests = [digest(layer) for layer in layers]
    with open(config) as file:
        image = {
            "architecture": "amd64",
            "os": "linux",
            "config": json.load(file),
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    blobs = {}

    def blob(value, kind):
        text = json.dumps(value, sort_keys=True).encode()
        found = "sha256:" + hashlib.sha256(text).hexdigest()
        blobs[found] = text
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": found, "size": len(text)}

    manifest = blob(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(image, "config.v1+json"),
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": found,
                    "size": os.stat(layer)[stat.ST_SIZE],
                }
                for layer, found in zip(layers, digests)
            ],
        },
        "manifest.v1+json",
    )
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [manifest]}
    with tarfile.open(out, "w") as archive:

        def add(path, text):
            member = tarfile.TarInfo(path)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))

        add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add("index.json", json.dumps(index).encode())
        for found, text in blobs.items():
            add("blobs/sha256/" + found.removeprefix("sha256:"), text)
        for layer, found in zip(layers, digests):
            archive.add(layer, "blobs/sha256/" + found.removeprefix("sha256:"))


main(*sys.argv[1:])

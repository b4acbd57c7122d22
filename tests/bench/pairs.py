"""Two releases of real layers, as tars that come out the same each time; and the compressors of this machine."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

AARCH64 = ", aarch64"
WHEELS = {
    "pandas": ("2.2.2", "2.2.3"),
    "cryptography": ("42.0.7", "42.0.8"),
    "pydantic-core": ("2.18.3", "2.18.4"),
    "scipy": ("1.13.0", "1.13.1"),
    "numpy": ("1.26.3", "1.26.4"),
}
PACKAGES = {
    "esbuild": ("@esbuild/linux-x64", "0.21.4", "0.21.5"),
    "closure jar": ("google-closure-compiler-java", "20230802.0.0", "20231112.0.0"),
    "typescript": ("typescript", "5.4.4", "5.4.5"),
}
JARS = "tomcat jars"
_GO = """package main
import ("compress/gzip"; "io"; "os"; "strconv")
func main() {
    level, _ := strconv.Atoi(os.Args[1])
    w, err := gzip.NewWriterLevel(os.Stdout, level)
    if err == nil { _, err = io.Copy(w, os.Stdin) }
    if err == nil { err = w.Close() }
    if err != nil { panic(err) }
}
"""


def make_pair(name: str, folder: Path) -> tuple[bytes, bytes]:
    """Return the tars of the old and the new release; the old one of a first delivery is empty."""
    name, first, _ = name.partition(", first delivery")
    old, new = _pair(name, folder)
    return (b"" if first else old), new


def names() -> list[str]:
    """Return what `make_pair` takes, as far as this machine has the tools for it."""
    found = [*WHEELS, f"pandas{AARCH64}"]
    if shutil.which("npm"):
        found += PACKAGES
    found.append(JARS)
    if shutil.which("mmdebstrap"):
        found.append("Debian base")
    found.append("pandas, other mtimes")
    return found + [
        f"{each}, first delivery" for each in ("pandas", "esbuild", JARS, "Debian base") if each in found
    ]


def _pair(name: str, folder: Path) -> tuple[bytes, bytes]:
    if name.removesuffix(AARCH64) in WHEELS:
        old, new = WHEELS[name.removesuffix(AARCH64)]
        return _wheel(name, old, folder), _wheel(name, new, folder)
    if name in PACKAGES:
        package, old, new = PACKAGES[name]
        return _package(package, old, folder), _package(package, new, folder)
    if name == JARS:
        return _debian_package("libtomcat10-java", folder)
    if name == "pandas, other mtimes":
        version = WHEELS["pandas"][1]
        return _wheel("pandas", version, folder), _wheel("pandas", version, folder, moved=True)
    if name == "Debian base":
        return _debian(folder, updates=False), _debian(folder, updates=True)
    return huge(int(name.removesuffix(" MiB") or 0) << 20, "old"), huge(int(name.removesuffix(" MiB")) << 20, "new")


def _tar(members: Iterable[tuple[str, bytes]], *, moved: bool = False) -> bytes:
    clock = random.Random(1)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = 1700000000 + (clock.randrange(100000) if moved else 0)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _wheel(name: str, version: str, folder: Path, *, moved: bool = False) -> bytes:
    machine = "aarch64" if name.endswith(AARCH64) else "x86_64"
    name = name.removesuffix(AARCH64)
    pattern = f"{name.replace('-', '_')}-{version}-*{machine}*.whl"
    if not list(folder.glob(pattern)):
        platforms = [f"--platform={each}_{machine}" for each in ("manylinux2014", "manylinux_2_28")]
        wanted = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", *platforms]
        pip = (sys.executable, "-m", "pip", "--quiet", "download", *wanted, "--dest", str(folder))
        subprocess.run([*pip, f"{name}=={version}"], check=True, stderr=subprocess.DEVNULL)
    (wheel,) = folder.glob(pattern)
    with zipfile.ZipFile(wheel) as files:
        inside = sorted(each for each in files.namelist() if not each.endswith("/"))
        return _tar(((f"usr/lib/python3/dist-packages/{each}", files.read(each)) for each in inside), moved=moved)


def _package(name: str, version: str, folder: Path) -> bytes:
    pack = subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, capture_output=True, text=True
    )
    with tarfile.open(folder / pack.stdout.split()[-1]) as files:
        return _tar(sorted(_contents(files)))


def _contents(files: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in files:
        if file := files.extractfile(member):
            yield f"node_modules/{member.name}", file.read()


def _debian_package(name: str, folder: Path) -> tuple[bytes, bytes]:
    """Return the contents of a package as Debian 12 was released last, and as it is with its security updates."""
    listed = subprocess.check_output(["apt-cache", "madison", name], text=True).splitlines()
    versions = [line.split("|")[1].strip() for line in listed]
    found = []
    for version in (versions[-1], versions[0]):
        subprocess.run(
            ["apt-get", "--quiet", "download", f"{name}={version}"], cwd=folder, check=True, capture_output=True
        )
        package = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
        found.append(subprocess.check_output(["dpkg-deb", "--fsys-tarfile", package]))
    return found[0], found[1]


def _debian(folder: Path, *, updates: bool) -> bytes:
    """Return a system of Debian 12, as it was released or as it is now."""
    out = folder / f"debian-{updates}.tar"
    targets = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    listed = {tuple(line.split()[1:3]) for line in subprocess.check_output(targets, text=True).splitlines()}
    sources = [f"deb {where} {suite} main" for suite, where in sorted(listed) if updates or suite == "bookworm"]
    command = ["mmdebstrap", "--quiet", "--variant=important", "--format=tar", "bookworm", str(out), *sources]
    subprocess.run(command, check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    return out.read_bytes()


def huge(size: int, release: str) -> bytes:
    """Return a tar of so many bytes in which every tenth file changes a little between the releases."""
    names = random.Random(0)
    change = random.Random(release)

    def members() -> Iterator[tuple[str, bytes]]:
        left = size
        for number in range(10**9):
            if left <= 0:
                return
            length = min(left, names.choice((3000, 40_000, 700_000, 20_000_000, 100_000_000)))
            # Half noise, half repeated: as large as a layer of that size, and not too slow to compress.
            noise = random.Random(number).randbytes(length // 2 + 1)
            data = bytearray((noise + noise[: length // 2])[:length])
            if number % 10 == 0:
                for _ in range(max(1, length // 50_000)):
                    place = change.randrange(length)
                    data[place : place + 8] = change.randbytes(8)
            yield f"data/{number}", bytes(data)
            left -= length

    return _tar(members())


def _piped(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def _zopfli(data: bytes, folder: Path) -> bytes:
    # It wants a file that it can seek in.
    (folder / "layer").write_bytes(data)
    return subprocess.run(["zopfli", "--i1", "-c", str(folder / "layer")], check=True, capture_output=True).stdout


def _zlib(level: int) -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        compressor = zlib.compressobj(level, zlib.DEFLATED, 31, 8)
        return compressor.compress(data) + compressor.flush()

    return compress


def compressors(folder: Path) -> dict[str, Callable[[bytes], bytes]]:
    """Return those that this machine has."""
    found: dict[str, Callable[[bytes], bytes]] = {}
    if shutil.which("go"):
        (folder / "main.go").write_text(_GO)
        build = ["go", "build", "-o", str(folder / "gogzip"), str(folder / "main.go")]
        subprocess.run(build, check=True, capture_output=True)
        found |= {f"Go {level}": _piped(str(folder / "gogzip"), str(level)) for level in (6, 1, 9)}
    else:
        sys.stderr.write("no Go here: its compressor is left out\n")
    found |= {f"zlib {level}": _zlib(level) for level in (6, 9)}
    found |= {f"GNU gzip {level}": _piped("gzip", f"-{level}", "-n", "-c") for level in (6, 9)}
    found["pigz"] = _piped("pigz", "-c", "-n")
    found["skopeo"] = lambda data: by_skopeo(data, folder)
    found["skopeo zstd"] = lambda data: by_skopeo(data, folder, "zstd")
    if shutil.which("zopfli"):
        found["zopfli"] = lambda data: _zopfli(data, folder)
    unknown = {
        "libdeflate": ("libdeflate-gzip", "-6", "-c"),
        "igzip": ("igzip", "-2", "-c", "-"),
        "7zip": ("7z", "a", "-tgzip", "-si", "-so", "-an"),
    }
    return found | {name: _piped(*command) for name, command in unknown.items() if shutil.which(command[0])}


def by_skopeo(data: bytes, folder: Path, form: str = "gzip") -> bytes:
    """Return a layer as skopeo compresses it."""
    from hashlib import sha256

    shutil.rmtree(folder / "plain", ignore_errors=True)
    shutil.rmtree(folder / "packed", ignore_errors=True)
    (folder / "plain").mkdir()
    rootfs: dict[str, object] = {"type": "layers", "diff_ids": []}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    kind = "application/vnd.oci.image"
    described = [
        {"mediaType": media, "digest": f"sha256:{sha256(blob).hexdigest()}", "size": len(blob)}
        for media, blob in ((f"{kind}.config.v1+json", config), (f"{kind}.layer.v1.tar", data))
    ]
    for blob in (config, data):
        (folder / "plain" / sha256(blob).hexdigest()).write_bytes(blob)
    manifest = {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": described[0]}
    (folder / "plain/manifest.json").write_text(json.dumps(manifest | {"layers": described[1:]}))
    (folder / "plain/version").write_text("Directory Transport Version: 1.1\n")
    copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-compress", "--dest-compress-format", form]
    subprocess.run([*copy, f"dir:{folder}/plain", f"dir:{folder}/packed"], check=True)
    written = json.loads((folder / "packed/manifest.json").read_text())
    packed = (folder / "packed" / written["layers"][0]["digest"].removeprefix("sha256:")).read_bytes()
    assert form == "zstd" or gzip.decompress(packed) == data
    return packed

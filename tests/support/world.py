"""An application at a vendor's, in several releases, and what layers of it are made from."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from typing import TYPE_CHECKING, Any

from tests.support.images import fresh, put_image
from tests.support.tool import PLAIN_DEST, PLAIN_PULL

if TYPE_CHECKING:
    from tests.support.images import Image
    from tests.support.registry import Registry
    from tests.support.tool import Tool


def files(seed: object, count: int = 6) -> dict[str, bytes]:
    rng = random.Random(str(seed))
    some = [rng.randbytes(rng.randrange(2, 9)) for _ in range(3000)]
    return {f"file{each}": b"".join(rng.choices(some, k=6000)) for each in range(count)}


def tar(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zipped(content: dict[str, bytes], level: int = 6) -> bytes:
    return gzip.compress(tar(content), level, mtime=0)


class World:
    """An application at a vendor's, in releases of which each changes a file of a large layer."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.tool, self.vendor, self.customer, self.at = tool, vendor, customer, fresh()
        self.content = files(self.at)
        self.common = zipped(files(f"{self.at}common", 1))
        self.images: dict[str, Image] = {}
        self.contents: dict[str, dict[str, bytes]] = {}
        for tag in "1234":
            self.contents[tag] = self.content = {**self.content, "file2": f"release {tag}".encode() * 50}
            self.images[tag] = put_image(vendor, self.at, tag, [self.common, zipped(self.content)])

    def reference(self, tag: str) -> str:
        return f"{self.vendor.host}/{self.at}:{tag}"

    def there(self, tag: str, at: str | None = None) -> str:
        return f"{self.customer.host}/{at or self.at}:{tag}"

    def pull(self, tag: str, *options: Any, base: str | None = None) -> Any:
        bases = ("--base", self.reference(base)) if base else ()
        return self.tool.good(
            "pull", self.reference(tag), *bases, "-o", f"{tag}.tar", "--json", *options, *PLAIN_PULL
        ).json

    def deliver(self, tag: str) -> None:
        self.pull(tag)
        self.tool.good("push", f"{tag}.tar", self.there(tag), *PLAIN_DEST)

    def arrived(self, tag: str, at: str | None = None) -> bool:
        raw = self.customer.manifest(at or self.at, tag)
        image = self.images[tag]
        repository = at or self.at
        return raw == image.raw and all(self.customer.has_blob(repository, each) for each in image.layers)

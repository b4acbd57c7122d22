"""Releases of several images, and a customer who gets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.images import digest_of, fresh, layer, platform, put_image, put_list

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.images import Image
    from tests.support.registry import Registry
    from tests.support.tool import Tool

CHART = "application/vnd.cncf.helm.config.v1+json"
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


class Release:
    """A vendor's releases of three images and a chart, and a customer who has the first of them."""

    def __init__(self, tool: Tool, vendor: Registry, customer: Registry) -> None:
        self.tool, self.vendor, self.customer = tool, vendor, customer
        self.at, self.prefix = fresh("vendor"), fresh("site")
        self.images: dict[str, Image] = {}
        self.common = layer(f"{self.at}common")
        for release in "12":
            for name in ("one", "two"):
                layers = [self.common, layer(f"{self.at}{name}"), layer(f"{self.at}{name}{release}")]
                self.put(f"team/{name}:{release}", layers, docker=name == "two")
            leaves = [
                (self.leaf("team/many", [self.common, layer(f"{self.at}{cpu}{release}")]), platform(cpu))
                for cpu in ("amd64", "arm64")
            ]
            self.images[f"team/many:{release}"] = put_list(vendor, f"{self.at}/team/many", release, leaves)
        # It is the same in both.
        self.put("chart:7", [layer(f"{self.at}chart")], config=b"{}", config_type=CHART, layer_types=[CHART_LAYER])

    def put(self, name: str, layers: list[bytes], **more: Any) -> None:
        repository, _, tag = name.partition(":")
        self.images[name] = put_image(self.vendor, f"{self.at}/{repository}", tag, layers, **more)

    def leaf(self, repository: str, layers: list[bytes]) -> Image:
        return put_image(self.vendor, f"{self.at}/{repository}", None, layers)

    def names(self, release: str) -> list[str]:
        return [f"team/one:{release}", f"team/two:{release}", f"team/many:{release}", "chart:7"]

    def reference(self, name: str) -> str:
        return f"{self.vendor.host}/{self.at}/{name}"

    def spec(self, release: str, names: list[str] | None = None, **more: Any) -> Path:
        images = [
            {"name": name, "final": self.reference(name)} | ({"all": True} if "many" in name else {})
            for name in names or self.names(release)
        ]
        path = self.tool.home / f"spec-{release}.json"
        path.write_text(json.dumps({"images": images, **more}))
        return path

    def pull(self, release: str, *options: str | Path) -> Any:
        plain = ("--base-tls-verify", "false", "--final-tls-verify", "false")
        spec = self.spec(release)
        return self.tool.good("pull", "--spec", spec, "-o", f"{release}.tar", "--json", *options, *plain).json

    def push(self, archive: str, *options: str | Path, prefix: str | None = None, code: int = 0) -> Any:
        where = f"docker://{self.customer.host}/{prefix or self.prefix}"
        ran = self.tool("push", archive, where, "--json", *options, "--dest-tls-verify", "false")
        assert ran.code == code, ran.stderr + ran.text
        return ran.json

    def there(self, name: str, prefix: str | None = None) -> str | None:
        """The digest of what the customer has under a name."""
        repository, _, tag = name.rpartition(":")
        raw = self.customer.manifest(f"{prefix or self.prefix}/{repository}".removeprefix("/"), tag)
        return None if raw is None else digest_of(raw)

    def arrived(self, release: str, prefix: str | None = None) -> bool:
        return all(self.there(name, prefix) == self.images[name].digest for name in self.names(release))

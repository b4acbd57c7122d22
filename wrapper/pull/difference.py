"""The difference of two archives on disk: as if it was pulled with the older one's images as bases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ContentError
from ..oci.reference import repository_of
from .plan import Item, Plan

if TYPE_CHECKING:
    from ..archive.contents import ArchiveContents, NamedImage
    from ..oci.manifest import Descriptor
    from ..source.blobs import Supply


def compare(old: ArchiveContents, new: Supply) -> Plan:
    """Compare an archive's images with those of an older one.

    Args:
        old: what the other side has: all layers of its images, also those that it left out itself.
        new: the archive that is to become smaller; what it leaves out stays left out.

    Returns:
        What travels, and what does not. Images of two bundles are compared where they have one name, whatever their
        tags are.

    Raises:
        ContentError: the two contradict each other; or the newer one leaves out a layer, and does not say of which
            base.
    """
    (contents,) = new.contents
    both = old.is_bundle and contents.is_bundle
    before = [named for named in old.images if not named.beside]

    def item(named: NamedImage) -> Item:
        alike = [each for each in before if not both or repository_of(each.name) == repository_of(named.name)]
        bases: dict[str, dict[str, Descriptor]] = {
            each.image.root.digest: dict(each.image.layers) for each in alike
        }
        beside = tuple((None, each) for each in contents.beside if each.beside == named.image.root.digest)
        for part in (named, *(each for _, each in beside)):
            for digest in part.image.layers.keys() & contents.omitted.keys():
                for base in contents.bases_of.get(digest, ()):
                    bases.setdefault(base, {})[digest] = contents.omitted[digest]
        known = {node.digest for each in alike for node in each.image.nodes}
        return Item(None, named.image, bases, named.name, frozenset(known), (), beside)

    items = tuple(item(named) for named in contents.images if not named.beside)
    left = {repository_of(named.name) for named in contents.images}
    gone = tuple(str(named.name) for named in before if both and repository_of(named.name) not in left)
    plan = Plan(items, contents.is_bundle, gone)
    if absent := [digest for digest in plan.travelling if digest not in new]:
        raise ContentError(
            f"the newer archive lacks layer {absent[0]}, and the older one's images have not got it either",
            "make the newer one whole first: see the command complete",
        )
    return plan

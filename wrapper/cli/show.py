"""Results and errors as lines for people, or as one JSON object.

What errors and findings say goes through `as_options`: the library names its own arguments.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BundleError, one_line
from ..host.text import human_bytes, named, plural, show_kinds
from ..results import OLDER, OTHER, WHOLE
from .wording import as_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from ..errors import IncrementalError, MissingLayersError
    from ..results import (
        Contents,
        DeltaInfo,
        DoctorResult,
        Failure,
        ImageInfo,
        InspectResult,
        MirrorConfigResult,
        MissingLayer,
        Outcome,
        PullResult,
        PushResult,
        ReadBack,
        SiteImage,
        SpecResult,
        StatusResult,
        VetResult,
    )

_THERE = "already there"


def show_pull(result: PullResult, out: TextIO, *, as_json: bool) -> None:
    """Show what a pull did, or would do."""
    if as_json:
        _show_json(asdict(result), out)
        return
    _show_images(result, out)
    for name in result.gone:
        _line(out, "gone", name)
    _show_changes(result, out)
    _show_amounts(result, out)
    if result.archive:
        _line(out, "archive", f"{result.archive.path or '-'} ({human_bytes(result.archive.size)})")
        _line(out, "size", f"{result.archive.size} bytes")
        _line(out, "sha256", result.archive.sha256)


def show_vet(result: VetResult, out: TextIO, *, as_json: bool, failure: BundleError | None = None) -> None:
    """Show whether a destination has what an archive leaves out; of a bundle also where it gave no clear answer."""
    if as_json:
        _show_checked(result, out, failure)
        return
    if result.outcomes:
        _show_outcomes(result.outcomes, out, "ready")
        _show_missing(result.missing, out, result.names, _lacked_by(result.outcomes))
        _show_failures([each.error for each in result.outcomes if each.error and not each.missing])
        _show_amounts(result, out)
        _show_read_back(result.read_back, out)
        if result.missing:
            _line(out, "next", as_options(_what_is_missing(result).next_step))
        _line(out, "result", _count(result.outcomes, "ready"))
        return
    _show_images(result, out)
    _show_amounts(result, out)
    _show_read_back(result.read_back, out)
    if result.destination is None:
        _line(out, "result", "the archive is sound" + _whether_needed(result))
    else:
        _show_answer(result, out)


def show_push(
    result: PushResult, out: TextIO, *, as_json: bool, dry_run: bool, failure: BundleError | None = None
) -> None:
    """Show what a push did, or would do; and for a bundle, which of its images failed."""
    if as_json:
        _show_json(_with_outcomes(result) | (_failed(failure) if failure else {}), out)
        return
    sent = "would be pushed" if dry_run else "pushed"
    # Of an image that is read back, lost layers are sent again whatever its tags point to.
    done = sent if result.changed else _THERE if result.read_back else f"{_THERE}: nothing sent"
    if result.outcomes:
        _show_outcomes(result.outcomes, out, sent)
        _show_missing(result.missing, sys.stderr, result.names, _lacked_by(result.outcomes))
        _show_failures([outcome.error for outcome in result.outcomes if outcome.error])
        _show_amounts(result, out)
        _show_read_back(result.read_back, out)
        _show_files(result.mirror_config, out)
        _line(out, "result", _count(result.outcomes, sent))
        return
    # A chain's earlier images, and what travels beside an image, have tags of their own.
    digests = {image.reference: image.digest for image in result.images}
    for tag in result.tags:
        now = digests.get(tag.reference, result.digest)
        before = "" if tag.previous_digest in (None, now) else f" (was {tag.previous_digest})"
        _line(out, "tag" if len(result.tags) > 1 else "destination", f"{tag.reference}{before}")
    _line(out, "digest", str(result.digest))
    if result.image_id:
        _line(out, "image ID", result.image_id)
    _show_amounts(result, out)
    _show_read_back(result.read_back, out)
    _line(out, "result", done)


def show_mirror_config(result: MirrorConfigResult, out: TextIO, *, as_json: bool) -> None:
    """Show where the images of a bundle are found, and which files say so to clients."""
    if as_json:
        _show_json(asdict(result), out)
        return
    _table([("SOURCE", "DESTINATION"), *((each.source, each.destination) for each in result.mapping)], out)
    _show_files(result, out)
    _line(out, "result", "written" if result.changed else "already there: nothing written")


def show_inspect(result: InspectResult, out: TextIO, *, as_json: bool) -> None:
    """Show what an archive holds and what it leaves out."""
    if as_json:
        _show_checked(result, out)
        return
    made = f"format {result.format}" if result.format else "made by another tool"
    _line(out, "archive", f"{human_bytes(result.archive_size)}, {made}")
    _show_images(result, out)
    if result.bundle:
        _show_bases(result, out)
    for where, title in (
        ("inside", "layer inside"),
        ("omitted", "layer left out"),
        ("foreign", "foreign layer"),
        ("delta", "layer's change"),
    ):
        for layer in result.layers:
            if layer.where == where:
                _line(out, title, f"{layer.digest}  {human_bytes(layer.size)}{_made_of(layer.delta)}")
    for source in result.delta_sources:
        _line(out, "older layer", f"{source.digest}  {human_bytes(source.size)}, changes are made from it")
    _show_amounts(result, out)
    if result.destination is not None:
        _show_answer(result, out)


def show_doctor(result: DoctorResult, out: TextIO, *, as_json: bool) -> None:
    """Show what was looked at, and what to do about it."""
    if as_json:
        shown = asdict(result)
        shown["findings"] = [_in_options(finding, one_side=True) for finding in shown["findings"]]
        _show_json(shown, out)
        return
    for finding in result.findings:
        message, step = (as_options(text, one_side=True) for text in (finding.message, finding.next))
        out.write(f"{finding.status:<8}{finding.check + ':':<10}{one_line(message)}\n")
        if step:
            out.write(f"{'':<8}next: {one_line(step)}\n")


def show_spec(result: SpecResult, out: TextIO, *, as_json: bool) -> None:
    """Show the spec that was made; as JSON also what it was made from."""
    if as_json:
        _show_json(asdict(result), out)
    else:
        out.write(spec_text(result.spec))


def spec_text(spec: Mapping[str, Any]) -> str:
    """Return a spec as a file has it, in JSON: each image in a line of its own."""
    images = ",\n".join(f"   {json.dumps(image)}" for image in spec["images"])
    return f'{{"images": [\n{images}]}}\n'


def show_status(result: StatusResult, out: TextIO, *, as_json: bool) -> None:
    """Show what each site has of each image of a release, and what it has beside them."""
    if as_json:
        _show_json(asdict(result), out)
        return
    names = _site_names([site.receipt for site in result.sites])
    rows = [("IMAGE", "DIGEST", *names)]
    for position, image in enumerate(result.release):
        rows.append((image.name, _short(image.digest), *(_state(site.images[position]) for site in result.sites)))
    _table(rows, out)
    others = [(name, image) for name, site in zip(names, result.sites, strict=True) for image in site.others]
    if others:
        out.write("\n")
        _table(
            [("ONLY AT THE SITE", "IMAGE", "DIGEST", "SINCE")]
            + [(name, image.name, _short(str(image.digest)), str(image.date)) for name, image in others],
            out,
        )


def _state(image: SiteImage) -> str:
    return f"{image.state} {_short(str(image.digest))}" if image.state == OLDER else image.state


def _short(digest: str) -> str:
    """Return the first twelve digits of a digest, as docker and podman do in tables: there are several in a row."""
    return digest.removeprefix("sha256:")[:12]


def _site_names(receipts: Sequence[str]) -> list[str]:
    """Return what sites are called by their receipts' files, `receipts/berlin.json`: `berlin`, unless two are."""
    names = [Path(receipt).stem for receipt in receipts]
    return names if len({*names}) == len({*receipts}) else list(receipts)


def show_error(error: IncrementalError, json_out: TextIO | None) -> None:
    """Say what went wrong.

    Args:
        error: what went wrong.
        json_out: where a JSON object is wanted; None for one line on stderr, and one with the next step.
    """
    if json_out:
        shown: dict[str, Any] = {"changed": False}
        if error.missing:
            shown |= {"missing": [asdict(layer) for layer in error.missing], "names": error.names}
        _show_json(shown | _failed(error), json_out)
        return
    _show_missing(error.missing, sys.stderr, error.names)
    if isinstance(error, BundleError):
        for name, each in error.failures:
            sys.stderr.write(f"{one_line(name)}: {as_options(each.message)}\n")
    _show_failures([error.as_failure()])


def _show_failures(failures: Sequence[Failure]) -> None:
    """Say what is wrong, each once, and once what to do about those that want the same."""
    failures = list(dict.fromkeys(failures))
    for step in dict.fromkeys(failure.next for failure in failures):
        for failure in failures:
            if failure.next == step:
                sys.stderr.write(f"error: {as_options(failure.message)}\n")
        sys.stderr.write(f"next: {as_options(step)}\n" if step else "")


def _failed(error: IncrementalError) -> dict[str, Any]:
    """Return what JSON says of an error, and of those of a bundle's images."""
    shown: dict[str, Any] = {"error": _error(error)}
    if isinstance(error, BundleError):
        shown["failures"] = [{"name": name, **_error(each)} for name, each in error.failures]
    return shown


def _error(error: IncrementalError) -> dict[str, Any]:
    return _in_options(asdict(error.as_failure()))


def _in_options(said: dict[str, Any], *, one_side: bool = False) -> dict[str, Any]:
    """Return what an error or finding says, as JSON has it, with options in place of the library's arguments."""
    return said | {name: as_options(said[name], one_side=one_side) for name in ("message", "next")}


def _show_json(shown: dict[str, Any], out: TextIO) -> None:
    out.write(json.dumps(shown) + "\n")
    out.flush()


def _made_of(delta: DeltaInfo | None) -> str:
    """Say how a layer travels that does not travel whole."""
    if delta is None:
        return ""
    size = human_bytes(delta.size)
    how = f"as its change of {size} from {' '.join(delta.sources)}" if delta.sources else f"repacked as {size}"
    return f", {how}" + (f", {delta.model}" if delta.model else "")


def _show_files(result: MirrorConfigResult | None, out: TextIO) -> None:
    for file in result.files if result else ():
        _line(out, "file", file)


def _show_changes(result: PullResult, out: TextIO) -> None:
    """Show how each layer travels, where changes were wanted."""
    if not any(layer.delta or layer.reason for layer in result.layers):
        return
    if result.delta_sources:
        total = human_bytes(sum(source.size for source in result.delta_sources))
        _line(out, "compared with", f"{plural(len(result.delta_sources), 'base layer')}, {total}")
    rows = [("LAYER", "TRAVELS", "BYTES", "OF", "MODEL", "CORRECTIONS", "MADE FROM, OR REASON")]
    for layer in result.layers:
        how = {"omitted": "no: shared", "foreign": "no: foreign"}.get(layer.where) or layer.travels or "-"
        bytes_ = str(layer.size) if layer.travels == WHOLE else "-"
        if layer.delta:
            delta = layer.delta
            row = (how, str(delta.size), str(layer.size), delta.model or "-", str(delta.corrections))
            rows.append((layer.digest, *row, " ".join(delta.sources) or "-"))
        else:
            rows.append((layer.digest, how, bytes_, str(layer.size), "-", "-", layer.reason or "-"))
    _table(rows, out)


def _show_images(contents: Contents, out: TextIO) -> None:
    """Show each image and the bases in a few lines; of a bundle the images alone, as a table."""
    if not contents.bundle:
        for image in contents.images:
            _show_image(image, contents.names, out)
        _show_bases(contents, out)
        return
    # The column is there if anything is beside an image.
    told = any(image.referrers for image in contents.images)
    rows = [("IMAGE", "CHANGE", "NEW", "SHARED", "PLATFORM", *(["REFERRERS"] if told else []), "DIGEST")]
    for image in contents.images:
        if image.beside:
            continue
        platforms = ",".join(leaf.platform or "unknown" for leaf in image.manifests) or image.platform or "-"
        if image.absent:
            platforms += f" ({len(image.absent)} absent)"
        amounts = (human_bytes(image.bytes_new), human_bytes(image.bytes_shared))
        beside = [show_kinds(image.referrers) or "-"] if told else []
        rows.append((str(image.name), image.change or "-", *amounts, platforms, *beside, image.digest))
    _table(rows, out)


def _show_bases(contents: Contents, out: TextIO) -> None:
    for base in contents.bases:
        _line(out, "base", named(base, contents.names))


def _show_outcomes(outcomes: Sequence[Outcome], out: TextIO, done: str) -> None:
    rows = [("IMAGE", "RESULT", "DESTINATION", "DIGEST")]
    rows += [(each.name, _what_happened(each, done), each.destination, each.digest) for each in outcomes]
    _table(rows, out)


def _what_happened(outcome: Outcome, done: str) -> str:
    if outcome.error:
        return "FAILED"
    return done if outcome.changed or done == "ready" else _THERE


def _count(outcomes: Sequence[Outcome], done: str) -> str:
    """Say what happened to how many images of a bundle, such as "3 of 4 pushed, 1 failed"."""
    times = Counter(_what_happened(outcome, done) for outcome in outcomes)
    others = [f"{times[each]} {each.lower()}" for each in (_THERE, "FAILED") if times[each]]
    return ", ".join([f"{times[done]} of {len(outcomes)} {done}", *others])


def _lacked_by(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Return the names of the images of a bundle that lack a layer, by its digest."""
    names: dict[str, list[str]] = {}
    for outcome in outcomes:
        for layer in outcome.missing:
            names.setdefault(layer.digest, []).append(outcome.name)
    return names


def _table(rows: Sequence[Sequence[str]], out: TextIO) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{one_line(cell):<{width}}" for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")


def _show_image(image: ImageInfo, names: Mapping[str, str], out: TextIO) -> None:
    name = image.reference or names.get(image.digest) or image.name or "no name"
    if image.beside:
        which = f"other: {image.artifact_type}" if image.kind == OTHER and image.artifact_type else image.kind
        _line(out, "referrer", f"{name} ({which})")
    else:
        _line(out, "image", f"{name} {image.platform or ''}".rstrip())
    _line(out, "digest", f"{image.digest}  {image.media_type}")
    for leaf in image.manifests:
        if leaf.kind:
            _line(out, leaf.kind, f"{leaf.digest}  {leaf.artifact_type or leaf.media_type}")
        else:
            _line(out, "platform", f"{leaf.platform or 'unknown'}  {leaf.digest}  {leaf.media_type}")
    for leaf in image.absent:
        _line(out, "absent", f"{leaf.platform or 'unknown'}  {leaf.digest}  {leaf.media_type}")


def _show_amounts(contents: Contents, out: TextIO) -> None:
    _line(out, "new", f"{plural(contents.layers_new, 'layer')}, {human_bytes(contents.bytes_new)}")
    _line(out, "shared", f"{plural(contents.layers_shared, 'layer')}, {human_bytes(contents.bytes_shared)}")
    if contents.layers_delta:
        _line(out, "needed", f"{plural(len(contents.omitted), 'layer')}, {human_bytes(contents.bytes_needed)}")
    if contents.layers_foreign:
        _line(out, "foreign", f"{plural(contents.layers_foreign, 'layer')}, not in the archive")


def _show_read_back(read_back: ReadBack | None, out: TextIO) -> None:
    if read_back:
        counts = (plural(read_back.manifests, "manifest"), plural(read_back.layers, "layer"))
        _line(out, "read back", f"{', '.join(counts)}, {human_bytes(read_back.bytes)}")


def _show_missing(
    missing: Sequence[MissingLayer],
    out: TextIO,
    names: Mapping[str, str],
    lacked_by: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Show missing layers as one table.

    Args:
        missing: the layers, each once.
        out: where to.
        names: what people call their bases, by their digests.
        lacked_by: for a bundle, the names of the images that lack each, by its digest.
    """
    if not missing:
        return
    rows = [("MISSING LAYER", "SIZE", "BASE", *(["LACKED BY"] if lacked_by else []))]
    for layer in missing:
        bases = ", ".join(named(base, names) for base in layer.bases) or "-"
        row = (layer.digest, human_bytes(layer.size), bases)
        rows.append((*row, ", ".join(lacked_by[layer.digest])) if lacked_by else row)
    _table(rows, out)


def _show_answer(result: VetResult | InspectResult, out: TextIO) -> None:
    """Show whether who was asked has what is left out."""
    if result.missing:
        _show_missing(result.missing, out, result.names)
        _line(out, "next", as_options(_what_is_missing(result).next_step))
        _line(out, "result", f"{result.destination} lacks {plural(len(result.missing), 'layer')}")
    elif result.omitted:
        _line(
            out,
            "result",
            f"{result.destination} has every layer that the archive leaves out{_with_sources(result)}",
        )
    else:
        whole = not any(image.absent for image in result.images)
        will_do = ": any destination will do" if whole else ""
        _line(out, "result", f"the archive leaves no layer out{will_do}")


def _show_checked(result: VetResult | InspectResult, out: TextIO, failure: BundleError | None = None) -> None:
    error = failure or (_what_is_missing(result) if result.missing else None)
    _show_json(_with_outcomes(result) | (_failed(error) if error else {}), out)


def _what_is_missing(result: VetResult | InspectResult) -> MissingLayersError:
    from ..push.tags import missing_error

    return missing_error(str(result.destination), result.missing, result.names)


def _with_outcomes(result: Contents) -> dict[str, Any]:
    shown = asdict(result)
    for outcome in shown.get("outcomes", ()):
        outcome["error"] = outcome["error"] and _in_options(outcome["error"])
    return shown


def _whether_needed(contents: Contents) -> str:
    if not contents.omitted:
        return ", and leaves no layer out"
    needed = plural(len(contents.omitted), "layer")
    return f"; its destination needs {needed} that it leaves out{_with_sources(contents)}"


def _with_sources(contents: Contents) -> str:
    return " or that changes are made from" if contents.delta_sources else ""


def _line(out: TextIO, title: str, text: str) -> None:
    out.write(f"{title + ':':<16}{one_line(text)}\n")

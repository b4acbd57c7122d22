"""Results and errors as lines for people, or as one JSON object."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..errors import BundleError, MissingLayersError, one_line
from ..host.text import human_bytes, named, plural
from ..results import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TextIO

    from ..errors import IncrementalError
    from ..results import (
        Contents,
        DeltaInfo,
        DoctorResult,
        ImageInfo,
        InspectResult,
        MissingLayer,
        Outcome,
        PullResult,
        PushResult,
        VetResult,
    )


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


def show_vet(result: VetResult, out: TextIO, *, as_json: bool) -> None:
    """Show whether a destination has what an archive leaves out."""
    if as_json:
        _show_checked(result, out)
        return
    if result.outcomes:
        _show_outcomes(result.outcomes, out, "ready")
        for outcome in result.outcomes:
            _show_missing(outcome.missing, out, result.names, outcome.destination)
        _show_amounts(result, out)
        return
    _show_images(result, out)
    _show_amounts(result, out)
    if result.destination is None:
        _line(out, "result", "the archive is sound" + _whether_needed(result))
    else:
        _show_answer(result, out)


def show_push(
    result: PushResult, out: TextIO, *, as_json: bool, dry_run: bool, failure: BundleError | None = None
) -> None:
    """Show what a push did, or would do; and for a bundle, which of its images failed."""
    if as_json:
        _show_json(asdict(result) | ({"error": _error(failure)} if failure else {}), out)
        return
    sent = "would be pushed" if dry_run else "pushed"
    done = sent if result.changed else "there already, nothing sent"
    if result.outcomes:
        _show_outcomes(result.outcomes, out, sent)
        _show_amounts(result, out)
        for outcome in result.outcomes:
            _show_missing(outcome.missing, sys.stderr, result.names, outcome.destination)
            if outcome.error:
                sys.stderr.write(f"error: {outcome.error.message}\n")
                sys.stderr.write(f"next: {outcome.error.next}\n" if outcome.error.next else "")
        return
    for tag in result.tags:
        before = "" if tag.previous_digest in (None, result.digest) else f" (was {tag.previous_digest})"
        _line(out, "tag" if len(result.tags) > 1 else "destination", f"{tag.reference}{before}")
    _line(out, "digest", str(result.digest))
    if result.image_id:
        _line(out, "image ID", result.image_id)
    _show_amounts(result, out)
    _line(out, "result", done)


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
        _line(out, "older layer", f"{source.digest}  {human_bytes(source.size)}, of which changes are made")
    _show_amounts(result, out)
    if result.destination is not None:
        _show_answer(result, out)


def show_doctor(result: DoctorResult, out: TextIO, *, as_json: bool) -> None:
    """Show what was looked at, and what to do about it."""
    if as_json:
        _show_json(asdict(result), out)
        return
    for finding in result.findings:
        out.write(f"{finding.status:<8}{finding.check + ':':<10}{one_line(finding.message)}\n")
        if finding.next:
            out.write(f"{'':<8}next: {one_line(finding.next)}\n")


def show_error(error: IncrementalError, json_out: TextIO | None) -> None:
    """Say what went wrong.

    Args:
        error: what went wrong.
        json_out: where a JSON object is wanted; None for one line on stderr, and one with the next step.
    """
    missing, names = (error.missing, error.names) if isinstance(error, MissingLayersError) else ((), {})
    if json_out:
        shown: dict[str, Any] = {"changed": False, "error": _error(error)}
        if missing:
            shown["missing"] = [asdict(layer) for layer in missing]
            shown["names"] = names
        if isinstance(error, BundleError):
            shown["failures"] = [{"name": name, **_error(each)} for name, each in error.failures]
        _show_json(shown, json_out)
        return
    _show_missing(missing, sys.stderr, names)
    if isinstance(error, BundleError):
        for name, each in error.failures:
            if isinstance(each, MissingLayersError):
                _show_missing(each.missing, sys.stderr, each.names, name)
            sys.stderr.write(f"{one_line(name)}: {each.message}\n")
    sys.stderr.write(f"error: {error.message}\n")
    if error.next_step:
        sys.stderr.write(f"next: {error.next_step}\n")


def _error(error: IncrementalError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "next": error.next_step}


def _show_json(shown: dict[str, Any], out: TextIO) -> None:
    out.write(json.dumps(shown) + "\n")
    out.flush()


def _made_of(delta: DeltaInfo | None) -> str:
    """Say how a layer travels that does not travel whole."""
    if delta is None:
        return ""
    how = f"from {' '.join(delta.sources)}" if delta.sources else "repacked"
    return f", of {human_bytes(delta.size)}, {how}" + (f", {delta.model}" if delta.model else "")


def _show_changes(result: PullResult, out: TextIO) -> None:
    """Show how each layer travels, where changes were wanted."""
    if not any(layer.delta or layer.reason for layer in result.layers):
        return
    if result.delta_sources:
        total = human_bytes(sum(source.size for source in result.delta_sources))
        _line(out, "compared with", f"{plural(len(result.delta_sources), 'base layer')}, {total}")
    rows = [("LAYER", "TRAVELS", "BYTES", "OF", "MODEL", "CORRECTIONS", "FROM, OR WHY WHOLE")]
    for layer in result.layers:
        how = {"omitted": "not: shared", "foreign": "not: foreign"}.get(layer.where) or layer.travels or "-"
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
    rows = [("IMAGE", "CHANGE", "NEW", "SHARED", "PLATFORM", "DIGEST")]
    for image in contents.images:
        if image.beside:
            continue
        platforms = ",".join(leaf.platform or "unknown" for leaf in image.manifests) or image.platform or "-"
        amounts = (human_bytes(image.bytes_new), human_bytes(image.bytes_shared))
        rows.append((str(image.name), image.change or "-", *amounts, platforms, image.digest))
    _table(rows, out)


def _show_bases(contents: Contents, out: TextIO) -> None:
    for base in contents.bases:
        _line(out, "base", named(base, contents.names))


def _show_outcomes(outcomes: Sequence[Outcome], out: TextIO, done: str) -> None:
    rows = [("IMAGE", "RESULT", "DESTINATION", "DIGEST")]
    for outcome in outcomes:
        result = done if outcome.changed or done == "ready" else "there already"
        rows.append((outcome.name, "FAILED" if outcome.error else result, outcome.destination, outcome.digest))
    _table(rows, out)


def _table(rows: Sequence[Sequence[str]], out: TextIO) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{one_line(cell):<{width}}" for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")


def _show_image(image: ImageInfo, names: Mapping[str, str], out: TextIO) -> None:
    name = image.reference or names.get(image.digest) or image.name or "without a name"
    _line(out, "beside" if image.beside else "image", f"{name} {image.platform or ''}".rstrip())
    _line(out, "digest", f"{image.digest}  {image.media_type}")
    for leaf in image.manifests:
        _line(out, "platform", f"{leaf.platform or 'unknown'}  {leaf.digest}  {leaf.media_type}")


def _show_amounts(contents: Contents, out: TextIO) -> None:
    _line(out, "new", f"{plural(contents.layers_new, 'layer')}, {human_bytes(contents.bytes_new)}")
    _line(out, "shared", f"{plural(contents.layers_shared, 'layer')}, {human_bytes(contents.bytes_shared)}")
    if contents.layers_delta:
        _line(out, "needed", f"{plural(len(contents.omitted), 'layer')}, {human_bytes(contents.bytes_needed)}")
    if contents.layers_foreign:
        _line(out, "foreign", f"{plural(contents.layers_foreign, 'layer')}, which do not travel")


def _show_missing(missing: Iterable[MissingLayer], out: TextIO, names: Mapping[str, str], where: str = "") -> None:
    for layer in missing:
        bases = f", in base {', '.join(named(base, names) for base in layer.bases)}" if layer.bases else ""
        _line(out, "missing", f"{layer.digest}  {human_bytes(layer.size)}{bases}{where and f', at {where}'}")


def _show_answer(result: VetResult | InspectResult, out: TextIO) -> None:
    """Show whether who was asked has what is left out."""
    if result.missing:
        _show_missing(result.missing, out, result.names)
        _line(out, "result", f"{result.destination} lacks {plural(len(result.missing), 'layer')}")
    elif result.omitted:
        _line(
            out,
            "result",
            f"{result.destination} has every layer that the archive leaves out{_with_sources(result)}",
        )
    else:
        _line(out, "result", "the archive leaves nothing out: any destination will do")


def _show_checked(result: VetResult | InspectResult, out: TextIO) -> None:
    shown = asdict(result)
    if result.missing:
        from ..push.tags import missing_error

        shown["error"] = _error(missing_error(str(result.destination), result.missing, result.names))
    _show_json(shown, out)


def _whether_needed(contents: Contents) -> str:
    if not contents.omitted:
        return ", and leaves nothing out"
    needed = plural(len(contents.omitted), "layer")
    return f"; its destination needs {needed} that it leaves out{_with_sources(contents)}"


def _with_sources(contents: Contents) -> str:
    return " or that changes are made from" if contents.delta_sources else ""


def _line(out: TextIO, title: str, text: str) -> None:
    out.write(f"{title + ':':<16}{one_line(text)}\n")

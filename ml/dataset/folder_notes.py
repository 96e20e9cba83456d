"""What a person should know of an import that went well: what was left out, what cannot be validated."""

from __future__ import annotations

from ml.dataset.manifest import FolderSource, Manifest

NAMED_FILES = 5  # of many that were left out; the manifest has them all


def import_notes(manifest: Manifest) -> tuple[str, ...]:
    """Sentences about an imported data set.

    Parameters
    ----------
    manifest : Manifest
        Of recordings; there is nothing to say of a synthesised data set.

    Returns
    -------
    tuple of str
        Files that were left out, by their reason; labels without a validation recording.
    """
    if not isinstance(manifest.source, FolderSource):
        return ()
    files: dict[str, list[str]] = {}
    for path, why in manifest.source.skipped.items():
        files.setdefault(why.removesuffix("."), []).append(path)
    notes = []
    for why, paths in sorted(files.items()):
        more = f" and {len(paths) - NAMED_FILES} more" if len(paths) > NAMED_FILES else ""
        notes.append(f"Left out ({why}): {', '.join(paths[:NAMED_FILES])}{more}.")
    if without := labels_without_validation(manifest):
        notes.append(
            f"No recording of {', '.join(without)} validates: nothing will tell how well a model hears that."
        )
    return tuple(notes)


def labels_without_validation(manifest: Manifest) -> tuple[str, ...]:
    """Labels of which no clip validates, so that nothing tells how well they are heard.

    Parameters
    ----------
    manifest : Manifest

    Returns
    -------
    tuple of str
    """
    validating = manifest.occurrences.per_instrument.get("validation", {})
    return tuple(label for label in manifest.labels if not validating.get(label, 0))

"""How large a bundle is, and what of it lies in other bundles."""

from collections import Counter

from reranker.bundle import Bundle


def measure_sizes(bundle: Bundle) -> tuple[int, dict[str, int]]:
    """Return the bytes of a bundle's own files, and of those that each other bundle holds, by its name."""
    own, others = 0, Counter[str]()
    for name, file in bundle.files.items():
        size = file.stat().st_size
        if name in bundle.manifest.shared:
            others[file.parent.name] += size
        else:
            own += size
    return own, dict(others)


def describe_sizes(bundle: Bundle) -> str:
    """Return a bundle's sizes in megabytes, in words."""
    own, others = measure_sizes(bundle)
    parts = [f"{size / 1e6:.1f} MB shared with {name}" for name, size in others.items()]
    return ", ".join([f"{own / 1e6:.1f} MB of its own", *parts])

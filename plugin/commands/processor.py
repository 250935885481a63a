"""What the processor here can do, as far as the choice of a bundle depends on it."""

from pathlib import Path

from reranker.bundle import BUNDLES, DEFAULT_BUNDLE

LIGHT_BUNDLE = BUNDLES / "bge-small-en-v1.5-light"
"""The default where integer products are slow: the same stored vectors, short queries by a small tower."""

CPU_INFO = Path("/proc/cpuinfo")
VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"}
"""Linux' names of the x86 instructions for products of bytes; other processors name theirs otherwise."""


def default_bundle(cpu_info: Path = CPU_INFO) -> Path:
    """Return the bundle that is served where none is named: the light one on an x86 processor without VNNI.

    Both have the same document tower, so it makes no difference to an index. Where Linux does not say what
    the processor can do it is the usual one.
    """
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return DEFAULT_BUNDLE
    flags = {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}
    return LIGHT_BUNDLE if flags and not flags & VNNI else DEFAULT_BUNDLE

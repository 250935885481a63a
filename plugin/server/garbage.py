"""Garbage collection in a worker: what is loaded once is not looked at again."""

import gc


def keep_for_good() -> None:
    """Leave all objects that exist now out of later collections.

    A full collection stops every request, and looks at each object. Most objects of a worker are modules,
    functions and the bundle's tables, which live until its end.
    """
    gc.collect()
    gc.freeze()

"""One BLAS thread a process: what Twinrank multiplies is too small to be shared among threads.

With two threads a product of 100 x 384 numbers is no faster on an idle machine. On a busy one each thread
spins until the other is scheduled, which costs tens of milliseconds of processor time.
"""

from collections.abc import MutableMapping

MKL_THREADS = "MKL_NUM_THREADS"
BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",  # numpy's wheels
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # Accelerate on macOS
    MKL_THREADS,
)
"""The environment variables from which the BLAS libraries that numpy may use read their number of threads."""


def limit_blas_threads(environment: MutableMapping[str, str], *, beside_torch: bool = False) -> None:
    """Ask for one thread in each library, before numpy is imported; a number that is there already stays.

    `OMP_NUM_THREADS` is left as it is: these variables win over it. `beside_torch` leaves MKL's variable
    alone too, since torch takes its own number of threads from it.
    """
    for name in BLAS_THREADS:
        if not (beside_torch and name == MKL_THREADS):
            environment.setdefault(name, "1")

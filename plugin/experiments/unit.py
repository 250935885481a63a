"""The unit of an experiment: a client, all of whose searches have one arm. Only its hash is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

_HALF = 2**32


@dataclass(frozen=True)
class Unit:
    """A client in one experiment.

    `name` is the client's own, as the search says it; `hashed` is xxh3 of the experiment's name, its salt
    and that, 64 bits.
    """

    name: str
    hashed: int

    @classmethod
    def build(cls, experiment: str, salt: str, name: str) -> "Unit":
        """Return the unit that a client's name stands for in an experiment."""
        return cls(name, hash_texts(experiment, salt, name))

    @property
    def code(self) -> str:
        """What records name it by: 16 hexadecimal digits, from which its name cannot be read."""
        return f"{self.hashed:016x}"

    def takes_part(self, share: float) -> bool:
        """Whether it is among the `share`, 0 to 1, of all units that take part; a larger share keeps it."""
        return self.hashed % _HALF < share * _HALF

    def choose(self, arms: Sequence[str]) -> str:
        """Return its arm, each with the same chance, whatever the share is."""
        return arms[(self.hashed // _HALF) * len(arms) // _HALF]


def hash_texts(*texts: str) -> int:
    """Return xxh3 of some texts, 64 bits; no two lists of texts are joined to the same bytes."""
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    return xxh3_64_intdigest(b"".join(b"%d:%b" % (len(part), part) for part in parts))

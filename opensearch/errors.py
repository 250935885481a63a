"""What can go wrong with OpenSearch, as one tree.

    OpenSearchError
    └── LocalServerError        the server that we fetch, start and stop ourselves
        ├── MavenError          no Maven, or it failed
        ├── JavaError           no Java that is new enough
        ├── DiskSpaceError      too little room, before or while writing
        ├── FolderError         a folder that the server cannot use
        ├── PortError           a port that somebody else holds
        └── ServerStartError    the server died, or took too long

Every message says what was expected, what was found and what to do.
"""


class OpenSearchError(Exception):
    """Root of all errors of this package."""


class LocalServerError(OpenSearchError):
    """The local OpenSearch cannot be fetched, started or stopped."""


class MavenError(LocalServerError):
    """Maven is missing, or ran and failed."""


class JavaError(LocalServerError):
    """No Java is new enough for OpenSearch."""


class DiskSpaceError(LocalServerError):
    """The disk is full, or too full to begin."""


class FolderError(LocalServerError):
    """The server could not work in this folder."""


class PortError(LocalServerError):
    """Another process listens on the port."""


class ServerStartError(LocalServerError):
    """The server ended while starting, or was not ready in time."""

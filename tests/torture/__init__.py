"""Writers without mercy, on a cluster that loses a node, beside syncs that are killed."""

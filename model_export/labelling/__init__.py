"""Labels that last: which pairs a teacher scores, and the file that keeps its scores."""

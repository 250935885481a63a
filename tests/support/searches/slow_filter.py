"""A filter that makes a search take long."""

SLOW = {
    "script": {
        "script": {
            "lang": "painless",
            "source": "long n = 0; for (int i = 0; i < 900000; i++) { n += i % 7; } return n >= 0;",
        }
    }
}
"""A filter that takes some milliseconds a document (as many loops as Painless allows)."""

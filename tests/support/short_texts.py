"""Short texts of few words, so that some of them are alike."""

from hypothesis import strategies as st

short_texts = st.lists(
    st.sampled_from(["red", "green", "blue", "wet", "dry", "old", "new", "big"]), min_size=1, max_size=7
).map(" ".join)

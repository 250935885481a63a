"""The lab: a page with one search in both orders, their scores, sliders and judgements."""

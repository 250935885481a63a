"""Search requests and responses: what OpenSearch is asked, and how a window is read from its response.

`request` reads a client's search and `ext` its `ext.rerank`; `plan` decides. `window_request` builds the
requests to OpenSearch, `response` reads and rebuilds its responses, `scores` writes a hit's scores.
`cluster_rescore` has OpenSearch itself rescore. `msearch`, `template` and `point_in_time` are other forms.
"""

"""Everything that knows OpenSearch's URLs and JSON. Knows nothing of models.

`client` sends requests, `errors` are what can go wrong, `retry` asks again, `endpoints` tells APIs apart.
`search`, `writes` and `changes` read requests and responses. They use `fields` and `index`, these use
`settings`, and all of them `rawjson`; `query` finds the text of a query. `local` and `native` stand apart.
"""

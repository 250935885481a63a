"""The options that name judged queries, for every command that measures with them."""

import click

queries_option = click.option(
    "--queries",
    metavar="FILE",
    help="Queries: CSV query_id,query; JSON lines; TREC topics; or a folder in BEIR layout.",
)
judgments_option = click.option(
    "--judgments",
    "--qrels",
    "judgments",
    metavar="FILE",
    help="Judgements: CSV query_id,doc_id,judgment; JSON lines; TREC's four columns; or Quepid's export.",
)

"""Choosing the commonest candidate of each document and grouping documents by it, in SQL and data frames: `index_peer.py ROWS PASSES LIBRARY`."""
import json
import sys
import time

import pyarrow as pa

documents, phrases = [], []
for number, line in enumerate(open(sys.argv[1], encoding="utf-8").read().split("\n")[:-1]):
    for phrase in line.split("\t"):
        if phrase:
            documents.append(number)
            phrases.append(phrase)
pairs = pa.table({"doc": pa.array(documents, pa.uint32()), "phrase": phrases})
del documents, phrases
passes, library = int(sys.argv[2]), sys.argv[3]
if library == "duckdb":
    import duckdb

    db = duckdb.connect()
    db.execute("create table pairs as select * from pairs")
    query = """
        with frequency as (select phrase, count(*) as n from pairs group by phrase),
        chosen as (select doc, arg_max(phrase, {n: n, words: len(string_split(phrase, ' ')), phrase: phrase}) as keyword
                   from pairs join frequency using (phrase) group by doc)
        select keyword, list(doc order by doc) from chosen group by keyword order by keyword"""
    work = lambda: db.sql(query).to_arrow_table().num_rows
else:
    import polars as pl

    frame = pl.from_arrow(pairs)

    def work():
        ranked = frame.join(frame.group_by("phrase").len(), on="phrase").with_columns(words=pl.col("phrase").str.count_matches(" "))
        chosen = ranked.sort("len", "words", "phrase", descending=[True, True, False]).group_by("doc").first()
        return chosen.sort("doc").group_by("phrase").agg(pl.col("doc")).sort("phrase").height

seconds = []
for _ in range(passes):
    start = time.perf_counter()
    keywords = work()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "keywords": keywords}))

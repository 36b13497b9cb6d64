"""What people marked on review pages, among the labels of a snapshot."""

from pathlib import Path

import duckdb

from perennial.data.marks import as_judgements, grades, read_marks
from perennial.data.redaction import redact
from perennial.errors import BadInput, TableInvalid
from perennial.verbs.freezing.log import insert, number

MARKS = "marks"  # the folder of a source
_KNOWN = "select distinct query, doc_id from judgements semi join marked using (doc_id)"
# A query has one slice: that of its labels where it has some, else its document's.
_BOTH = """
create view judgements as
with slices as (
    select query, first(slice order by doc_id) as slice from labelled group by query)
select query, doc_id, grade, slice from labelled
union all
select m.query, m.doc_id, m.grade, coalesce(s.slice, c.slice) as slice from marked m
left join slices s on m.query = s.query
left join (select doc_id, min(slice) as slice from catalogue group by doc_id) c
on m.doc_id = c.doc_id"""


def add_marks(connection: duckdb.DuckDBPyConnection, source: Path) -> int:
    """Put the marked documents into the view judgements; how many.

    A label of the source counts more than a mark. Raises TableInvalid for a damaged file.
    """
    try:
        found = grades(read_marks(source / MARKS))
    except BadInput as error:
        raise TableInvalid(f"{error}; or remove the file") from error
    connection.execute("create table marked as select * from judgements limit 0")
    insert(connection, "marked", as_judgements(found))
    for query, doc_id in connection.execute(_KNOWN).fetchall():
        for said in {query, redact(query or "")[0]}:
            connection.execute("delete from marked where query = ? and doc_id = ?", [said, doc_id])
    connection.execute("alter view judgements rename to labelled")
    connection.execute(_BOTH)
    return number(connection, "select count(*) from marked")

#!/bin/sh
# Polars 2.1.0: the schema at the beginning of a file of write_ipc cannot be read, only that in the footer.
# The Arrow file format is the magic, padding, and then the stream format: a reader may go through it from byte 8 on without
# seeking, as pyarrow.ipc.open_stream does with files of pyarrow. Expected: the same of a file by Polars. Seen: the schema
# message at byte 8 has neither the continuation marker nor the length, so that a reader of the stream fails; a reader of
# the file, which begins with the footer, gives the rows.
# Needs: python3; Polars 2.1.0 and pyarrow 26.0.1 from PyPI. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
venv/bin/python - <<'P'
import io, sys
import polars, pyarrow as pa, pyarrow.ipc as ipc
table = pa.table({"text": ["one", "two"]})
ours = io.BytesIO()
with ipc.new_file(ours, table.schema) as file:
    file.write_table(table)
theirs = io.BytesIO()
polars.from_arrow(table).write_ipc(theirs)
def streamed(data):
    try:
        return ipc.open_stream(data[8:]).read_next_batch().num_rows
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def whole(data):
    return ipc.open_file(data).read_all().num_rows
print("bytes 8 to 16:", ours.getvalue()[8:16].hex(" "), "by pyarrow,", theirs.getvalue()[8:16].hex(" "), "by Polars")
print("as a file:", whole(ours.getvalue()), "rows by pyarrow,", whole(theirs.getvalue()), "by Polars")
of_pyarrow, of_polars = streamed(ours.getvalue()), streamed(theirs.getvalue())
print("as a stream from byte 8 on:", of_pyarrow, "rows by pyarrow;", of_polars, "by Polars")
if of_pyarrow != 2 or whole(theirs.getvalue()) != 2 or of_polars == 2:
    sys.exit("changed: only the file by pyarrow was expected to be read as a stream")
P

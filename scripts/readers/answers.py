"""The protocol of readers that have a process of their own: requests are lines of JSON, `{"reader", "directory", "length", …}`, and each is answered by a line, which
the reader returned, or `{"error"}`. Import it first: libraries print to standard output, which is for answers."""
import json
import logging
import sys
import traceback
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
ANSWERS, sys.stdout = sys.stdout, sys.stderr


def serve(*readers):
    """Answers requests until standard input ends; a reader is a function that a request names."""
    named = {read.__name__: read for read in readers}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = named[request.pop("reader")](**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=ANSWERS, flush=True)

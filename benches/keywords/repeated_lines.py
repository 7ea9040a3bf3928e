"""How many of the marked keywords occur in lines that many documents repeat, which a corpus's own statistics would take for boilerplate.

    python3 benches/keywords/repeated_lines.py --data ../shared/data
"""
import argparse
import collections
import json
import re
import tempfile
from pathlib import Path

from measure import CORPORA, corpus, marks

# A line is repeated from this share of the documents on, and from this number.
SHARE, LEAST = 0.002, 20


def documents(name, data):
    with tempfile.TemporaryDirectory() as folder:
        return [json.loads(line)["text"] for line in corpus(name, data, Path(folder)).read_text().split("\n") if line]


def normal(text):
    return f" {re.sub('[^a-z0-9#_+]+', ' ', text.lower()).strip()} "


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    given = arguments.parse_args()
    print("| corpus | documents | repeated lines | marked phrases in them | other phrases in them |\n| --- | ---: | ---: | ---: | ---: |")
    for name in CORPORA:
        texts, count = documents(name, given.data), collections.Counter()
        for text in texts:
            count.update({line.strip() for line in text.split("\n") if normal(line).strip()})
        repeated = [line for line, documents in count.items() if documents >= max(LEAST, SHARE * len(texts))]
        text = "\n".join(map(normal, repeated))
        cells = []
        for wanted in (True, False):
            phrases = [phrase for phrase, marked in marks(name).items() if marked == wanted]
            cells.append(f"{sum(normal(phrase) in text for phrase in phrases)} of {len(phrases)}")
        print(f"| {name} | {len(texts):,} | {len(repeated):,} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()

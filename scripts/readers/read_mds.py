"""Reads an MDS output with mosaicml-streaming's LocalDataset, a sample a line of JSON: `read_mds.py DIRECTORY`.

The library imports torch and others that its reading of local shards does not use; importing torch costs five gigabytes. So empty modules stand in for them; the
code that reads shards is the real one."""
import json
import sys

from stubs import empty

empty("torch", "torchvision", "transformers", "pandas")

from streaming import LocalDataset  # noqa: E402

data = LocalDataset(sys.argv[1])
for number in range(len(data)):
    sample = data[number]
    types = [str(sample["input_ids"].dtype), str(sample["indices"].dtype)]
    print(json.dumps({
        "input_ids": sample["input_ids"].tolist(), "indices": sample["indices"].tolist(), "length": int(sample["length"]), "domain": sample["domain"], "types": types,
    }))

"""Reads Parquet outputs with Levanter's `prebuilt` format. answers.py has the protocol. A process of its own, because the libraries that are empty here are looked for by
others."""
import asyncio
import tempfile
from pathlib import Path

from answers import serve
from stubs import empty

# Trackers, quantization, clusters: nothing that reads.
empty("aqt", "fray", "git", "iris", "torchvision", "wandb", "zephyr")

from haliax import Axis  # noqa: E402
from levanter.data.text.datasets import PrebuiltLmDataset, UrlDatasetSourceConfig  # noqa: E402
from levanter.data.text.formats import PrebuiltLmDatasetFormat  # noqa: E402
from levanter.store.cache import CacheMetadata, SerialCacheWriter  # noqa: E402


def levanter(directory, length, weights):
    """The examples of a cache that is made of the Parquet files, as training does it on one machine, and their loss weights, of column `weights`."""
    columns = {"input_ids_key": "input_ids", "loss_weights_key": weights}
    source = UrlDatasetSourceConfig(train_urls=[str(file) for file in sorted(Path(directory).glob("*.parquet"))]).get_shard_source("train")
    processor = PrebuiltLmDatasetFormat(**columns).build_preprocessor(None)
    with tempfile.TemporaryDirectory() as place:
        with SerialCacheWriter(place, processor.output_exemplar, metadata=CacheMetadata(preprocessor_metadata=processor.metadata)) as writer:
            for shard in source.shard_names:
                writer.write_batch(processor(list(source.open_shard(shard))))
        data = PrebuiltLmDataset(writer.result(), Axis("position", length), **columns, loss_weight_transform=None)
        examples = asyncio.run(data.get_batch(range(asyncio.run(data.async_len()))))
        return {"sequences": [example.tokens.tolist() for example in examples], "weights": [example.loss_weight.tolist() for example in examples]}


serve(levanter)

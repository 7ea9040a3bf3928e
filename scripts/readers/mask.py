"""Whether the boundaries that an output tells are enough to train with: `mask.py PARQUET DATATROVE [SEQUENCES]`, two outputs of the same run's sequences. Needs torch.

Reads sequences with a DataLoader and rebuilds three things that trainers want from `doc_starts`: the block-diagonal causal mask, `cu_seqlens`, and positions that
begin anew with each document. A small transformer with random weights then gives each document, in the sequence and under the mask, the numbers that it gives the
document alone; without the mask it does not. datatrove's own positions give the same mask."""
import json
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import torch
from datatrove.utils.dataset import DatatroveFolderDataset
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.data import DataLoader, Dataset

CLOSE = 1e-5
FAR = 1e-2


class Sequences(Dataset):
    """The sequences of a Parquet output."""

    def __init__(self, directory):
        columns = ["input_ids", "doc_starts", "n_tokens"]
        self.rows = [row for file in sorted(Path(directory).glob("*.parquet")) for row in parquet.read_table(file, columns=columns).to_pylist()]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        return self.rows[number]


def spans(row):
    """Begin and end of each document; a begin token of the sequence belongs to the first, padding to the last."""
    starts = [0, *row["doc_starts"][1:]]
    return list(zip(starts, [*starts[1:], len(row["input_ids"])]))


def collate(rows):
    """A batch: ids and positions [batch, length], and for each sequence its cu_seqlens, as attention kernels for packed sequences take them."""
    ids = torch.tensor([row["input_ids"] for row in rows])
    positions = torch.stack([torch.cat([torch.arange(end - start) for start, end in spans(row)]) for row in rows])
    cu_seqlens = [torch.tensor([0, *(end for _, end in spans(row))], dtype=torch.int32) for row in rows]
    return ids, positions, cu_seqlens


def mask_of(cu_seqlens, length):
    """[length, length], true where a token may look: at those before it in its document, and itself."""
    document = torch.bucketize(torch.arange(length), cu_seqlens[1:].long(), right=True)
    return torch.tril(document[:, None] == document[None, :])


class Layer(nn.Module):
    """A layer of a decoder, whose attention is all that joins tokens."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, mask):
        batch, length, width = x.shape
        parts = self.query_key_value(self.norms[0](x)).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(*parts, attn_mask=mask)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.feed(self.norms[1](x))


class Model(nn.Module):
    def __init__(self, vocabulary, length, width=64, heads=4, layers=2):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))

    def forward(self, ids, positions, mask):
        x = self.tokens(ids) + self.places(positions)
        for layer in self.layers:
            x = layer(x, mask)
        return x


def main():
    rows = Sequences(sys.argv[1])
    most = min(len(rows), int(sys.argv[3]) if len(sys.argv) > 3 else 8)
    length = len(rows[0]["input_ids"])
    torch.manual_seed(0)
    model = Model(1 + max(max(row["input_ids"]) for row in rows), length).eval()
    size = json.loads((Path(sys.argv[2]) / "longweave.json").read_text())["files"]
    width = next(file["bytes"] // (file["sequences"] * length) for file in size if file["name"].endswith(".ds"))
    packed = DatatroveFolderDataset(sys.argv[2], length - 1, token_size=width, return_positions=True)
    assert len(packed) == len(rows), f"{len(packed)} windows, {len(rows)} sequences"
    documents, apart, without, number = 0, 0.0, [], 0
    causal = torch.tril(torch.ones(length, length, dtype=torch.bool))
    loader = DataLoader(rows, batch_size=2, collate_fn=collate)
    with torch.inference_mode():
        for ids, positions, cu_seqlens in loader:
            masks = torch.stack([mask_of(ends, length) for ends in cu_seqlens])
            together = model(ids, positions, masks[:, None])
            plain = model(ids, positions, causal[None, None].expand(len(ids), 1, -1, -1))
            for i, ends in enumerate(cu_seqlens):
                window = packed[number]
                assert window["input_ids"].tolist() == ids[i].tolist(), f"ids of window {number}"
                assert window["positions"].tolist() == positions[i].tolist(), f"positions of window {number}"
                number += 1
                for place, (start, end) in enumerate(zip(ends.tolist(), ends.tolist()[1:])):
                    alone = model(ids[i:i + 1, start:end], torch.arange(end - start)[None], causal[None, None, : end - start, : end - start])[0]
                    apart = max(apart, (together[i, start:end] - alone).abs().max().item())
                    if place > 0:
                        without.append((plain[i, start:end] - alone).abs().max().item())
                    documents += 1
            if number >= most:
                break
    assert documents > number, "some sequence has more than one document"
    assert apart < CLOSE, f"under the mask documents differ by {apart:.2e} from themselves alone"
    assert min(without) > FAR, f"without the mask a document differs by no more than {min(without):.2e}: this proves nothing"
    print(json.dumps({"sequences": number, "documents": documents, "largest": apart, "smallestWithout": min(without)}))


main()

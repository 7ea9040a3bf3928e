"""Random models, tiny unless asked otherwise, and tokenizers trained on this repository's own documentation: for tests and fixtures."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "FORMATS.md", "docs/planning.md", "docs/options.md")
T5_KINDS = {  # seeds under which greedy answers differ from row to row and some of them end
    "t5-v1_0": dict(feed_forward_proj="relu", tie_word_embeddings=True, seed=11),
    "t5-v1_1": dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False, seed=2),
}
TINY = dict(d_model=32, d_kv=8, num_heads=2, d_ff=48, num_layers=2, relative_attention_max_distance=20)


def passages(count: int) -> list[str]:
    """Pieces of 3 to 60 words of the documentation, in turn short and long."""
    words = " ".join((REPOSITORY / name).read_text() for name in DOCUMENTS).split()
    found, at = [], 0
    for i in range(count):
        length = 3 + (i * 37) % 58
        found.append(" ".join(words[at : at + length]))
        at = (at + len(words) // count) % (len(words) - 61)
    return found


def documentation() -> list[str]:
    return [line for name in DOCUMENTS for line in re.split(r"\n+", (REPOSITORY / name).read_text()) if line.strip()]


def unigram(vocab_size: int = 320):
    """A T5-like tokenizer: Unigram, metaspace, </s> at the end."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        documentation(), trainers.UnigramTrainer(vocab_size=vocab_size, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def wordpiece(vocab_size: int = 400):
    """A BERT-like tokenizer: lower-casing WordPiece between [CLS] and [SEP]."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(documentation(), vocab_size=vocab_size, show_progress=False)
    return tokenizer._tokenizer


def t5(kind: str, vocab_size: int, directory: Path, spread: float = 2.0, end: float = 1.5, sizes: dict = TINY):
    """Writes a random T5 checkpoint without tokenizer and returns the model. Weights `spread` times as wide as T5 draws them make
    answers vary, but also enlarge rounding: reduced precision is to be compared with a spread below 1. `end` widens the end token's
    logit, so that it wins now and then; more tokens ask for more."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    options = dict(T5_KINDS[kind])
    torch.manual_seed(options.pop("seed"))
    config = T5Config(vocab_size=vocab_size, decoder_start_token_id=0, **sizes, **options)
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layer_norm" in name:
                weight.uniform_(0.5, 1.5)
            elif "relative_attention_bias" in name:
                weight.normal_(0, 1.5 * spread)
            elif name == "shared.weight":
                weight.normal_(0, 0.1)
            else:
                weight.normal_(0, spread * weight.shape[1] ** -0.5)
        model.lm_head.weight[1] *= end
    model.save_pretrained(directory)
    return model


def bert(vocab_size: int, directory: Path):
    """Writes a random BERT encoder without tokenizer and returns the model."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocab_size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, max_position_embeddings=128
    )
    model = BertModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.normal_(0, 0.3)
    model.save_pretrained(directory)
    return model


def greedy(model, rows: list[list[int]], max_new_tokens: int) -> list[list[int]]:
    """transformers' greedy answer to each row by itself, without the start token."""
    import torch

    answers = []
    for row in rows:
        ids = torch.tensor([row])
        made = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, num_beams=1, do_sample=False
        )
        answers.append(made[0, 1:].tolist())
    return answers


def check_varied(answers: list[list[int]], end: int = 1) -> None:
    """Random weights may repeat one token for every row, and then agree with anything."""
    distinct, ended = len({tuple(ids) for ids in answers}), sum(ids[-1] == end for ids in answers)
    if distinct < 0.8 * len(answers) or not 0.1 * len(answers) <= ended <= 0.9 * len(answers):
        raise ValueError(f"of {len(answers)} answers {distinct} are distinct and {ended} end: choose another seed")

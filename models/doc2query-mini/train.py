"""Trains doc2query-mini from scratch: a T5-shaped model that reads a passage and writes a question about it.

In: rows of qa-pairs.jsonl.zst (passage, question, license, split, doc). Out: a checkpoint directory (config, safetensors, tokenizer).
Only `train` rows under a licence of FREE are read. A passage is encoded once for all its questions; that is most of the speed on a CPU.
Beside questions the decoder copies spans of the passage, told apart by its start token, because a small model must learn to copy before
it can name what a passage is about. The copying fades out.
"""
import argparse, io, json, math, os, random, time, zlib
from collections import Counter, defaultdict
from pathlib import Path

import torch
import zstandard
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

FREE = {"MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0"}
PAD, EOS, UNK, COPY = 0, 1, 2, 3
INPUT, TARGET, STRIDE = 128, 32, 64
# Passages drawn per epoch, relative to their number: MedQuAD's questions are few templates, PubMedQA is small, a QAMR sentence has about 35 questions.
WEIGHT = {"MedQuAD": 0.5, "FairytaleQA": 1.0, "nqg": 1.0, "QAMR": 4.0, "PubMedQA": 2.0}
QUESTIONS = 6  # of one passage in one batch, at most


def rows(path, split):
    with open(path, "rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n"):
            row = json.loads(line)
            if row["split"] == split:
                yield row


def source(row):
    return row["source"].split(" ")[0]


def held_out(row):
    """Two per cent of the training documents choose the recipe and are never trained on."""
    return zlib.crc32(f"{source(row)}/{row['doc']}".encode()) % 50 == 0


def train_tokenizer(texts, size):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")])
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<copy>"]
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", max_piece_length=16, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", EOS)])
    return tokenizer


class Passage:
    """A window of a passage (token ids without the end mark) with the questions that it answers best."""

    __slots__ = ("ids", "questions", "source", "starts")

    def __init__(self, ids, questions, source, starts):
        self.ids, self.questions, self.source, self.starts = ids, questions, source, starts


def windows(passage, question, rare):
    """The start of the window of INPUT - 1 tokens that shares most of the question's rarer tokens; the first among equals."""
    wanted = {t for t in question if t in rare}
    best, best_start = -1, 0
    for start in range(0, max(1, len(passage) - STRIDE), STRIDE):
        shared = len(wanted.intersection(passage[start : start + INPUT - 1]))
        if shared > best:
            best, best_start = shared, start
    return best_start


def build(data, tokenizer):
    """All windows: (to train on, held out)."""
    texts = list({r["passage"] for r in data})
    ids = dict(zip(texts, (e.ids[:-1] for e in tokenizer.encode_batch(texts))))
    questions = [e.ids[:TARGET] for e in tokenizer.encode_batch([r["question"] for r in data])]
    count = Counter(t for q in questions for t in q)
    rare = set(range(tokenizer.get_vocab_size())) - {t for t, _ in count.most_common(150)}
    word = {i for piece, i in tokenizer.get_vocab().items() if piece.startswith("▁") and len(piece) > 1}
    groups = defaultdict(list)
    for row, question in zip(data, questions):
        passage = ids[row["passage"]]
        groups[(held_out(row), source(row), row["passage"], windows(passage, question, rare))].append(question)
    parts = ([], [])
    for (held, name, text, start), asked in groups.items():
        window = ids[text][start : start + INPUT - 1]
        if window:
            starts = [i for i, t in enumerate(window[:-2]) if t in word]
            parts[held].append(Passage(window, asked, name, starts))
    return parts


def epoch(passages, rng, budget, crop):
    """Batches of windows of like length, at most `budget` padded tokens each, in random order. `crop`: at most so many tokens of each."""
    drawn = []
    for p in passages:
        weight = WEIGHT[p.source]
        drawn += [p] * (int(weight) + (rng.random() < weight % 1))
    rng.shuffle(drawn)
    batches = []
    for at in range(0, len(drawn), 4096):
        batch = []
        for p in sorted(drawn[at : at + 4096], key=lambda p: min(len(p.ids), crop)):
            if batch and (len(batch) + 1) * (min(len(p.ids), crop) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(p)
        batches.append(batch)
    rng.shuffle(batches)
    return batches


def pad(lists):
    width = max(map(len, lists))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in lists])


def copies(window, offset, starts, rng, count):
    """Spans of the window as (decoder input, labels): which span begins is chance and not to be learnt, how it goes on is."""
    starts = [s - offset for s in starts if offset <= s < offset + len(window) - 3]
    for start in rng.sample(starts, min(count, len(starts))):
        span = window[start : start + rng.randint(4, 12)]
        yield [COPY] + span[:-1], [-100] + span[1:]


def assemble(batch, rng, crop, spans, ask):
    """(inputs, decoder rows in two halves by length, so that little is padding)."""
    inputs, made = [], []
    for row, p in enumerate(batch):
        offset = rng.randrange(max(1, len(p.ids) - crop + 1))
        window = p.ids[offset : offset + crop]
        inputs.append(window + [EOS])
        targets = [([PAD] + q[:-1], q) for q in rng.sample(p.questions, min(QUESTIONS, len(p.questions)))] if ask else []
        count = int(spans) + (rng.random() < spans % 1)
        targets += copies(window, offset, p.starts, rng, count)
        made += [(row, before, after) for before, after in targets]
    made.sort(key=lambda m: len(m[1]))
    half = (len(made) + 1) // 2
    return pad(inputs), [decoder_rows(part) for part in (made[:half], made[half:]) if part]


def decoder_rows(made):
    owner, given, labels = zip(*made)
    width = len(labels[-1])
    return torch.tensor(owner), pad(given), torch.tensor([l + [-100] * (width - len(l)) for l in labels])


def loss_of(model, inputs, parts):
    """(summed loss, targets): the vocabulary's logits are made only where there is a label."""
    mask = (inputs != PAD).long()
    memory = model.encoder(input_ids=inputs, attention_mask=mask).last_hidden_state
    total, targets = 0.0, 0
    for owner, given, labels in parts:
        hidden = model.decoder(
            input_ids=given, encoder_hidden_states=memory.index_select(0, owner), encoder_attention_mask=mask.index_select(0, owner), use_cache=False
        ).last_hidden_state
        at = labels != -100
        logits = model.lm_head(hidden[at] * model.model_dim**-0.5)
        total = total + torch.nn.functional.cross_entropy(logits, labels[at], reduction="sum")
        targets += int(at.sum())
    return total, targets


@torch.no_grad()
def ready_to_copy(model):
    """A start from which copying is a short way: one encoder head looks at the next token, one at the token before, and the decoder's
    query for a token is like the key of the same token in the passage, so that what follows it there can be read off at once."""
    bias = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    after, before = model.config.relative_attention_num_buckets // 2 + 1, 1
    bias[after, 0] = bias[before, 1] = 6.0
    for block in model.decoder.block:
        cross = block.layer[1].EncDecAttention
        cross.q.weight.copy_(cross.k.weight / 8)


@torch.no_grad()
def evaluate(model, passages, tokenizer, show):
    model.eval()
    sums = defaultdict(lambda: [0.0, 0])
    for batch in epoch_in_order(passages):
        rng = random.Random(0)
        total, targets = loss_of(model, *assemble(batch, rng, INPUT, 0, True))
        sums[batch[0].source][0] += total.item()
        sums[batch[0].source][1] += targets
    for p in passages[:: max(1, len(passages) // show)]:
        ids = model.generate(torch.tensor([p.ids + [EOS]]), max_new_tokens=TARGET, do_sample=False, num_beams=1)[0]
        print(f"  {p.source}: {tokenizer.decode(p.ids)[:150]!r}\n    {tokenizer.decode(ids.tolist())!r}  human: {tokenizer.decode(p.questions[0])!r}")
    model.train()
    return {name: round(s / n, 3) for name, (s, n) in sums.items()} | {"all": round(sum(s for s, _ in sums.values()) / sum(n for _, n in sums.values()), 3)}


def epoch_in_order(passages):
    by = defaultdict(list)
    for p in passages:
        by[p.source].append(p)
    for part in by.values():
        part.sort(key=lambda p: len(p.ids))
        for at in range(0, len(part), 32):
            yield part[at : at + 32]


def others_busy(last=[0, time.time()]):
    """Cores that processes without `nice` kept busy since the last call. A thread that shares its core with one of them would hold up all."""
    ticks, now = int(Path("/proc/stat").read_text().split()[1]), time.time()
    busy = (ticks - last[0]) / os.sysconf("SC_CLK_TCK") / max(now - last[1], 1e-3)
    last[:] = ticks, now
    return busy


def save(model, tokenizer, out, log):
    model.save_pretrained(out, safe_serialization=True)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512)
    fast.save_pretrained(out)
    Path(out, "training.json").write_text(json.dumps(log, indent=1) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--data", required=True, help="qa-pairs.jsonl.zst")
    ap.add_argument("--out", required=True)
    ap.add_argument("--minutes", type=float, help="plan the learning rate's decay by the clock")
    ap.add_argument("--steps", type=int, help="plan it by steps: repeatable")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--polite", action="store_true", help="for a run under `nice`: one thread while other work keeps a core busy")
    ap.add_argument("--vocabulary", type=int, default=8192)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--budget", type=int, default=1536, help="padded input tokens of a batch")
    ap.add_argument("--warm-copy", type=float, default=0.05, help="share of the run that only copies, from short windows")
    ap.add_argument("--fade", type=float, default=0.6, help="share of the run after which nothing is copied")
    args = ap.parse_args()
    if (args.minutes is None) == (args.steps is None):
        ap.error("give either --minutes or --steps")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)

    data = [r for r in rows(args.data, "train") if r["license"] in FREE]
    texts = sorted({r["passage"] for r in data if not held_out(r)}) + [r["question"] for r in data if not held_out(r)]
    tokenizer = train_tokenizer(texts, args.vocabulary)
    training, held = build(data, tokenizer)
    held = rng.sample(held, min(600, len(held)))
    print("rows", len(data), Counter(map(source, data)), "windows", len(training), Counter(p.source for p in training), "held out", len(held))
    print("mean tokens", sum(len(p.ids) for p in training) / len(training), "questions a window", sum(len(p.questions) for p in training) / len(training))

    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(), d_model=256, d_kv=64, num_heads=4, d_ff=768, num_layers=3, num_decoder_layers=2, dropout_rate=0.1,
        relative_attention_num_buckets=32, relative_attention_max_distance=128, feed_forward_proj="relu", tie_word_embeddings=True,
        pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=PAD,
    )
    model = T5ForConditionalGeneration(config)
    model.generation_config.max_length = TARGET
    ready_to_copy(model)
    model.train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.98), eps=1e-8)
    print("parameters", sum(p.numel() for p in model.parameters()), "vocabulary", config.vocab_size, flush=True)

    started = told = saved = time.time()
    progress = lambda: step / args.steps if args.steps else (time.time() - started) / 60 / args.minutes
    step, epochs, log = 0, 0, {"args": {k: v for k, v in vars(args).items() if k not in ("data", "out")}, "held_out": []}
    seen = Counter()
    mean = [0.0, 0]
    while progress() < 1:
        crop = 40 if progress() < args.warm_copy else INPUT
        for batch in epoch(training, rng, args.budget, crop):
            at = progress()
            if at >= 1 or (crop < INPUT and at >= args.warm_copy):
                break
            ask = crop == INPUT
            spans = max(0.0, 1.5 * (1 - (at - args.warm_copy) / (args.fade - args.warm_copy))) if ask else 2
            parts = assemble(batch, rng, crop, spans, ask)
            rate = args.lr * min(1.0, (step + 1) / 300) * max(0.0, 0.5 * (1 + math.cos(math.pi * at)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            total, targets = loss_of(model, *parts)
            (total / targets).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if args.polite and step % 5 == 0:
                torch.set_num_threads(1 if others_busy() > 0.3 else args.threads)
            seen.update(passages=len(batch), input_tokens=parts[0].numel(), targets=targets, questions=sum(int((given[:, 0] == PAD).sum()) for _, given, _ in parts[1]))
            mean = [mean[0] + total.item(), mean[1] + targets]
            now = time.time()
            if now - told > 20:
                print(f"{now - started:6.0f}s step {step} epoch {epochs} lr {rate:.2e} loss {mean[0] / mean[1]:.3f} {seen['input_tokens'] / (now - started):.0f} input tokens/s {torch.get_num_threads()} threads spans {spans:.1f}", flush=True)
                mean, told = [0.0, 0], now
            if now - saved > 420:
                log["held_out"].append({"seconds": round(now - started), "step": step, "loss": evaluate(model, held, tokenizer, 8)})
                print(log["held_out"][-1], flush=True)
                save(model, tokenizer, args.out, log)
                saved = time.time()
        epochs += 1
    log["held_out"].append({"seconds": round(time.time() - started), "step": step, "loss": evaluate(model, held, tokenizer, 30)})
    log.update(steps=step, epochs=epochs, seconds=round(time.time() - started), seen=dict(seen), parameters=sum(p.numel() for p in model.parameters()), torch=torch.__version__)
    print(json.dumps(log), flush=True)
    save(model, tokenizer, args.out, log)


if __name__ == "__main__":
    main()

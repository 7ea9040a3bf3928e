"""Generates queries with transformers or CTranslate2: ENGINE MODEL INPUTS THREADS BATCH PASSES. Seconds of each pass after a first, and the ids of the first texts."""
import json
import sys
import time

engine, model, inputs, threads, batch, passes = sys.argv[1:4] + [int(a) for a in sys.argv[4:]]
given = json.load(open(inputs))
rows, steps = given["ids"], given["steps"]
batches = [rows[i : i + batch] for i in range(0, len(rows), batch)]


def transformers():
    import torch
    from transformers import T5ForConditionalGeneration

    torch.set_num_threads(threads)
    loaded = T5ForConditionalGeneration.from_pretrained(model).eval()

    def generate(part):
        ids = torch.tensor(part)
        with torch.inference_mode():
            made = loaded.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=steps, min_new_tokens=steps, num_beams=1, do_sample=False)
        return made[:, 1:].tolist()

    return generate


def ctranslate2(kind):
    import ctranslate2 as library

    loaded = library.Translator(model, device="cpu", compute_type=kind, intra_threads=threads, inter_threads=1)
    vocabulary = json.load(open(f"{model}/shared_vocabulary.json"))
    number = {token: i for i, token in enumerate(vocabulary)}

    def generate(part):
        tokens = [[vocabulary[i] for i in row] for row in part]
        made = loaded.translate_batch(tokens, beam_size=1, max_decoding_length=steps, min_decoding_length=steps, max_batch_size=batch)
        return [[number[token] for token in result.hypotheses[0]] for result in made]

    return generate


generate = transformers() if engine == "transformers" else ctranslate2(engine.split(":")[1])
first = generate(batches[0])
seconds = []
for _ in range(passes):
    start = time.perf_counter()
    for part in batches:
        generate(part)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "ids": first}))

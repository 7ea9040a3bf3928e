"""The exporter against transformers itself, on tiny random models. `python -m unittest` in this directory; about a minute."""

from __future__ import annotations

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import load_file, save_file

import tiny
from checkpoint import ExportError
from export import digest, export
from precision import PRECISIONS, Int8
from runtime import Seq2Seq

VOCAB = 320
MAX_NEW_TOKENS = 20


def random_rows(count: int, seed: int = 0) -> list[list[int]]:
    """Rows of 1 to 60 tokens that end with </s>, long beside short."""
    draw = np.random.default_rng(seed)
    return [draw.integers(3, VOCAB, int(length) - 1).tolist() + [1] for length in draw.integers(1, 61, count)]


def batches(rows: list, size: int) -> list[list]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def wanted_logits(model, rows: list[list[int]], forced: np.ndarray) -> np.ndarray:
    """transformers' logits [rows, steps, vocab] of the forced decoder inputs, each row by itself."""
    with torch.inference_mode():
        return np.concatenate(
            [model(input_ids=torch.tensor([row]), decoder_input_ids=torch.tensor(ids[None])).logits.numpy() for row, ids in zip(rows, forced)]
        )


def exported_logits(written: Seq2Seq, rows: list[list[int]], forced: np.ndarray) -> np.ndarray:
    lengths, cross = written.encode(rows)
    past, steps = written.empty(len(rows)), []
    for tokens in forced.T:
        out, past = written.step(tokens, lengths, cross, past, logits=True)
        steps.append(out["logits"])
    return np.stack(steps, axis=1)


def deviation(got: np.ndarray, wanted: np.ndarray) -> float:
    """Root mean square of the difference, relative to that of the wanted."""
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


class Exported(unittest.TestCase):
    """Each kind of T5 exported in each precision, once."""

    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.scratch = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        tokenizer = tiny.unigram(VOCAB)
        cls.models, cls.written = {}, {}
        for kind in tiny.T5_KINDS:
            cls.models[kind] = tiny.t5(kind, VOCAB, cls.scratch / kind)
            tokenizer.save(str(cls.scratch / kind / "tokenizer.json"))
            for precision in PRECISIONS:
                out = cls.scratch / f"{kind}-{precision}"
                export(cls.scratch / kind, out, precision, prefix="ask: ", max_input_tokens=99)
                cls.written[kind, precision] = Seq2Seq(out, threads=1)
        cls.rows = random_rows(48)
        cls.forced = np.random.default_rng(1).integers(0, VOCAB, (len(cls.rows), 5))

    def test_greedy_ids_are_those_of_transformers_in_batches_of_any_size(self):
        for kind, model in self.models.items():
            answers = tiny.greedy(model, self.rows, MAX_NEW_TOKENS)
            tiny.check_varied(answers)
            for size in (1, 7, len(self.rows)):
                with self.subTest(kind=kind, size=size):
                    got = [ids for batch in batches(self.rows, size) for ids in self.written[kind, "fp32"].greedy(batch, MAX_NEW_TOKENS)]
                    self.assertEqual(got, answers)

    def test_a_row_does_not_depend_on_its_batch(self):
        for (kind, precision), written in self.written.items():
            together = exported_logits(written, self.rows[:12], self.forced[:12])
            for at in range(12):
                alone = exported_logits(written, self.rows[at : at + 1], self.forced[at : at + 1])
                with self.subTest(kind=kind, precision=precision, row=at):
                    # a difference of one unit in the last place may round a value to the next int8 or float16
                    self.assertLess(relative(alone, together[at : at + 1]), {"fp32": 1e-5, "fp16": 5e-3, "int8": 5e-2}[precision])

    def test_top_logits_are_the_largest_in_falling_order(self):
        written = self.written["t5-v1_1", "fp32"]
        lengths, cross = written.encode(self.rows[:4])
        for k in (1, 5, VOCAB):
            out, _ = written.step([0] * 4, lengths, cross, written.empty(4), k=k, logits=True)
            np.testing.assert_array_equal(out["top_logits"], -np.sort(-out["logits"], axis=1)[:, :k])
            np.testing.assert_array_equal(np.take_along_axis(out["logits"], out["top_ids"], axis=1), out["top_logits"])

    def test_the_description_says_what_the_graphs_are(self):
        for (kind, precision), written in self.written.items():
            out, config = self.scratch / f"{kind}-{precision}", written.config
            said = [config[key] for key in ("format", "version", "precision", "layers", "heads", "head_dim", "d_model", "vocab_size")]
            self.assertEqual(said, ["longweave-seq2seq", 1, precision, 2, 2, 8, 32, VOCAB])
            self.assertEqual([config["prefix"], config["max_input_tokens"]], ["ask: ", 99])
            self.assertEqual(config["files"], {name: digest(out / name) for name in config["files"]})
            types = {value.type for value in written.decoder.get_inputs() if value.name.startswith(("cross", "past"))}
            self.assertEqual(types, {"tensor(float16)" if config["cache_type"] == "float16" else "tensor(float)"})

    def test_a_tied_embedding_stands_once(self):
        for precision in PRECISIONS:
            places = set()
            for part in ("encoder", "decoder"):
                graph = onnx.load(self.scratch / f"t5-v1_0-{precision}" / f"{part}.onnx", load_external_data=False).graph
                found = [value for value in graph.initializer if value.name == "shared.weight"]
                self.assertEqual(len(found), 1)
                places.add(next(entry.value for entry in found[0].external_data if entry.key == "offset"))
                uses = sum("shared.weight" in node.input for node in graph.node)
                self.assertEqual(uses, {"encoder": 1, "decoder": 2}[part])
            self.assertEqual(len(places), 1)

    def test_int8_weights_of_layers_keep_to_the_exact_range(self):
        graph = onnx.load(self.scratch / "t5-v1_1-int8" / "decoder.onnx").graph
        values = [onnx.numpy_helper.to_array(value) for value in graph.initializer if value.data_type == onnx.TensorProto.INT8]
        self.assertGreater(len(values), 10)
        self.assertEqual(max(int(np.abs(value.astype(int)).max()) for value in values), Int8.limit)


class Precisions(unittest.TestCase):
    def test_logits_are_close_to_those_of_transformers(self):
        torch.set_num_threads(1)
        rows, forced = random_rows(48), np.random.default_rng(1).integers(0, VOCAB, (48, 5))
        for kind in tiny.T5_KINDS:
            scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
            model = tiny.t5(kind, VOCAB, scratch / "checkpoint", spread=0.7)
            tiny.unigram(VOCAB).save(str(scratch / "checkpoint" / "tokenizer.json"))
            wanted = wanted_logits(model, rows, forced)
            for precision, most, least in (("fp32", 1e-6, 1.0), ("fp16", 2e-3, 0.99), ("int8", 0.06, 0.88)):
                with self.subTest(kind=kind, precision=precision):
                    export(scratch / "checkpoint", scratch / precision, precision)
                    got = exported_logits(Seq2Seq(scratch / precision, threads=1), rows, forced)
                    self.assertTrue(np.isfinite(got).all())
                    self.assertLess(deviation(got, wanted), most)
                    self.assertGreaterEqual(float((got.argmax(-1) == wanted.argmax(-1)).mean()), least)


class Checkpoints(unittest.TestCase):
    """Changed copies of one checkpoint."""

    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.original = Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "original"
        tiny.t5("t5-v1_1", VOCAB, cls.original)
        tiny.unigram(VOCAB).save(str(cls.original / "tokenizer.json"))

    def setUp(self):
        scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.checkpoint, self.out = scratch / "checkpoint", scratch / "into" / "out"
        shutil.copytree(self.original, self.checkpoint)

    def weights(self, change) -> None:
        path = self.checkpoint / "model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    def config(self, **values) -> None:
        path = self.checkpoint / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def assert_refused(self, words: str) -> None:
        with self.assertRaisesRegex(ExportError, words):
            export(self.checkpoint, self.out)
        self.assertFalse(self.out.exists())
        self.assertFalse(self.out.parent.exists() and any(self.out.parent.iterdir()), "a failed export leaves nothing behind")

    def test_no_directory(self):
        shutil.rmtree(self.checkpoint)
        self.assert_refused("no config.json")

    def test_another_architecture(self):
        self.config(model_type="bart")
        self.assert_refused("model_type is 'bart'")

    def test_another_activation(self):
        self.config(feed_forward_proj="gated-tanh", dense_act_fn="tanh")
        self.assert_refused("activation 'tanh'")

    def test_no_weights(self):
        (self.checkpoint / "model.safetensors").unlink()
        self.assert_refused("has no weights")

    def test_truncated_weights(self):
        path = self.checkpoint / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1000])
        self.assert_refused("cannot be read")

    def test_a_missing_weight(self):
        self.weights(lambda tensors: tensors.pop("decoder.block.1.layer.1.EncDecAttention.k.weight"))
        self.assert_refused("missing.*decoder.block.1.layer.1.EncDecAttention.k.weight")

    def test_a_weight_of_another_shape(self):
        self.config(d_ff=50)
        self.assert_refused("mismatch")

    def test_a_weight_that_is_not_a_number(self):
        self.weights(lambda tensors: tensors["shared.weight"][3].fill_(float("nan")))
        self.assert_refused("shared.weight holds values that are not finite")

    def test_no_tokenizer(self):
        (self.checkpoint / "tokenizer.json").unlink()
        self.assert_refused("has no tokenizer")

    def test_a_tokenizer_with_more_tokens_than_the_embedding(self):
        tiny.unigram(VOCAB + 30).save(str(self.checkpoint / "tokenizer.json"))
        self.assert_refused("350 tokens")

    def test_a_destination_that_exists(self):
        self.out.mkdir(parents=True)
        with self.assertRaisesRegex(ExportError, "exists"):
            export(self.checkpoint, self.out)
        self.assertEqual(list(self.out.iterdir()), [])

    def test_a_sentencepiece_model_becomes_a_tokenizer(self):
        import sentencepiece
        from tokenizers import Tokenizer

        (self.checkpoint / "tokenizer.json").unlink()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(tiny.documentation()), model_prefix=str(self.checkpoint / "spiece"), vocab_size=200,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
        )  # fmt: skip
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.checkpoint / "spiece.model"))
        (self.checkpoint / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0}))
        export(self.checkpoint, self.out)
        made = Tokenizer.from_file(str(self.out / "tokenizer.json"))
        for text in ("longweave turns short documents into sequences", "A stage is divided into tasks."):
            self.assertEqual(made.encode(text).ids, pieces.encode(text) + [1])

    def test_fp16_holds_values_that_float16_cannot(self):
        def enlarge(tensors):
            for name, values in tensors.items():
                if "wi_" in name:
                    values *= 200
                elif name.endswith("wo.weight"):
                    values /= 40

        self.weights(enlarge)
        model = load(self.checkpoint)
        largest = []
        for block in model.encoder.block:
            block.layer[1].DenseReluDense.wo.register_forward_pre_hook(lambda _, inputs: largest.append(float(inputs[0].abs().max())))
        rows, forced = random_rows(8), np.random.default_rng(2).integers(0, VOCAB, (8, 3))
        wanted = wanted_logits(model, rows, forced)
        self.assertGreater(max(largest), 65504)
        export(self.checkpoint, self.out, "fp16")
        got = exported_logits(Seq2Seq(self.out, threads=1), rows, forced)
        self.assertLess(relative(got, wanted), 2e-2)

    def test_int8_rows_are_indifferent_to_a_neighbour_with_large_values(self):
        loud = 77
        self.weights(lambda tensors: tensors["shared.weight"][loud].mul_(1000))
        export(self.checkpoint, self.out, "int8")
        written, forced = Seq2Seq(self.out, threads=1), np.full((1, 3), 5)
        row = [token for token in random_rows(1)[0] if token != loud]
        alone = exported_logits(written, [row], forced)
        beside = exported_logits(written, [row, [loud] * len(row)], np.concatenate([forced, forced]))
        self.assertLess(relative(beside[:1], alone), 1e-5)


def load(directory: Path):
    from transformers import AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM.from_pretrained(directory, local_files_only=True).eval()


if __name__ == "__main__":
    unittest.main()

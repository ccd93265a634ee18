"""A recipe of a decoder that is trained in seconds."""

RECIPE = """\
run_dir = "{folder}/run"
[data]
files = ["{folder}/text.txt"]
sequence_length = 8
batch_size = 4
options = {{ cache_dir = "{folder}/cache" }}
[tokenizer]
kind = "ByteTokenizer"
[model]
task = "CausalLM"
backbone = "GPTBackbone"
backbone_options = {{ num_layers = 1, num_heads = 2, hidden_dim = 8 }}
[training]
steps = 2
"""


def write_recipe(folder, num_sentences):
    """Writes a recipe and its text into a folder; the path of the recipe."""
    sentence = "the quick brown fox jumps over the lazy dog. "
    (folder / "text.txt").write_text(sentence * num_sentences)
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(folder=folder))
    return path

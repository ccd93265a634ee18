"""The files of a model's folder in Hugging Face's layout: one module for each kind of file.

Each file is checked before it is used: `folders` which ones may be opened, `safetensors`, `shards`
and `weights` the weights, `config` and `config_validation` config.json. Nothing here is public.
"""

__all__ = []

import pytest

pytest.importorskip("ai_edge_litert", reason="needs `pip install lmzoo[runtime]`")

import pytest

from lmzoo.export.litert import conversion
from tests.export.litert.shared_converter import SharedConverter


@pytest.fixture(scope="module", autouse=True)
def convert_here():
    pytest.importorskip("ai_edge_litert", reason="needs `pip install lmzoo[litert]`")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "ConverterProcess", SharedConverter)
        yield

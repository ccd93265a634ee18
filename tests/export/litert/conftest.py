import pytest

from lmzoo.export.litert import conversion, converter_process


class ThisProcess:
    """Converts in the process of the tests, which saves the import of TensorFlow in another one."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def convert(self, saved_model, signatures, out, progress=None):
        return converter_process.convert(str(saved_model), signatures)


@pytest.fixture(scope="module", autouse=True)
def convert_here():
    pytest.importorskip("ai_edge_litert", reason="needs `pip install lmzoo[litert]`")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "ConverterProcess", ThisProcess)
        yield

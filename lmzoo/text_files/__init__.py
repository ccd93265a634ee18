"""Text files read in bounded memory: plain text and JSON lines, gzipped or not.

Below every room: `lmzoo.data` and the training of tokenizers read files with it. Public for users:
`ReadLimits`, as `lmzoo.data.ReadLimits`.
"""

from lmzoo.text_files.bounded_reading import ReadLimits
from lmzoo.text_files.files import check_files
from lmzoo.text_files.reading import read_documents

__all__ = ["ReadLimits", "check_files", "read_documents"]

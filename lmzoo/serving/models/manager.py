"""All models of a folder, kept as the folder says."""

import asyncio

from lmzoo.serving.errors import RefusalError
from lmzoo.serving.models.repository import find_versions
from lmzoo.serving.models.served_model import ServedModel

__all__ = ["ModelManager"]


class ModelManager:
    """The models by name; it searches the folder for changes.

    Args:
        options: ServeOptions.
        report: callable (event, **fields).
    """

    def __init__(self, options, report):
        self.options = options
        self.models = {}
        self._report = report
        self._loading = asyncio.Lock()
        self._seen = {}
        self._task = None

    async def start(self):
        """Looks once, then again and again. Returns at once, while models are still opened."""
        # What was complete before the server started need not be looked at twice.
        self._seen = await asyncio.to_thread(find_versions, self.options.folder)
        self._apply(self._seen)
        self._task = asyncio.create_task(self._poll())

    async def _poll(self):
        while True:
            await asyncio.sleep(self.options.poll_seconds)
            try:
                found = await asyncio.to_thread(find_versions, self.options.folder)
            except OSError:
                # What is served goes on while the folder cannot be read.
                continue
            before, self._seen = self._seen, found
            # A folder that is being copied differs from one look to the next: it is not touched.
            stable = {
                name: [one for one in versions if one in before.get(name, ())]
                for name, versions in found.items()
            }
            known = {name: model.versions for name, model in self.models.items()}
            for name, versions in found.items():
                for old in known.get(name, ()):
                    is_there = any(one.number == old.number for one in versions)
                    has_new = any(one.number == old.number for one in stable[name])
                    if is_there and not has_new and old not in stable[name]:
                        # Still being written: what was opened of it goes on.
                        stable[name].append(old)
            self._apply(stable)

    def _apply(self, found):
        for name in sorted({*found, *self.models}):
            versions = sorted(found.get(name, []), key=lambda one: one.number, reverse=True)
            if name not in self.models:
                if not versions:
                    continue
                self.models[name] = ServedModel(name, self.options, self._loading, self._report)
            self.models[name].update(versions)

    def find(self, name):
        """The model of a name.

        Raises:
            RefusalError: 404 if there is none.
        """
        model = self.models.get(name) if isinstance(name, str) else None
        if model is None or not model.versions:
            raise RefusalError(404, f"There is no such model. Received: {name!r:.80}.", "model")
        return model

    @property
    def is_ready(self):
        """bool. Whether each model has a version that answers."""
        return all(model.version is not None for model in self.models.values() if model.versions)

    async def close(self):
        """Ends every process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(model.close() for model in self.models.values()))

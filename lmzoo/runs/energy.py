"""The energy that a run takes: of processors (RAPL) and NVIDIA GPUs (NVML), or estimated."""

import ctypes
import importlib.util
import logging
import pathlib

__all__ = ["EnergyMeter"]

_POWERCAP = pathlib.Path("/sys/class/powercap")


class EnergyMeter:
    """Adds up the energy between `start` and `stop`.

    RAPL counts whole processor packages, and NVML whole GPUs, whoever uses them. Where there is
    neither, codecarbon estimates, if it is installed.

    Args:
        powercap: path. The folder of RAPL's counters.
        library: ctypes library of NVML, or None to look for it.
        may_estimate: bool. Whether codecarbon may be asked.
    """

    def __init__(self, powercap=_POWERCAP, library=None, may_estimate=True):
        self._zones = list(_find_zones(pathlib.Path(powercap)))
        self._gpus = _Gpus(library)
        self._may_estimate = may_estimate
        self._estimate, self._before = None, None

    def start(self):
        self._before = self._read()
        if not self._before and self._may_estimate and _has_codecarbon():
            self._estimate = _start_estimate()

    def stop(self):
        """The energy since `start`.

        Returns:
            dict of `joules` (float or None) and `source` (str), or None where nothing counts.
        """
        if self._estimate is not None:
            self._estimate.stop()
            # It logs what goes wrong and has no data then; a run must not end by that.
            data = getattr(self._estimate, "final_emissions_data", None)
            self._estimate = None
            if data is None:
                return None
            joules = data.energy_consumed * 3.6e6
            return {"joules": joules, "source": "estimated by codecarbon"}
        after, total, sources = self._read(), 0.0, []
        for name, (value, limit) in after.items():
            if name not in self._before:
                continue
            used = value - self._before[name][0]
            # A counter begins anew at its largest value.
            total += used + limit if used < 0 else used
            sources.append(name.partition(":")[0])
        if not sources:
            return None
        return {"joules": total / 1e6, "source": " and ".join(dict.fromkeys(sources))}

    def _read(self):
        """dict of counter to microjoules and its largest value."""
        found = {}
        for zone in self._zones:
            try:
                value = int((zone / "energy_uj").read_text())
                limit = int((zone / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                # Since 2020 Linux lets root alone read it.
                continue
            found[f"RAPL:{zone.name}"] = (value, limit)
        return found | self._gpus.read()


def _find_zones(folder):
    """The zones of whole packages; their parts have two numbers in their names."""
    if folder.is_dir():
        for zone in sorted(folder.iterdir()):
            if zone.name.startswith("intel-rapl:") and zone.name.count(":") == 1:
                yield zone


class _Gpus:
    """The energy counters of NVIDIA's driver, by its C library."""

    def __init__(self, library=None):
        self._library, self._handles = library or _open_nvml(), []
        if self._library is None or self._library.nvmlInit_v2() != 0:
            return
        count = ctypes.c_uint()
        self._library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0:
                self._handles.append(handle)

    def read(self):
        """dict of counter to microjoules since the driver was loaded, and 0: they never wrap."""
        found = {}
        for index, handle in enumerate(self._handles):
            value = ctypes.c_ulonglong()
            code = self._library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value))
            if code == 0:
                found[f"NVML:{index}"] = (value.value * 1000, 0)
        return found


def _open_nvml():
    try:
        return ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None


def _has_codecarbon():
    try:
        return importlib.util.find_spec("codecarbon") is not None
    except ValueError:
        return False


def _start_estimate():
    # Its level is an argument, but it says two things before it reads that.
    logging.getLogger("codecarbon").disabled = True
    from codecarbon import OfflineEmissionsTracker

    # The country is for emissions, which are not reported; offline, it asks nobody.
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA", save_to_file=False, log_level="error", allow_multiple_runs=True
    )
    tracker.start()
    return tracker

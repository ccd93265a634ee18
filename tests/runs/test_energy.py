"""What a run takes of energy, by counters that are made up."""

import sys
import types

import pytest

from lmzoo.runs.energy import EnergyMeter


def write_zone(folder, name, value, limit=1_000_000):
    zone = folder / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "energy_uj").write_text(f"{value}\n")
    (zone / "max_energy_range_uj").write_text(f"{limit}\n")


class Nvml:
    """The five functions of NVML that are called, for two GPUs."""

    def __init__(self):
        self.millijoules = [5000, 7000]

    def nvmlInit_v2(self):  # noqa: N802
        return 0

    def nvmlDeviceGetCount_v2(self, count):  # noqa: N802
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle):  # noqa: N802
        handle._obj.value = index + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, value):  # noqa: N802
        value._obj.value = self.millijoules[handle.value - 1]
        return 0


class NoNvml:
    def nvmlInit_v2(self):  # noqa: N802
        return 1


def test_packages_are_counted_once_and_a_counter_may_wrap(tmp_path):
    write_zone(tmp_path, "intel-rapl:0", 100)
    write_zone(tmp_path, "intel-rapl:0:0", 50)
    write_zone(tmp_path, "intel-rapl:1", 999_000)
    meter = EnergyMeter(tmp_path, NoNvml(), may_estimate=False)
    meter.start()
    write_zone(tmp_path, "intel-rapl:0", 300_100)
    write_zone(tmp_path, "intel-rapl:0:0", 200_000)
    write_zone(tmp_path, "intel-rapl:1", 4_000)
    assert meter.stop() == {"joules": pytest.approx(0.3 + 0.005), "source": "RAPL"}


def test_gpus_are_added(tmp_path):
    write_zone(tmp_path, "intel-rapl:0", 0)
    library = Nvml()
    meter = EnergyMeter(tmp_path, library, may_estimate=False)
    meter.start()
    library.millijoules = [6000, 9000]
    assert meter.stop() == {"joules": pytest.approx(3.0), "source": "RAPL and NVML"}


def test_without_counters_there_is_no_figure(tmp_path):
    meter = EnergyMeter(tmp_path / "missing", NoNvml(), may_estimate=False)
    meter.start()
    assert meter.stop() is None


@pytest.fixture
def codecarbon(monkeypatch):
    """codecarbon's module without a tracker, which a test adds."""
    module = types.ModuleType("codecarbon")
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    return module


def test_without_counters_codecarbon_estimates(tmp_path, codecarbon):
    class Tracker:
        def __init__(self, **options):
            assert options["save_to_file"] is False

        def start(self):
            self.final_emissions_data = None

        def stop(self):
            # Kilowatt hours.
            self.final_emissions_data = types.SimpleNamespace(energy_consumed=0.001)

    codecarbon.OfflineEmissionsTracker = Tracker
    meter = EnergyMeter(tmp_path / "missing", NoNvml())
    meter.start()
    assert meter.stop() == {"joules": pytest.approx(3600), "source": "estimated by codecarbon"}


def test_an_estimate_that_fails_ends_no_run(tmp_path, codecarbon):
    class Tracker:
        def __init__(self, **options):
            pass

        def start(self):
            pass

        def stop(self):
            # codecarbon logs the error and returns.
            return None

    codecarbon.OfflineEmissionsTracker = Tracker
    meter = EnergyMeter(tmp_path / "missing", NoNvml())
    meter.start()
    assert meter.stop() is None

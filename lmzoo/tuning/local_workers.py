"""A chief and several workers on this machine, joined as hosts would be."""

from lmzoo.runs.local_workers import check_local_workers, find_ports, run_processes

__all__ = ["run_local_workers"]


def run_local_workers(command, num_workers):
    """Runs a command as the chief and as some workers of one search, over the loopback device.

    Args:
        command: list of str, such as `lmzoo tune recipe.toml`.
        num_workers: int, at least 1. Trials that run at a time; the processors are divided among
            them.
    Returns:
        int. 0, or the exit code of the first process that failed.
    Raises:
        ValueError: if `num_workers` is not at least 1, or the environment is that of a worker.
    """
    check_local_workers(num_workers, "KERASTUNER_ORACLE_IP")
    address = {
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(find_ports(1)[0]),
    }
    names = ["chief", *(f"worker{index}" for index in range(num_workers))]
    environments = [{**address, "KERASTUNER_TUNER_ID": name} for name in names]
    return run_processes(command, environments, num_workers)

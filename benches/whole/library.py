"""PattooShared's configuration, shared with ours: the same agent id, the same server."""

from . import points


def configure(bench, address):
    """Writes `pattoo.yaml`, `pattoo_agent.yaml` and the agent's id; returns the folder."""
    folder = bench.folder / "pattoo"
    host, port = address.split(":")
    # The library creates none of its folders.
    for name in ("log", "cache", "daemon", "system"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    bench.write(
        "pattoo/pattoo.yaml",
        f"pattoo:\n  log_directory: {folder}/log\n  log_level: info\n  cache_directory: {folder}/cache\n"
        f"  daemon_directory: {folder}/daemon\n  system_daemon_directory: {folder}/system\n  language: en\n",
    )
    bench.write("pattoo/pattoo_agent.yaml", f"pattoo_agent_api:\n  ip_address: {host}\n  ip_bind_port: {port}\n")
    bench.write(f"pattoo/daemon/agent_id/{points.PROGRAM}.agent_id", points.AGENT_ID)
    return folder


def head(bench, address, threads=64):
    """The sections of our own configuration that stand before `jobs`."""
    host, port = address.split(":")
    return (
        f"main: {{daemon_directory: {bench.folder}/pattoo/daemon}}\n"
        f"polling: {{polling_interval: {points.POLLING_INTERVAL_SECONDS}, ip_address: {host}, ip_bind_port: {port}}}\n"
        f"agent: {{program: {points.PROGRAM}, hostname: {points.HOSTNAME}, threads: {threads}, run_metrics: false}}\n"
    )

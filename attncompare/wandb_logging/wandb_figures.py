"""What W&B's summary shows of a finished run; needs no W&B."""

from typing import Any

_ENDS = ("best_step", "steps", "ended_by", "planned_after", "planned_steps", "tested")


def final_figures(summary: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """Return what W&B's summary shows at the end of a run, from ``summary.json`` and ``environment.json``."""
    parts = {part: summary.get(part, {}) for part in ("test", "cost")}
    figures = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
    signatures = {f"signature/{name}": text for name, text in summary.get("signatures", {}).items()}
    ends: dict[str, Any] = {key: summary[key] for key in _ENDS if key in summary}
    return {
        **figures,
        **signatures,
        **ends,
        "message": summary.get("message"),
        "weights_sha256": summary.get("weights_sha256"),
        "data_fingerprint": summary.get("data", {}).get("fingerprint"),
        "threads": environment.get("threads"),
    }

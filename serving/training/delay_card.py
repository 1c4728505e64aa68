"""The card of a model: data, figures by month, limits, for people to read."""

from schemas.manifest import Manifest, Training
from serving.training.learners import Learner

_LIMITS = """\
* It knows one winter's departures from three airports. From March on it meets weather and traffic that it has not seen:
  watch the drift.
* It learnt only from flights that departed and arrived. Cancelled and diverted flights are outside it.
* `dep_delay` carries most of the answer: the score is a forecast at departure, not before.
* It decides who is told early about a late arrival, nothing more; it has no personal data and may not be used to judge crews or airlines.
"""


def card(manifest: Manifest, training: Training, learner: Learner) -> str:
    """Markdown."""
    lines = [
        f"# {manifest.ident}",
        "",
        f"Probability that a flight arrives more than 30 minutes late. {learner.kind[0].upper()}{learner.kind[1:]}; {learner.why}.",
        "",
        "## Data",
        "",
        f"{training.data}. Trained on months {', '.join(map(str, training.months))} ({training.rows:,} flights), seed {training.seed}.",
        "",
        f"SHA-256 of the training table: `{training.sha256}`.",
        "",
        "| input | datatype | null becomes |",
        "|---|---|---|",
        *(f"| `{one.name}` | {one.datatype} | {'refused' if one.null == 'refuse' else one.null} |" for one in manifest.inputs),
        "",
        "## Figures by month",
        "",
        "Months that it was trained on are marked. AUC: higher is better; Brier and calibration error: lower is better.",
        "",
        "| month | flights | late | mean score | AUC | Brier | calibration error |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in manifest.metrics:
        mark = " (trained on)" if row.month in training.months else ""
        figures = f"{row.late:.3f} | {row.predicted:.3f} | {row.auc:.3f} | {row.brier:.4f} | {row.calibration:.4f}"
        lines.append(f"| {row.month}{mark} | {row.rows:,} | {figures} |")
    approval = manifest.approval
    said = f"{'Approved' if approval.approved else 'Not approved'} by {approval.by}: {approval.why}."
    lines += ["", "## Approval", "", said, "", "## Limits", "", _LIMITS]
    return "\n".join(lines)

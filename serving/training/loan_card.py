"""The card of the model about loans: data, figures, what it does to groups of people, limits."""

from collections.abc import Sequence
from math import sqrt

from schemas.manifest import Group, Manifest, Training
from serving.training.learners import Learner

_SURE = 1.96  # standard deviations of a 95 % interval

_LIMITS = """\
* The applications are of 1973 to 1975, in Deutsche Mark, from one bank, and 30 % of these loans went bad: far more than a bank would have.
  The score is no probability for anyone who applies today. It is an example; do not lend by it.
* Only loans that were granted are among the data: of those that the bank refused then nobody knows how they would have gone.
* It takes no sex, age, marital status or nationality. That does not make it fair: what it takes goes along with them, as the figures by
  group show. The table says what differs here, not why, nor whether it may.
* U. Grömping (South German Credit Data: Correcting a Widely Used Data Set, 2019) found that names of categories were mixed up when these
  data were published: `female` holds single men too, so the rows by sex say nothing certain about women and men; and some inputs, the
  checking account among them, may be something else than they are called.
* It may grant a small loan. Large amounts, borderline scores and whoever asks for a person go to one (policy `decisions`); whether a
  refusal by a program alone is lawful (GDPR, article 22) must be settled before anyone uses a flow like this.
"""


def card(manifest: Manifest, training: Training, learner: Learner) -> str:
    """Markdown."""
    held, everybody, *groups = manifest.groups
    lines = [
        f"# {manifest.ident}",
        "",
        f"Probability that a loan goes bad. {learner.kind[0].upper()}{learner.kind[1:]}; {learner.why}.",
        "",
        "## Data",
        "",
        f"{training.data}. Trained on {training.rows} of its 1,000 applications, seed {training.seed}.",
        "",
        f"SHA-256 of the training table: `{training.sha256}`.",
        "",
        "| input | datatype | null becomes |",
        "|---|---|---|",
        *(f"| `{one.name}` | {one.datatype} | {'refused' if one.null == 'refuse' else one.null} |" for one in manifest.inputs),
        "",
        "## Figures",
        "",
        f"On the {held.rows} applications that it has not seen. AUC: higher is better; Brier and calibration error: lower is better.",
        "",
        "| applications | bad | mean score | AUC | Brier | calibration error |",
        "|---|---|---|---|---|---|",
        f"| {held.rows} | {held.positive:.3f} | {held.predicted:.3f} | {held.auc:.3f} | {held.brier:.4f} | {held.calibration:.4f} |",
        "",
        *_by_group(held, everybody, groups),
    ]
    approval = manifest.approval
    said = f"{'Approved' if approval.approved else 'Not approved'} by {approval.by}: {approval.why}."
    lines += ["", "## Approval", "", said, "", "## Limits", "", _LIMITS]
    return "\n".join(lines)


def _by_group(held: Group, everybody: Group, groups: Sequence[Group]) -> list[str]:
    return [
        "## By group",
        "",
        f"{held.rows} are too few to compare groups. So here each of the {everybody.rows:,} was scored by one of five models of the same",
        f"kind that had not seen it. *Below* is the share that scores below {held.threshold:g}, which the flow grants; behind it the 95 %",
        "interval.",
        "",
        "| group | applications | bad | mean score | AUC | below | of the good: below | of the bad: not below |",
        "|---|---|---|---|---|---|---|---|",
        *map(_row, (everybody, *groups)),
        "",
        *(_compared(*groups[at : at + 2]) for at in range(0, len(groups), 2)),
    ]


def _row(one: Group) -> str:
    low, high = _interval(one.below, one.rows)
    figures = f"{one.positive:.3f} | {one.predicted:.3f} | {one.auc:.3f} | {one.below:.3f} ({low:.2f} to {high:.2f})"
    return f"| {one.group} | {one.rows} | {figures} | {one.specificity:.3f} | {one.sensitivity:.3f} |"


def _compared(one: Group, other: Group) -> str:
    """A sentence: two rates may differ because the groups pay back differently, so those who paid are compared too."""
    apart, good = one.below - other.below, one.specificity - other.specificity
    error = sqrt(sum(group.below * (1 - group.below) / group.rows for group in (one, other)))
    sure = "more than chance explains" if abs(apart) > _SURE * error else "which may be chance"
    return (
        f"* {one.group} against {other.group}: {apart:+.3f} below the threshold, {sure} (loans gone bad: {one.positive:.3f} and "
        f"{other.positive:.3f}); among those who paid back {good:+.3f}. Ratio of the shares {one.below / other.below:.2f}."
    )


def _interval(share: float, rows: int) -> tuple[float, float]:
    """Wilson's."""
    middle = (share + _SURE**2 / (2 * rows)) / (1 + _SURE**2 / rows)
    half = _SURE * sqrt(share * (1 - share) / rows + _SURE**2 / (4 * rows**2)) / (1 + _SURE**2 / rows)
    return middle - half, middle + half

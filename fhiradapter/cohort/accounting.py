"""The account of what was received: mapped, quarantined or ignored, and nothing else."""

from collections.abc import Mapping

import msgspec


class TypeAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the resources of one type."""

    received: int
    mapped: int
    quarantined: int
    ignored: dict[str, int]

    @property
    def balanced(self) -> bool:
        """True when received = mapped + quarantined + ignored."""
        return self.received == self.mapped + self.quarantined + sum(self.ignored.values())


def add_accounts(*accounts: Mapping[str, TypeAccount]) -> dict[str, TypeAccount]:
    """Add up accounts by resource type."""
    total: dict[str, TypeAccount] = {}
    for account in accounts:
        for kind, part in account.items():
            before = total.get(kind, TypeAccount(received=0, mapped=0, quarantined=0, ignored={}))
            reasons = {*before.ignored, *part.ignored}
            total[kind] = TypeAccount(
                received=before.received + part.received,
                mapped=before.mapped + part.mapped,
                quarantined=before.quarantined + part.quarantined,
                ignored={
                    name: before.ignored.get(name, 0) + part.ignored.get(name, 0) for name in sorted(reasons)
                },
            )
    return dict(sorted(total.items()))

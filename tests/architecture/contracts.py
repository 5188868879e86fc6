"""The rule between domains that import-linter's own contracts cannot say in one place."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

# Which layer of another domain may be imported, and by which layer ("" means any).
DOORS = {"service": "", "errors": "", "models": "queries", "schemas": "schemas"}


class DoorsContract(Contract):
    """Domains reach each other through ``service`` and ``errors``; a schema may nest a schema,
    and only ``queries`` may read another domain's ``models``.
    """

    type_name = "doors"
    # import-linter replaces each field by the value that it reads from pyproject.toml.
    package: str = fields.StringField()  # type: ignore[assignment]
    open_to_all: set[str] = fields.SetField(subfield=fields.StringField())  # type: ignore[assignment]
    enter_all: set[str] = fields.SetField(subfield=fields.StringField())  # type: ignore[assignment]

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        illegal = [
            f"{importer} -> {imported}"
            for importer in sorted(graph.find_descendants(self.package))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not self._allows(importer.split("."), imported.split("."))
        ]
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    def _allows(self, importer: list[str], imported: list[str]) -> bool:
        if imported[0] != self.package or len(imported) < 3 or imported[1] == importer[1]:
            return True
        if imported[1] in self.open_to_all or importer[1] in self.enter_all:
            return True
        opener = DOORS.get(imported[2])
        return opener == "" or (opener is not None and importer[2:3] == [opener])

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["illegal"]:
            output.print_error(line)

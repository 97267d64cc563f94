"""Which subjects the authors of a set put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# C-Eval's subjects by its authors' table (arXiv 2305.08322, table 6); "hard" are eight of them.
CEVAL = {
    "stem": "computer_network operating_system computer_architecture college_programming college_physics "
    "college_chemistry advanced_mathematics probability_and_statistics discrete_mathematics electrical_engineer "
    "metrology_engineer high_school_mathematics high_school_physics high_school_chemistry high_school_biology "
    "middle_school_mathematics middle_school_biology middle_school_physics middle_school_chemistry veterinary_medicine",
    "social sciences": "college_economics business_administration marxism mao_zedong_thought education_science "
    "teacher_qualification high_school_politics high_school_geography middle_school_politics middle_school_geography",
    "humanities": "modern_chinese_history ideological_and_moral_cultivation logic law chinese_language_and_literature "
    "art_studies professional_tour_guide legal_professional high_school_chinese high_school_history "
    "middle_school_history",
    "other": "civil_servant sports_science plant_protection basic_medicine clinical_medicine "
    "urban_and_rural_planner accountant fire_engineer environmental_impact_assessment_engineer tax_accountant "
    "physician",
    "hard": "advanced_mathematics discrete_mathematics probability_and_statistics college_chemistry college_physics "
    "high_school_mathematics high_school_chemistry high_school_physics",
}


def categories(name: str, subjects: Sequence[str], members: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns {category: subjects} of a task. members: of each group of the task, groups or subjects."""
    if "ceval" in name:
        ends = lambda category: tuple(f"_{subject}" for subject in CEVAL[category].split())
        found = {category: [s for s in subjects if s.endswith(ends(category))] for category in CEVAL}
    else:
        found = {group: [s for s in subjects if s in _leaves(group, members)] for group in members if group != name}
    return {category: parts for category, parts in found.items() if parts}


def _leaves(group: str, members: Mapping[str, Sequence[str]]) -> set[str]:
    parts = members.get(group)
    return {group} if parts is None else {leaf for part in parts for leaf in _leaves(part, members)}
